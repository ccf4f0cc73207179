"""The fake is truthful until scripted, and departs from the truth exactly as scripted."""

import contextlib
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.clock import FakeClock
from agentmem_observe.errors import TargetError, UnsupportedError, UsageError
from agentmem_observe.model import Record
from agentmem_observe.targets.base import Capability
from agentmem_observe.targets.fake import FakeScript, FakeTarget, Freeze
from agentmem_observe.targets.registry import build_target

MS = 1_000_000
SECOND = 1000 * MS


def opened(clock: FakeClock | None = None, **script: Any) -> FakeTarget:
    target = FakeTarget(FakeScript(**script), clock or FakeClock())
    target.open()
    return target


def a_record(number: int, agent_id: str = "agent", tier: str | None = None) -> Record:
    return Record(agent_id, f"record-{number}", content=f"content {number}", tier=tier)


def durations_ns(clock: FakeClock, operation: Callable[[], object], times: int) -> list[int]:
    durations = []
    for _ in range(times):
        start_ns = clock.now_ns()
        operation()
        durations.append(clock.now_ns() - start_ns)
    return durations


# --- time ---


def test_an_unscripted_operation_takes_no_time() -> None:
    clock = FakeClock()
    target = opened(clock)

    target.store(a_record(1))
    target.search("agent", "content 1", 1)

    assert clock.now_ns() == 0


def test_every_operation_takes_the_constant_service_time() -> None:
    clock = FakeClock()
    target = opened(clock, service_seconds=0.001)
    operations: list[Callable[[], object]] = [
        lambda: target.store(a_record(1, tier="stm")),
        lambda: target.store_many([a_record(2), a_record(3)]),
        lambda: target.retrieve("agent", "record-1"),
        lambda: target.search("agent", "content 1", 1),
        lambda: target.count(),
        lambda: target.transition("stm", "im", fraction=1.0),
        lambda: target.delete("agent", "record-1"),
    ]

    taken = [durations_ns(clock, operation, 1) for operation in operations]

    assert taken == [[MS]] * 7


def test_a_sequence_of_service_times_is_repeated() -> None:
    clock = FakeClock()
    target = opened(clock, service_seconds=(0.001, 0.005))

    taken = durations_ns(clock, lambda: target.store(a_record(1)), 4)

    assert taken == [MS, 5 * MS, MS, 5 * MS]


def test_an_operation_can_have_a_service_time_of_its_own() -> None:
    clock = FakeClock()
    target = opened(clock, service_seconds=0.001, search_seconds=0.02, retrieve_seconds=0.0)

    assert durations_ns(clock, lambda: target.store(a_record(1)), 1) == [MS]
    assert durations_ns(clock, lambda: target.search("agent", "content 1", 1), 1) == [20 * MS]
    assert durations_ns(clock, lambda: target.retrieve("agent", "record-1"), 1) == [0]


def test_log_normal_service_times_have_the_scripted_median_and_are_seeded() -> None:
    def sample(seed: int) -> list[int]:
        clock = FakeClock()
        target = opened(clock, service_seconds=0.001, service_sigma=0.5, seed=seed)
        return durations_ns(clock, lambda: target.retrieve("agent", "none"), 2000)

    first = sample(seed=7)

    assert first == sample(seed=7)
    assert first != sample(seed=8)
    assert statistics.median(first) == pytest.approx(MS, rel=0.05)
    assert statistics.pstdev(np.log(first).tolist()) == pytest.approx(0.5, rel=0.05)


def test_a_frozen_operation_is_prolonged_by_what_it_loses() -> None:
    clock = FakeClock()
    freeze = Freeze(every_seconds=10, for_seconds=1, first_seconds=5)
    target = opened(clock, service_seconds=0.002, freeze=freeze)

    clock.sleep_until_ns(5 * SECOND - MS)
    running = durations_ns(clock, lambda: target.store(a_record(1)), 1)
    clock.sleep_until_ns(15 * SECOND + 400 * MS)
    beginning = durations_ns(clock, lambda: target.store(a_record(1)), 1)
    free = durations_ns(clock, lambda: target.store(a_record(1)), 1)

    assert running == [SECOND + 2 * MS]
    assert beginning == [600 * MS + 2 * MS]
    assert free == [2 * MS]


