"""What needs the extra ``report`` is loaded by name, with an error that says how to get it."""

import importlib
from typing import Any

from agentmem_observe.errors import UsageError

EXTRA = "report"
"""Brings pandas and matplotlib."""


def from_extra(name: str) -> Any:
    """Return what ``module:attribute`` names, a module of ours that imports the extra.

    Raises:
        UsageError: If a package of the extra is missing.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise UsageError(
            f"this needs the package {package!r}: pip install 'agentmem-observe[{EXTRA}]'"
        ) from error
