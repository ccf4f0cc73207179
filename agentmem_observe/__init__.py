"""Performance observability of AI-agent memory."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentmem_observe.bench.runner import BenchmarkRunner
    from agentmem_observe.config import BenchmarkConfig
    from agentmem_observe.results.store import BenchmarkResults

__version__ = "0.1.0"
__all__ = ["BenchmarkConfig", "BenchmarkResults", "BenchmarkRunner", "__version__"]

_HOMES = {
    "BenchmarkConfig": "agentmem_observe.config",
    "BenchmarkResults": "agentmem_observe.results.store",
    "BenchmarkRunner": "agentmem_observe.bench.runner",
}
"""Where each public class lives; loaded when asked for, so that ``--help`` stays quick."""


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker that saw it would accept every name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value
