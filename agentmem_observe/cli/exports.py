"""``--export``: what is printed or written when runs have ended."""

from pathlib import Path
from typing import NamedTuple

import click

from agentmem_observe.errors import did_you_mean

_FORMS = {"json": "json", "prometheus": "prometheus=FILE"}

METAVAR = "|".join(_FORMS.values())
"""What stands for a value in the help."""


class Export(NamedTuple):
    """One thing to export.

    Attributes:
        name: ``json``, printed on standard output; or ``prometheus``, for a textfile collector.
        file: Where it is written to; None for standard output.
    """

    name: str
    file: Path | None = None


def parse_export(value: str) -> Export:
    """Return what a value asks for; for an option's ``type``, with `METAVAR`.

    Args:
        value: ``json`` or ``prometheus=FILE``.

    Raises:
        click.BadParameter: If it is neither, with what it may have been meant to be.

    Examples:
        >>> parse_export("json")
        Export(name='json', file=None)
    """
    name, equals, file = value.partition("=")
    if name not in _FORMS:
        raise click.BadParameter(f"{value!r} cannot be exported; {did_you_mean(name, _FORMS)}")
    if name == "json" and equals:
        cure = f"--export json > {file}" if file else "--export json"
        raise click.BadParameter(f"{value!r}: json goes to standard output; write {cure}")
    if name == "prometheus" and not file:
        raise click.BadParameter(f"{value!r} needs a file: {_FORMS[name]}")
    return Export(name, Path(file) if file else None)
