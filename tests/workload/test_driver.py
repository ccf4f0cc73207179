"""The driver on a virtual clock: what it times, and what it makes of it."""

import threading

import numpy as np
import pytest

from agentmem_observe.clock import FakeClock
from agentmem_observe.measure.recorder import Aggregate, fold
from agentmem_observe.model import Outcome
from agentmem_observe.workload.arrivals import Constant
from agentmem_observe.workload.driver import (
    LARGEST_BLOCK,
    DriverOptions,
    Times,
    closed_loop,
    open_loop,
)
from agentmem_observe.workload.operations import Operation, Script, mixed, repeat


class Scripted:
    """A call that takes the given virtual seconds in turn; raises a given exception instead."""

    def __init__(self, clock, *durations):
        self.clock = clock
        self.durations = durations
        self.numbers = []

    def __call__(self, number):
        self.numbers.append(number)
        step = self.durations[number % len(self.durations)]
        if isinstance(step, Exception):
            raise step
        self.clock.advance(step)
        return number


@pytest.fixture
def clock():
    return FakeClock(start_ns=10**12)


def drive_open(clock, call, *, rate, seconds, check=None, timeout=30.0):
    batches = []
    script = repeat(Operation("create_memory", call, check, "stm"), round(rate * seconds))
    load = open_loop(
        script, Constant(rate, seconds), batches.append, DriverOptions(clock, timeout)
    )
    return load, batches


def seconds(array):
    return (array * 1e-9).round(9).tolist()


def test_a_stall_shows_up_in_the_latency_of_the_operations_behind_it(clock):
    call = Scripted(clock, 0.1, 2.5, 0.1, 0.1)

    _, [first, *rest] = drive_open(clock, call, rate=1, seconds=4)

    latency = np.concatenate([b.finished - b.intended for b in (first, *rest)])
    assert seconds(latency) == [0.1, 2.5, 1.6, 0.7]


def test_service_time_and_lateness_are_kept_apart_from_latency(clock):
    call = Scripted(clock, 0.1, 2.5, 0.1, 0.1)

    _, batches = drive_open(clock, call, rate=1, seconds=4)

    service = np.concatenate([b.finished - b.started for b in batches])
    lateness = np.concatenate([b.started - b.intended for b in batches])
    assert seconds(service) == [0.1, 2.5, 0.1, 0.1]
    assert seconds(lateness) == [0.0, 0.0, 1.5, 0.6]


def test_waiting_for_a_busy_worker_is_not_the_generators_own_delay(clock):
    call = Scripted(clock, 0.1, 2.5, 0.1, 0.1)

    _, batches = drive_open(clock, call, rate=1, seconds=4)

    dispatch_delay = np.concatenate([b.started - b.ready for b in batches])
    assert seconds(dispatch_delay) == [0.0] * 4


def test_a_generator_that_oversleeps_has_a_dispatch_delay(clock):
    class Sleepy(FakeClock):
        def sleep_until_ns(self, deadline_ns):
            super().sleep_until_ns(deadline_ns + 50_000_000)

    sleepy = Sleepy(start_ns=10**12)

    _, batches = drive_open(sleepy, Scripted(sleepy, 0.001), rate=1, seconds=3)

    dispatch_delay = np.concatenate([b.started - b.ready for b in batches])
    assert seconds(dispatch_delay) == [0.0, 0.05, 0.05]


def test_operations_are_due_at_absolute_times_whatever_the_target_does(clock):
    began = clock.now_ns()

    _, batches = drive_open(clock, Scripted(clock, 0.3), rate=10, seconds=2)

    intended = np.concatenate([b.intended for b in batches]) - began
    assert intended.tolist() == [number * 100_000_000 for number in range(20)]


def test_an_overloaded_target_gets_every_operation_and_the_load_says_how_long_it_took(clock):
    load, batches = drive_open(clock, Scripted(clock, 0.5), rate=10, seconds=2)

    assert sum(len(b) for b in batches) == load.operations == 20
    assert load.elapsed_seconds == pytest.approx(10.0)
    assert load.offered_rate == 10


