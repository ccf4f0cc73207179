"""Agents who all start at once, and what is noted of each."""

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agentmem_observe.clock import FakeClock
from agentmem_observe.errors import BenchmarkError
from agentmem_observe.model import Outcome
from agentmem_observe.workload.crew import work_together
from agentmem_observe.workload.driver import DriverOptions
from agentmem_observe.workload.operations import Operation, Script


def script(
    call: Callable[[int], Any], kinds: bytes = bytes(3), check: Any = None, other: Any = None
) -> Script:
    second = Operation("search_memory", other or (lambda number: None))
    return Script((Operation("create_memory", call, check), second), kinds)


def test_every_operation_of_every_agent_is_in_the_batch_of_its_kind() -> None:
    seen: list[int] = []

    shift = work_together([script(seen.append, bytes([0, 0, 1])) for _ in range(5)])

    assert [(batch.operation, len(batch)) for batch in shift.batches] == [
        ("create_memory", 10),
        ("search_memory", 5),
    ]
    assert sorted(seen) == [0] * 5 + [1] * 5
    assert shift.turn_seconds.shape == shift.active_seconds.shape == (5,)
    assert shift.turn_ok.all()


def test_no_agent_is_alone_with_its_first_operation() -> None:
    meeting = threading.Barrier(20)

    shift = work_together([script(lambda n: meeting.wait(30), bytes(1)) for _ in range(20)])

    assert shift.turn_ok.all()


def test_all_agents_are_ready_before_and_alive_after_what_is_around() -> None:
    alive: list[int] = []
    started: list[int] = []

    class Around:
        def __enter__(self) -> None:
            alive.append(threading.active_count())
            assert not started

        def __exit__(self, *exc: object) -> None:
            alive.append(threading.active_count())
            assert len(started) == 7 * 3

    before = threading.active_count()
    work_together([script(started.append) for _ in range(7)], around=Around())  # type: ignore[arg-type]

    assert alive == [before + 7, before + 7]
    assert threading.active_count() == before


def test_times_of_turns_begin_when_the_agent_could_have_begun() -> None:
    clock = FakeClock(10**12)

    def call(number: int) -> None:
        clock.advance(number + 1)

    def check(number: int, value: object) -> Outcome:
        clock.advance(10)  # judged between operations
        return Outcome.OK

    shift = work_together([script(call, bytes(4), check)], DriverOptions(clock), turns=2)

    assert (shift.batches[0].finished - shift.batches[0].started).tolist() == [
        1_000_000_000 * seconds for seconds in (1, 2, 3, 4)
    ]
    assert shift.turn_seconds.tolist() == pytest.approx([1 + 10 + 2, 10 + 3 + 10 + 4])
    assert shift.active_seconds.tolist() == pytest.approx([1 + 10 + 2, 3 + 10 + 4])
    assert shift.elapsed_seconds == pytest.approx(1 + 2 + 3 + 4 + 30)


def test_failures_are_counted_by_type_and_spoil_their_agents_turn_alone() -> None:
    def call(number: int) -> int:
        if number == 1:
            raise OSError
        if number == 3:
            raise TimeoutError
        return number

    def check(number: int, value: int) -> Outcome:
        return Outcome.WRONG if number == 5 else Outcome.OK

    shift = work_together([script(call, bytes(8), check)], turns=4)

    (batch, _) = shift.batches
    expected = [0] * 8
    expected[1], expected[3], expected[5] = Outcome.ERROR, Outcome.TIMEOUT, Outcome.WRONG
    assert batch.outcome.tolist() == expected
    assert batch.error_types == ("OSError",)
    assert shift.turn_ok.tolist() == [False, False, False, True]


def test_an_operation_beyond_the_time_limit_is_a_timeout() -> None:
    clock = FakeClock(10**12)
    slow = script(lambda number: clock.advance(3.0 if number else 1.0), bytes(2))

    shift = work_together([slow], DriverOptions(clock, timeout_seconds=2.0))

    assert shift.batches[0].outcome.tolist() == [Outcome.OK, Outcome.TIMEOUT]


def test_beyond_32_types_errors_are_counted_together() -> None:
    def call(number: int) -> None:
        raise type(f"Error{number}", (Exception,), {})

    shift = work_together([script(call, bytes(40))])

    assert len(shift.batches[0].error_types) == 33
    assert shift.batches[0].error_types[-1] == "other"
    assert (shift.batches[0].outcome == Outcome.ERROR + 32).sum() == 8


def test_what_a_check_raises_is_raised() -> None:
    def check(number: int, value: object) -> Outcome:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work_together([script(lambda n: None, check=check) for _ in range(3)])


def test_too_few_threads_are_an_error_that_leaves_none_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[object] = []
    start = threading.Thread.start

    def start_three(thread: threading.Thread) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_three)
    sent: list[int] = []
    before = threading.active_count()

    with pytest.raises(BenchmarkError, match="only 3 of 5 threads could be started"):
        work_together([script(sent.append) for _ in range(5)])

    assert threading.active_count() == before
    assert sent == []


def test_a_crowd_asks_for_the_interpreter_less_often_and_all_is_as_before_after() -> None:
    interval, stack = sys.getswitchinterval(), threading.stack_size()

    few = work_together([script(lambda n: None) for _ in range(10)])
    many = work_together([script(lambda n: None) for _ in range(200)])

    assert few.switch_interval_seconds == pytest.approx(interval)
    assert many.switch_interval_seconds == pytest.approx(200 / 20_000)
    assert sys.getswitchinterval() == interval
    assert threading.stack_size() == stack


def test_agents_are_let_go_when_what_is_around_fails() -> None:
    class Around:
        def __enter__(self) -> None:
            raise OSError("no probe")

        def __exit__(self, *exc: object) -> None: ...

    before = threading.active_count()

    with pytest.raises(OSError, match="no probe"):
        work_together([script(lambda n: None) for _ in range(4)], around=Around())  # type: ignore[arg-type]

    assert threading.active_count() == before
