"""Imports what a command does when it is called, so that ``--help`` need not wait for it."""

import importlib
from typing import Any


def load(name: str) -> Any:
    """Return what ``module:attribute`` names, and import the module for it.

    Examples:
        >>> load("agentmem_observe.units:format_seconds")(0.0015)
        '1.50 ms'
    """
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