def test_every_exception_is_counted_under_its_type_and_timeouts_apart(clock):
    call = Scripted(clock, 0.1, ConnectionError(), TimeoutError(), ValueError(), ConnectionError())

    _, batches = drive_open(clock, call, rate=5, seconds=1)

    aggregate = Aggregate()
    for batch in batches:
        aggregate.merge(fold(batch))
    assert aggregate.outcomes() == {
        "ok": 1,
        "error:ConnectionError": 2,
        "error:ValueError": 1,
        "timeout": 1,
    }


def test_an_answer_after_the_time_limit_is_a_timeout(clock):
    call = Scripted(clock, 0.1, 0.6)

    _, batches = drive_open(clock, call, rate=1, seconds=2, timeout=0.5)

    outcome = np.concatenate([b.outcome for b in batches])
    assert outcome.tolist() == [Outcome.OK, Outcome.TIMEOUT]


def test_what_comes_back_is_judged_outside_of_the_timed_stretch(clock):
    def check(number, value):
        clock.advance(0.2)
        return Outcome.WRONG if value == 1 else Outcome.OK

    _, batches = drive_open(clock, Scripted(clock, 0.1), rate=1, seconds=3, check=check)

    service = np.concatenate([b.finished - b.started for b in batches])
    outcome = np.concatenate([b.outcome for b in batches])
    assert seconds(service) == [0.1] * 3
    assert outcome.tolist() == [Outcome.OK, Outcome.WRONG, Outcome.OK]


def test_labels_stay_bounded_however_many_exception_types_a_target_raises(clock):
    kinds = [type(f"Error{number}", (Exception,), {}) for number in range(100)]
    call = Scripted(clock, *(kind() for kind in kinds))

    _, batches = drive_open(clock, call, rate=100, seconds=1)

    aggregate = Aggregate()
    for batch in batches:
        aggregate.merge(fold(batch))
    assert len(aggregate.outcomes()) == 33
    assert aggregate.outcomes()["error:other"] == 68


def test_a_closed_loop_sends_as_fast_as_answers_come_and_knows_no_lateness(clock):
    batches = []
    script = repeat(Operation("create_memory", Scripted(clock, 0.25)), 8)

    load = closed_loop([script], batches.append, DriverOptions(clock))

    assert load.elapsed_seconds == pytest.approx(2.0)
    assert load.offered_rate is None
    assert all(batch.intended is None for batch in batches)


def test_time_spent_checking_and_folding_is_no_part_of_a_closed_loops_length(clock):
    def check(number, value):
        clock.advance(3)
        return Outcome.OK

    script = repeat(Operation("create_memory", Scripted(clock, 0.25), check), 8)

    load = closed_loop([script], lambda batch: clock.advance(5), DriverOptions(clock))

    assert load.elapsed_seconds == pytest.approx(2.0)


def test_slow_operations_are_folded_one_by_one_and_quick_ones_in_growing_blocks(clock):
    slow, quick = [], []

    closed_loop(
        [repeat(Operation("o", Scripted(clock, 2.0)), 6)], slow.append, DriverOptions(clock)
    )
    closed_loop(
        [repeat(Operation("o", Scripted(clock, 1e-6)), 7)], quick.append, DriverOptions(clock)
    )

    assert [len(batch) for batch in slow] == [1, 1, 1, 1, 1, 1]
    assert [len(batch) for batch in quick] == [1, 2, 4]


def test_each_kind_of_a_mixed_script_gets_batches_of_its_own(clock):
    store = Operation("create_memory", Scripted(clock, 0.1), tier="stm")
    search = Operation("search_memory", Scripted(clock, 0.3))
    batches = []

    closed_loop(
        [Script((store, search), bytes([0, 1, 1, 0]))], batches.append, DriverOptions(clock)
    )

    service = {}
    for batch in batches:
        service.setdefault(batch.operation, []).extend(seconds(batch.finished - batch.started))
    assert service == {"create_memory": [0.1, 0.1], "search_memory": [0.3, 0.3]}