def test_freezes_are_counted_from_open() -> None:
    clock = FakeClock(start_ns=123_456_789)
    target = FakeTarget(FakeScript(freeze=Freeze(10, 1, first_seconds=0)), clock)

    clock.advance(7)
    target.open()

    assert durations_ns(clock, lambda: target.store(a_record(1)), 2) == [SECOND, 0]


@pytest.mark.parametrize("serial_ratio", [0.0, 0.3, 1.0])
def test_an_operation_that_ends_as_a_freeze_begins_is_not_prolonged(serial_ratio: float) -> None:
    clock = FakeClock()
    freeze = Freeze(every_seconds=10, for_seconds=1, first_seconds=0.001)
    target = opened(clock, service_seconds=0.001, freeze=freeze, serial_ratio=serial_ratio)

    assert durations_ns(clock, lambda: target.store(a_record(1)), 1) == [MS]


def finish_by_steps(freeze: Freeze, start: int, work: int) -> int:
    """Walk second by second: the slow truth that `Freeze.finish_ns` must equal."""
    assert freeze.first_seconds is not None
    now, left = start, work

    def is_frozen(second: int) -> bool:
        since = second - freeze.first_seconds
        return since >= 0 and since % freeze.every_seconds < freeze.for_seconds

    while left or (not work and is_frozen(now)):
        left -= 0 if is_frozen(now) else 1
        now += 1
    return now


@given(
    every=st.integers(2, 9),
    frozen=st.integers(1, 8),
    first=st.integers(0, 12),
    start=st.integers(0, 40),
    work=st.integers(0, 40),
)
def test_a_freeze_costs_exactly_its_windows(
    every: int, frozen: int, first: int, start: int, work: int
) -> None:
    freeze = Freeze(every, min(frozen, every - 1), first)

    finish_ns = freeze.finish_ns(start * SECOND, work * SECOND)

    assert finish_ns == finish_by_steps(freeze, start, work) * SECOND


def test_the_frozen_server_of_the_literature_has_its_analytic_tail() -> None:
    clock = FakeClock()
    target = opened(clock, service_seconds=0.001, freeze=Freeze(10, 1, first_seconds=5))
    latencies = []

    for due_ns in range(0, 60 * SECOND, 10 * MS):
        clock.sleep_until_ns(due_ns)
        target.store(a_record(1))
        latencies.append(clock.now_ns() - due_ns)

    # One of 100 arrivals per freeze waits 1001 ms, each later one 9 ms less.
    assert max(latencies) == 1001 * MS
    assert np.percentile(latencies, 99) == pytest.approx(911.1 * MS, rel=1e-4)
    assert np.percentile(latencies, 95) == pytest.approx(551.5 * MS, rel=1e-3)


def test_half_of_a_period_passes_before_the_first_freeze_if_nothing_is_said() -> None:
    freeze = Freeze(every_seconds=10, for_seconds=1)

    assert freeze.finish_ns(5 * SECOND - 1, 1) == 5 * SECOND
    assert freeze.finish_ns(5 * SECOND, 1) == 6 * SECOND + 1


class Meeting(FakeClock):
    """A clock that lets sleepers wait for each other and counts those that met."""

    def __init__(self, expected: int, patience_seconds: float) -> None:
        super().__init__()
        self.met: list[int] = []
        self._barrier = threading.Barrier(expected)
        self._patience_seconds = patience_seconds

    def sleep_until_ns(self, deadline_ns: int) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):  # nobody came
            self._barrier.wait(self._patience_seconds)
            self.met.append(deadline_ns)


