"""Imports what reading results need not wait for: pages, and what the extra ``report`` brings."""

import importlib
from typing import Any

from agentmem_observe.errors import UsageError

EXTRA = "report"
"""Of our distribution; brings `PACKAGES`."""

PACKAGES = ("matplotlib", "pandas")


def load(name: str) -> Any:
    """Return what ``module:attribute`` names, and import the module for it.

    Raises:
        UsageError: If it needs a package of the extra, which is not there.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        raise UsageError(
            f"this needs the package {package!r}: pip install 'agentmem-observe[{EXTRA}]'"
        ) from error
