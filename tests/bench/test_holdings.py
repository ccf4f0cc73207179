"""What a target holds is asked for, and never costs a run its result."""

from typing import Any

import numpy as np
import pytest

from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.holdings import report_holdings
from agentmem_observe.model import Record
from agentmem_observe.targets.embedded import EmbeddedMemory, EmbeddedOptions
from agentmem_observe.telemetry import catalog

Gauges = dict[tuple[str, ...], float]


def holdings(target: Any) -> Gauges:
    found: Gauges = {}
    report_holdings(
        target,
        lambda metric, labels, value: found.update({(metric.name, *labels.values()): value}),
    )
    return found


@pytest.fixture
def memory(tmp_path):
    memory = EmbeddedMemory(EmbeddedOptions(dimensions=16, background=False), tmp_path / "memory")
    memory.open()
    yield memory
    memory.close()


def test_records_and_bytes_are_told_by_tier(memory) -> None:
    for number in range(3):
        memory.store(Record("agent", f"r{number}", content="hello", tier="im"))

    found = holdings(memory)

    assert found["agentmem_memory_records", "im"] == 3
    assert found["agentmem_memory_records", "ltm"] == 0
    assert found["agentmem_memory_bytes", "im"] > 0
    assert found["agentmem_probe_success", "target"] == 1


@pytest.mark.parametrize(
    ("method", "answer"),
    [("count", None), ("stats", None), ("stats", {"stm_index_bytes": "many"}), ("info", None)],
)
def test_a_target_that_answers_nonsense_is_a_probe_that_failed(
    memory, monkeypatch, method, answer
) -> None:
    monkeypatch.setattr(memory, method, lambda **kwargs: answer)

    assert holdings(memory) == {("agentmem_probe_success", "target"): 0}


def test_numbers_of_numpy_are_numbers(memory, monkeypatch) -> None:
    monkeypatch.setattr(memory, "count", lambda **kwargs: np.int64(7))

    found = holdings(memory)

    assert type(found["agentmem_memory_records", "stm"]) is float


def test_nobody_is_asked_if_nothing_is_exported(tmp_path, monkeypatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(EmbeddedMemory, "stats", lambda self: asked.append("stats") or {})
    observed: list[float] = []

    for observe in (None, lambda metric, labels, value: observed.append(value)):
        with Bench("embedded", tmp_path, lambda *report: None, observe=observe).target():
            pass

    assert asked == ["stats"]
    assert observed


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        (catalog.OPERATIONS, {}),
        (catalog.VALIDITY, {"verdict": "valid"}),
        (catalog.MEMORY_RECORDS, {}),
        (catalog.LOAD_OFFERED, {"tier": "stm"}),
    ],
)
def test_a_benchmark_cannot_observe_what_is_no_gauge_of_its_run(tmp_path, metric, labels) -> None:
    bench = Bench("fake", tmp_path, lambda *report: None)

    with pytest.raises(ValueError, match=metric.name):
        bench.observe(metric, labels, 1)
