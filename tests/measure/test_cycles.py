"""Blocks per cycle on the real process: exact, and nothing of the harness in them."""

import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agentmem_observe.analysis.leaks import judge_cycles
from agentmem_observe.measure.cycles import (
    CycleProbe,
    run_cycles,
    store_and_delete,
    traced_bytes_per_cycle,
)
from agentmem_observe.targets.fake import FakeScript, FakeTarget
from agentmem_observe.targets.registry import build_target

CYCLES = 10
OPERATIONS = 2000  # of a cycle; 20,000 in all


@pytest.fixture(autouse=True)
def _collections_of_the_test_only() -> Iterator[None]:
    gc.collect()
    gc.freeze()  # what the test run holds would make each of hundreds of collections 40 ms long
    yield
    gc.unfreeze()


def opened(script: FakeScript | None = None) -> FakeTarget:
    target = FakeTarget(script)
    target.open()
    return target


def test_one_leaked_object_in_a_thousand_operations_is_found_within_twenty_thousand() -> None:
    target = opened(FakeScript(leaks_one_in=1000))

    readings = run_cycles(store_and_delete(target, OPERATIONS // 2), CYCLES)

    verdict = judge_cycles(readings.blocks, OPERATIONS)
    assert target.leaked_objects == 20
    assert verdict.verdict == "leak"
    assert verdict.blocks_per_operation == 1e-3


def test_cycles_of_five_thousand_show_the_five_objects_that_each_leaks() -> None:
    target = opened(FakeScript(leaks_one_in=1000))

    readings = run_cycles(store_and_delete(target, 2500), 4)

    assert np.diff(readings.blocks)[1:].tolist() == [5, 5]


def test_thirty_clean_runs_raise_no_alarm() -> None:
    verdicts = []
    for _ in range(30):
        readings = run_cycles(store_and_delete(opened(), OPERATIONS // 2), CYCLES)
        verdicts.append(judge_cycles(readings.blocks, OPERATIONS).verdict)

    assert set(verdicts) == {"none"}


def test_the_embedded_memory_gives_back_every_block(tmp_path: Path) -> None:
    target = build_target("embedded", tmp_path)
    target.open()

    readings = run_cycles(store_and_delete(target, OPERATIONS // 2), CYCLES)
    target.close()

    assert judge_cycles(readings.blocks, OPERATIONS).verdict == "none"
    # In most cycles, to the block; the runner of the tests has threads with blocks of their own.
    assert np.median(np.diff(readings.blocks)[2:]) == 0


def test_a_cycle_that_does_nothing_shows_no_block_of_the_probe_itself() -> None:
    readings = run_cycles(lambda: None, 12)

    assert not np.diff(readings.blocks)[1:].any()


def test_garbage_in_reference_cycles_is_not_a_leak() -> None:
    def cycle() -> None:
        ring: list[object] = []
        ring.append(ring)

    gc.disable()
    try:
        readings = run_cycles(cycle, 8)
    finally:
        gc.enable()

    assert not np.diff(readings.blocks)[1:].any()


def test_the_heap_is_read_as_well_where_psutil_knows_it() -> None:
    readings = run_cycles(lambda: None, 3)

    assert len(readings.heap_bytes) == 3
    assert min(readings.heap_bytes) > 0


def test_no_heap_is_reported_where_psutil_can_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("psutil.heap_info")

    readings = run_cycles(lambda: None, 3)

    assert (len(readings.blocks), readings.heap_bytes) == (3, ())


def test_the_probe_has_room_for_the_cycles_it_was_told_of() -> None:
    probe = CycleProbe(1)
    probe.read()

    with pytest.raises(IndexError):
        probe.read()
    with pytest.raises(ValueError, match="cycles is 0"):
        CycleProbe(0)


def test_traced_bytes_are_those_of_the_leaked_objects() -> None:
    kept: list[bytearray] = []

    traced = traced_bytes_per_cycle(lambda: kept.append(bytearray(10_000)), cycles=5)

    assert traced == pytest.approx(10_000, rel=0.02)
    assert not tracemalloc.is_tracing()


def test_tracing_that_others_started_is_left_alone() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RuntimeError, match="tracemalloc is in use"):
            traced_bytes_per_cycle(lambda: None)

        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