@pytest.mark.parametrize(
    ("serial_ratio", "patience_seconds", "met"), [(0.0, 10.0, 2), (1.0, 0.05, 0)]
)
def test_a_serial_section_serves_one_operation_at_a_time(
    serial_ratio: float, patience_seconds: float, met: int
) -> None:
    clock = Meeting(2, patience_seconds)
    target = opened(clock, service_seconds=0.001, serial_ratio=serial_ratio)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: target.store(a_record(number)), range(2)))

    assert len(clock.met) == met


def test_a_serial_section_and_the_rest_add_up_to_the_service_time() -> None:
    clock = FakeClock()
    target = opened(clock, service_seconds=0.001, serial_ratio=0.3)

    assert durations_ns(clock, lambda: target.store(a_record(1)), 3) == [MS] * 3


# --- failing ---


def outcomes(operation: Callable[[], object], times: int) -> list[str]:
    seen = []
    for _ in range(times):
        try:
            operation()
        except Exception as error:  # the type is what is asked for
            seen.append(type(error).__name__)
        else:
            seen.append("ok")
    return seen


def test_every_nth_operation_fails_with_the_scripted_error() -> None:
    target = opened(error_one_in=3, error=TimeoutError)

    seen = outcomes(lambda: target.store(a_record(1)), 6)

    assert seen == ["ok", "ok", "TimeoutError"] * 2


def test_a_share_of_the_operations_fails_and_the_seed_says_which() -> None:
    def sample(seed: int) -> list[str]:
        target = opened(error_ratio=0.25, seed=seed)
        return outcomes(lambda: target.retrieve("agent", "none"), 2000)

    first = sample(seed=1)

    assert first.count("TargetError") == pytest.approx(500, abs=60)
    assert first == sample(seed=1)
    assert first != sample(seed=2)


def test_a_failing_store_keeps_nothing() -> None:
    target = opened(error_one_in=2)

    seen = [outcomes(lambda n=n: target.store(a_record(n)), 1) for n in range(2)]

    assert seen == [["ok"], ["TargetError"]]
    assert target.retrieve("agent", "record-1") is None


@pytest.mark.parametrize(("fails_fast", "taken"), [(False, [MS, MS]), (True, [MS, 0])])
def test_a_failure_takes_the_service_time_unless_it_fails_fast(
    fails_fast: bool, taken: list[int]
) -> None:
    clock = FakeClock()
    target = opened(clock, service_seconds=0.001, error_one_in=2, fails_fast=fails_fast)

    assert durations_ns(clock, lambda: outcomes(lambda: target.store(a_record(1)), 1), 2) == taken


def test_it_answers_with_nothing_as_often_as_scripted() -> None:
    target = opened(returns_nothing_one_in=2)
    target.store(a_record(1))

    retrieved = [target.retrieve("agent", "record-1") is None for _ in range(4)]
    searched = [target.search("agent", "content 1", 1) == [] for _ in range(4)]

    assert retrieved == [False, True, False, True]
    assert searched == [False, True, False, True]


@pytest.mark.parametrize("stored", [["record-1"], ["record-1", "record-2"]])
def test_it_answers_with_somebody_elses_record_as_often_as_scripted(stored: list[str]) -> None:
    target = opened(returns_wrong_one_in=2)
    for record_id in stored:
        target.store(Record("agent", record_id, content=record_id))

    answers = [target.retrieve("agent", "record-1") for _ in range(4)]

    rights = [a is not None and (a.record_id, a.content) == ("record-1",) * 2 for a in answers]
    assert rights == [True, False, True, False]
    assert None not in answers


def test_wrong_neighbours_are_the_farthest_with_the_scores_of_the_nearest() -> None:
    target = opened(wrong_neighbours_one_in=2)
    axes = np.eye(4, dtype=np.float32)
    for number, share in enumerate((0.0, 0.3, 0.6, 0.9)):
        vector = (1 - share) * axes[0] + share * axes[1]
        target.store(Record("agent", f"record-{number}", vector=vector))

    true = target.search("agent", None, 2, vector=axes[0])
    false = target.search("agent", None, 2, vector=axes[0])

    assert [hit.record_id for hit in true] == ["record-0", "record-1"]
    assert [hit.record_id for hit in false] == ["record-3", "record-2"]
    assert [hit.score for hit in false] == [hit.score for hit in true]


