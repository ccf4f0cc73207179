"""A real Prometheus, and what may be in a registry."""

import numpy as np
import pytest

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry.catalog import OPERATION_LATENCY, OPERATIONS
from agentmem_observe.telemetry.registry import Family, MetricRegistry
from tests.prometheus import prometheus_version, promtool, start_prometheus

__all__ = ["prometheus_version", "promtool", "start_prometheus"]  # fixtures for all tests here

_MICROSECOND = Histogram()
_MICROSECOND.record(np.array([1000]))

HOSTILE_VALUES = (
    "",
    " ",
    "a\nb",
    "a\r\nb",
    'a"b',
    "a\\b",
    "a\\",
    "a\\n",
    '"} 1\nforged{a="b',
    '"} 1 # {trace_id="x"} 1',
    "# EOF",
    "# HELP x y",
    "nul\x00nul",
    "\x7f\x1b[31m",
    "\x85\u2028\ufeff",
    "ümlaut 漢字 🧠",
    "lone \ud83e surrogate",
    b"not UTF-8 \xff\xfe".decode("utf-8", "surrogateescape"),
    "x" * 10_000,
    "🧠" * 10_000,
    "\\" * 10_000,
)


@pytest.fixture
def hostile_values() -> tuple[str, ...]:
    """Return label values that somebody might send who means no good."""
    return HOSTILE_VALUES


@pytest.fixture(scope="session")
def hostile_families() -> list[Family]:
    """Return what becomes of them: a counter and a histogram for each that differs in the end."""
    registry = MetricRegistry()
    for value in HOSTILE_VALUES:
        labels = dict.fromkeys(OPERATIONS.labels, value)
        registry.add(OPERATIONS, labels, 1)
        registry.merge(OPERATION_LATENCY, labels, _MICROSECOND)
    return registry.collect()


@pytest.fixture(scope="session")
def bomb() -> MetricRegistry:
    """Return a registry that was told of 100,000 operations, one series each."""
    registry = MetricRegistry(series_limit=300)
    labels = dict.fromkeys(OPERATIONS.labels, "x")
    for number in range(100_000):
        labels["operation"] = f"operation {number}"
        registry.add(OPERATIONS, labels, 1)
        registry.merge(OPERATION_LATENCY, labels, _MICROSECOND)
    return registry