def test_failures_of_one_kind_are_not_booked_on_the_other(clock):
    store = Operation("create_memory", Scripted(clock, 0.1))
    search = Operation("search_memory", Scripted(clock, ConnectionError()))
    aggregate = Aggregate()

    closed_loop(
        [Script((store, search), bytes([0, 1, 0, 1, 1]))],
        lambda batch: aggregate.merge(fold(batch)),
        DriverOptions(clock),
    )

    assert aggregate.outcomes("create_memory") == {"ok": 2}
    assert aggregate.outcomes("search_memory") == {"error:ConnectionError": 3}


def test_agents_run_at_the_same_time():
    barrier = threading.Barrier(5, timeout=30)
    scripts = [repeat(Operation("o", lambda number: barrier.wait()), 1) for _ in range(5)]
    batches = []

    load = closed_loop(scripts, batches.append)

    assert load.workers == 5
    assert sum(batch.outcome.tolist().count(Outcome.OK) for batch in batches) == 5


def test_workers_share_the_schedule_and_no_operation_is_sent_twice_or_lost():
    sent = []
    script = repeat(Operation("o", sent.append), 3000)
    batches = []

    load = open_loop(script, Constant(1e6, 0.003), batches.append, workers=4)

    assert sorted(sent) == list(range(3000))
    assert load.operations == sum(len(batch) for batch in batches) == 3000


def test_workers_take_over_in_order_while_one_of_them_is_stuck():
    count = 100_000  # more than a block
    stuck, others_done = threading.Event(), threading.Event()
    sent = []

    def call(number):
        if number == 0:
            stuck.set()
            assert others_done.wait(20)
            return
        assert stuck.wait(20)
        sent.append(number)
        if len(sent) == count - 1:
            others_done.set()

    script = repeat(Operation("o", call), count)
    load = open_loop(script, Constant(1e8, count / 1e8), lambda batch: None, workers=2)

    assert sent == list(range(1, count))
    assert load.operations == count


def test_a_schedule_of_many_blocks_is_sent_whole(clock):
    sent = []
    script = repeat(Operation("o", sent.append), 200_000)
    batches = []

    open_loop(script, Constant(100_000, 2), batches.append, DriverOptions(clock))

    assert sent == list(range(200_000))
    assert len(batches) > 2


def test_a_script_that_ends_before_the_arrivals_is_refused(clock):
    script = repeat(Operation("o", lambda number: None), 3)

    with pytest.raises(ValueError, match="ended after 3 operations"):
        open_loop(script, Constant(1, 5), lambda batch: None, DriverOptions(clock))


def test_a_failing_sink_in_a_thread_is_not_swallowed():
    def sink(batch):
        raise RuntimeError("disk full")

    scripts = [repeat(Operation("o", lambda number: None), 1)] * 2

    with pytest.raises(RuntimeError, match="disk full"):
        closed_loop(scripts, sink)


def test_a_mixed_script_is_the_same_for_the_same_seed_and_draws_all_kinds_evenly():
    kinds = [Operation(name, lambda number: None) for name in ("a", "b", "c")]

    first, again, other = (mixed(kinds, 3000, seed).sequence for seed in (1, 1, 2))

    assert first == again != other
    assert all(900 < bytes(first).count(kind) < 1100 for kind in range(3))


def test_no_script_and_no_worker_are_refused(clock):
    with pytest.raises(ValueError, match="at least one script"):
        closed_loop([], lambda batch: None)
    with pytest.raises(ValueError, match="at least one worker, got 0"):
        open_loop(repeat(Operation("o", id), 1), Constant(1, 1), lambda batch: None, workers=0)