# --- losing ---


@pytest.mark.parametrize(("count_lies", "counted"), [(False, 8), (True, 10)])
def test_every_nth_store_is_acknowledged_and_lost(count_lies: bool, counted: int) -> None:
    target = opened(loses_one_in=5, count_lies=count_lies)

    acknowledged = [target.store(a_record(number)) for number in range(1, 11)]

    kept = [n for n in range(1, 11) if target.retrieve("agent", f"record-{n}") is not None]
    assert acknowledged == [f"record-{number}" for number in range(1, 11)]
    assert kept == [1, 2, 3, 4, 6, 7, 8, 9]
    assert (target.count(), target.count("agent", "stm")) == (counted, counted)


def test_a_bulk_store_loses_its_share_too() -> None:
    target = opened(loses_one_in=5)

    target.store_many([a_record(number) for number in range(10)])

    assert target.count() == 8


@pytest.mark.parametrize(
    ("script", "left", "arrived"),
    [
        ({}, 0, 10),
        ({"transition_loses_one_in": 5}, 0, 8),
        ({"transition_duplicates_one_in": 5}, 2, 10),
    ],
)
def test_a_transition_loses_or_duplicates_as_scripted(
    script: dict[str, int], left: int, arrived: int
) -> None:
    target = opened(**script)
    for number in range(10):
        target.store(a_record(number, tier="stm"))

    moved = target.transition("stm", "im", fraction=1.0)

    assert moved == 10
    assert (target.count(tier="stm"), target.count(tier="im")) == (left, arrived)


def test_leaked_objects_are_counted_kept_and_survive_closing() -> None:
    target = opened(leaks_one_in=4, leak_bytes=1000)

    for number in range(10):
        target.store(a_record(number))
    target.delete("agent", "record-1")
    target.close()

    assert target.leaked_objects == 2
    assert target.stats() == {"leaked_objects_total": 2.0}


def test_each_leaked_object_is_an_object_of_its_own_with_its_bytes() -> None:
    target = opened(leaks_one_in=1, leak_bytes=1000)

    for number in range(3):
        target.store(a_record(number))

    assert len({id(leaked) for leaked in target._leaked}) == 3
    assert [len(leaked) for leaked in target._leaked] == [1000] * 3


# --- hanging, dying, lacking ---


def test_a_hanging_operation_answers_only_when_the_target_is_closed() -> None:
    target = opened(hangs_at=2)
    target.store(a_record(1))

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(target.store, a_record(2))
        with pytest.raises(TimeoutError):
            hanging.result(timeout=0.05)
        target.close()

        with pytest.raises(TargetError, match="hung, as scripted"):
            hanging.result(timeout=10)


DYING = """
from pathlib import Path
from agentmem_observe.model import Record
from agentmem_observe.targets.registry import build_target

target = build_target("fake?dies_at=3", Path())
for number in range(1, 5):
    print(number, flush=True)
    target.store(Record("agent", str(number)))
"""


def test_a_dying_target_takes_its_process_along() -> None:
    process = subprocess.run([sys.executable, "-c", DYING], capture_output=True, timeout=60)

    assert process.returncode == -signal.SIGKILL
    assert process.stdout.split() == [b"1", b"2", b"3"]