class Span:
    """What the driver tells a traced operation, in order."""

    def __init__(self, clock, operation, number, *, cost):
        self.clock, self.operation, self.number, self.cost = clock, operation, number, cost
        self.told = []

    def __enter__(self):
        self.clock.advance(self.cost)
        self.told.append("entered")

    def __exit__(self, *exc):
        self.clock.advance(self.cost)
        self.told.append("left")

    def check(self, number, value):
        self.clock.advance(self.cost)
        self.told.append(("answered", number, value))
        return self.operation.check(number, value) if self.operation.check else Outcome.OK

    def ended(self, times, code, error_types):
        self.clock.advance(self.cost)
        self.told.append((times, int(code), error_types))


class Tracer:
    """Traces the first operation of every block, and takes its time for it."""

    def __init__(self, clock, cost=0.0, chooses=lambda number: True):
        self.clock, self.cost, self.chooses = clock, cost, chooses
        self.spans = []

    def begin(self, operation, number):
        if not self.chooses(number):
            return None
        self.spans.append(Span(self.clock, operation, number, cost=self.cost))
        return self.spans[-1]


def test_the_first_operation_of_each_block_of_a_closed_loop_can_be_traced(clock):
    tracer = Tracer(clock)
    call = Scripted(clock, 1e-6)
    script = repeat(Operation("create_memory", call), 3 * LARGEST_BLOCK)

    closed_loop([script], lambda batch: None, DriverOptions(clock, tracer=tracer))

    doubling = [2**k - 1 for k in range(13)]
    assert [span.number for span in tracer.spans] == [*doubling, 8_191, 12_287]
    assert call.numbers == list(range(3 * LARGEST_BLOCK))


def test_what_a_trace_costs_is_in_no_duration_and_not_in_the_throughput_of_a_closed_loop(clock):
    batches = []
    operation = Operation("create_memory", Scripted(clock, 0.1), lambda number, value: Outcome.OK)

    load = closed_loop(
        [repeat(operation, 3)], batches.append, DriverOptions(clock, tracer=Tracer(clock, 7.0))
    )

    assert seconds(np.concatenate([b.finished - b.started for b in batches])) == [0.1] * 3
    assert load.elapsed_seconds == pytest.approx(0.3)


def test_a_trace_is_told_the_readings_the_answer_and_the_outcome_of_its_operation(clock):
    tracer = Tracer(clock, chooses=lambda number: number != 1)
    call = Scripted(clock, 0.1, 0.1, ConnectionError(), 9.0)

    def check(number, value):
        return Outcome.WRONG if number == 0 else Outcome.OK

    script = repeat(Operation("create_memory", call, check), 4)
    began = clock.now_ns()

    open_loop(script, Constant(1, 4), lambda batch: None, DriverOptions(clock, 5.0, tracer))

    first, failed, last = tracer.spans
    due = [began + number * 10**9 for number in range(4)]
    assert first.told == [
        "entered",
        ("answered", 0, 0),
        "left",
        (Times(due[0], due[0], due[0] + 100_000_000), Outcome.WRONG, ()),
    ]
    readings = Times(due[2], due[2], due[2])
    assert failed.told == ["entered", "left", (readings, Outcome.ERROR, ("ConnectionError",))]
    assert last.told[-1][1] == Outcome.TIMEOUT


def test_a_trace_of_an_open_loop_makes_the_operations_behind_it_late_and_that_is_ours(clock):
    batches = []
    script = repeat(Operation("create_memory", Scripted(clock, 0.1)), 4)
    tracer = Tracer(clock, 0.6, chooses=lambda number: number == 2)

    open_loop(script, Constant(1, 4), batches.append, DriverOptions(clock, tracer=tracer))

    delay = np.concatenate([b.started - b.ready for b in batches])
    assert seconds(delay) == [0.0, 0.0, 0.0, 0.9]
    assert seconds(np.concatenate([b.finished - b.started for b in batches])) == [0.1] * 4