def test_what_it_lacks_it_neither_claims_nor_does() -> None:
    target = opened(lacks=(Capability.TIERS, Capability.DELETE))

    target.store(a_record(1))

    info = target.info()
    assert info.tiers == ()
    assert not info.capabilities & {Capability.TIERS, Capability.TRANSITION, Capability.DELETE}
    assert [hit.tier for hit in target.search("agent", "content 1", 1)] == [None]
    with pytest.raises(UnsupportedError, match="'delete'"):
        target.delete("agent", "record-1")
    with pytest.raises(UnsupportedError, match="'tiers'"):
        target.store(a_record(1, tier="stm"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stm", "itm", {"fraction": 1.0}), "no tier 'itm'; did you mean 'im'"),
        (("im", "stm", {"fraction": 1.0}), "stm is not older than im; records only age"),
        (("stm", "im", {}), "either fraction or record_ids"),
        (("stm", "im", {"fraction": 1.0, "record_ids": []}), "either fraction or record_ids"),
        (("stm", "im", {"fraction": 0.0}), "fraction is 0.0; give more than 0 and at most 1"),
        (("stm", "im", {"record_ids": ["record-1"]}), "need the agent_id"),
    ],
)
def test_a_senseless_transition_is_refused(
    arguments: tuple[str, str, dict[str, Any]], message: str
) -> None:
    source, destination, choice = arguments

    with pytest.raises(ValueError, match=message):
        opened().transition(source, destination, **choice)


def test_an_unknown_tier_is_refused() -> None:
    with pytest.raises(ValueError, match="no tier 'smt'; did you mean 'stm'"):
        opened().store(a_record(1, tier="smt"))


# --- scripts ---


@pytest.mark.parametrize(
    "script",
    [
        {"service_seconds": -1.0},
        {"service_seconds": ()},
        {"service_seconds": (0.1, float("nan"))},
        {"search_seconds": float("inf")},
        {"service_sigma": -0.1},
        {"serial_ratio": 1.1},
        {"error_ratio": -0.1},
        {"loses_one_in": -1},
        {"dies_at": -1},
        {"leak_bytes": 1},
        {"lacks": (Capability.TTL,)},
    ],
    ids=str,
)
def test_a_script_out_of_range_names_its_field(script: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(script))):
        FakeScript(**script)


@pytest.mark.parametrize("freeze", [(1, 1), (1, 2), (1, 0), (float("inf"), 1), (10, 1, -1)])
def test_a_freeze_out_of_range_is_refused(freeze: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="a freeze needs"):
        Freeze(*freeze)


def built(text: str) -> FakeScript:
    target = build_target(text, Path())
    assert isinstance(target, FakeTarget)
    return target.script


def test_a_spec_sets_the_fields_of_the_script_by_name() -> None:
    script = built(
        "fake?service_seconds=0.001&search_seconds=0.1,0.2&freeze_every_seconds=10"
        "&freeze_for_seconds=1&loses_one_in=1000&count_lies=true&error=TimeoutError"
        "&lacks=transition&seed=3"
    )

    assert script == FakeScript(
        service_seconds=0.001,
        search_seconds=(0.1, 0.2),
        freeze=Freeze(10, 1),
        loses_one_in=1000,
        count_lies=True,
        error=TimeoutError,
        lacks=(Capability.TRANSITION,),
        seed=3,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("loses_one_inn=1", "no option 'loses_one_inn'; did you mean 'loses_one_in'?"),
        ("loses_one_in=few", "option 'loses_one_in=few': expected `int`"),
        ("loses_one_in=-1", "loses_one_in must be >= 0, not -1"),
        ("count_lies=perhaps", "option 'count_lies=perhaps': expected `bool`"),
        ("error=Nothing", "option 'error=Nothing': no built-in exception 'Nothing'"),
        ("error=len", "option 'error=len': no built-in exception 'len'"),
        ("freeze_every_seconds=1", "needs option 'freeze_for_seconds' too"),
        ("freeze_ever_seconds=1", "did you mean 'freeze_every_seconds'?"),
        ("lacks=flying", "option 'lacks=flying': invalid enum value 'flying'"),
    ],
)
def test_a_wrong_option_is_named_with_its_cure(options: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        built(f"fake?{options}")

    assert message in str(caught.value)


def test_its_notes_tell_a_reader_of_the_numbers_what_was_scripted() -> None:
    assert FakeTarget().info().notes == {}
    assert opened(loses_one_in=7).info().notes == {"loses_one_in": "7"}
