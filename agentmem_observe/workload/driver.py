"""Sends operations and notes when each was due, sent and answered: closed and open loop.

Inside a timed operation there is nothing but the call itself between two clock readings. What the
readings mean is worked out afterwards, in bulk, and handed to a sink as `ObservationBatch`.
"""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from agentmem_observe.clock import SYSTEM_CLOCK, Clock
from agentmem_observe.model import Int64Array, ObservationBatch, Outcome, Uint8Array
from agentmem_observe.workload.arrivals import Arrivals
from agentmem_observe.workload.operations import Operation, Script
from agentmem_observe.workload.stamps import int64_array

Sink = Callable[[ObservationBatch], None]

LARGEST_BLOCK = 4_096
"""Operations between two folds: their clock readings stay in the CPU cache, which makes recording
two to four times cheaper than at 65,536, and a fold holds up the next operation by some 0.1 ms."""

_SLOW_BLOCK_NS = 500_000_000  # a block slower than this is halved, so that progress keeps flowing
_MOST_ERROR_TYPES = 32  # further exception types are counted together: labels stay bounded
_OTHER_ERRORS = "other"


class Times(NamedTuple):
    """Readings of the run's clock in nanoseconds.

    Attributes:
        due: When an operation was due; in a closed loop when it was sent.
        started: When it was sent.
        finished: When it was answered.
    """

    due: int
    started: int
    finished: int


class TracedOperation(Protocol):
    """A span around one operation, which is sent while this context is open."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exc: object) -> object: ...

    def check(self, number: int, value: Any) -> Outcome:
        """Judge what was answered, in place of the operation's own check."""
        ...

    def ended(self, times: Times, code: int, error_types: Sequence[str]) -> None:
        """Take what was measured.

        Args:
            times: Its clock readings.
            code: Its outcome, as in an `ObservationBatch`.
            error_types: What codes from ``Outcome.ERROR`` upwards stand for.
        """
        ...


class OperationTracer(Protocol):
    """Makes spans of some operations; any worker's thread may ask."""

    def begin(self, operation: Operation, number: int) -> TracedOperation | None:
        """Begin a span, or return None.

        Called for the first operation of each block, outside of what is timed: a block has up to
        `LARGEST_BLOCK` operations, and those behind the first run as they would without a tracer.
        """
        ...


@dataclass(frozen=True, slots=True)
class DriverOptions:
    """How operations are timed and judged.

    Attributes:
        clock: Where time comes from.
        timeout_seconds: An operation that took longer is a timeout, whatever it answered.
        tracer: Makes spans of some operations; None makes none.
    """

    clock: Clock = SYSTEM_CLOCK
    timeout_seconds: float = 30.0
    tracer: OperationTracer | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What the driver did.

    Attributes:
        elapsed_seconds: From the start until the last answer. In a closed loop that of the agent
            who took longest, without the time in which it checked answers or folded.
        operations: How many were sent.
        workers: Threads that sent them.
        offered_rate: Scheduled operations per second of the schedule's length, not the nominal
            rate: Poisson arrivals scatter around that. None for a closed loop.
        active_seconds: Time between first operation and last answer of each worker, summed. None
            if all of them were at it for the whole ``elapsed_seconds``.
        cpu_wait_seconds: For how long they were ready to run but had no CPU, summed. None if that
            is to be read in the threads that call the sink.
    """

    elapsed_seconds: float
    operations: int
    workers: int
    offered_rate: float | None = None
    active_seconds: float | None = None
    cpu_wait_seconds: float | None = None


def closed_loop(
    scripts: Sequence[Script], sink: Sink, options: DriverOptions | None = None
) -> Load:
    """Run scripts as fast as they go: one agent, one thread each, every call waits for the last.

    A closed loop cannot see queueing: while the target stalls, nothing more is sent. Use it to
    measure capacity, never for the latency that users of a steady load would see.

    Args:
        scripts: One per agent, each with a finite sequence.
        sink: Receives batches, one call at a time.
        options: Clock and time limit.

    Returns:
        The load as it was.

    Raises:
        ValueError: If there is no script.
    """
    if not scripts:
        raise ValueError("closed_loop needs at least one script, got none")
    options = options or DriverOptions()
    workers = [_Worker(script, options) for script in scripts]
    sink = _serialised(sink, len(workers))
    _run_threads([partial(worker.run_closed, sink) for worker in workers])
    return _load(workers, max(worker.sending_ns for worker in workers))


def open_loop(
    script: Script,
    arrivals: Arrivals,
    sink: Sink,
    options: DriverOptions | None = None,
    *,
    workers: int = 1,
) -> Load:
    """Send each operation when it is due, however late the ones before it are.

    Deadlines are absolute. An operation that finds all workers busy waits in line, is sent late,
    and its latency counts from the moment it was due; nothing is dropped.

    Args:
        script: What to send; the sequence must be at least as long as the arrivals.
        arrivals: When operations are due.
        sink: Receives batches about once a second, one call at a time.
        options: Clock and time limit.
        workers: Threads that send; the most operations that can be in the target at once.

    Returns:
        The load as it was.

    Raises:
        ValueError: If ``workers`` is below one, or the script ends before the arrivals do.
    """
    if workers < 1:
        raise ValueError(f"open_loop needs at least one worker, got {workers}")
    options = options or DriverOptions()
    senders = [_Worker(script, options) for _ in range(workers)]
    sink = _serialised(sink, workers)
    began_ns = options.clock.now_ns()
    schedule = _Schedule(script, arrivals, began_ns)
    _run_threads([partial(sender.run_open, schedule, sink) for sender in senders])
    ended_ns = max((sender.free_ns for sender in senders if sender.done), default=began_ns)
    return _load(senders, ended_ns - began_ns, arrivals.duration)


class _Stamps(NamedTuple):
    started: Int64Array
    finished: Int64Array
    intended: Int64Array | None = None
    ready: Int64Array | None = None

    def of(self, chosen: npt.NDArray[np.bool_] | slice) -> "_Stamps":
        """Return the readings of some of the operations."""
        return _Stamps(
            self.started[chosen],
            self.finished[chosen],
            None if self.intended is None else self.intended[chosen],
            None if self.ready is None else self.ready[chosen],
        )


_Entry = tuple[int, int, int]
_Entries = Iterator[_Entry]
"""Number, due time in nanoseconds and kind of operations that several workers draw from.

Made of C iterators only, so that one ``next`` is atomic under the interpreter lock.
"""


_Calls = Sequence[tuple[Callable[[int], Any], Callable[[int, Any], Outcome] | None]]


class _Schedule:
    """The operations to come, in blocks that are made when the first worker asks for them."""

    def __init__(self, script: Script, arrivals: Arrivals, began_ns: int):
        self._blocks = arrivals.blocks()
        self._sequence = iter(script.sequence)
        self._began_ns = began_ns
        self._lock = threading.Lock()
        self._current: tuple[int, _Entries] | None = None
        self._blocks_made = 0
        self._operations_made = 0

    def entries_after(self, block: int) -> tuple[int, _Entries] | None:
        """Return the block now being drawn from, or a new one if that is ``block``.

        A worker asks when it has found ``block`` drained; one that was held up in the target
        while others went on joins them.

        Returns:
            The block's number (from 1) and its entries, or None at the end of the schedule.
        """
        with self._lock:
            if self._blocks_made == block:
                self._current = self._make()
            return self._current

    def _make(self) -> tuple[int, _Entries] | None:
        offsets = next(self._blocks, None)
        if offsets is None:
            return None
        first = self._operations_made
        kinds = bytes(itertools.islice(self._sequence, len(offsets)))
        if len(kinds) < len(offsets):
            raise ValueError(
                f"the script ended after {first + len(kinds)} operations, "
                "before the arrivals did; make its sequence as long"
            )
        due = self._began_ns + np.rint(offsets * 1e9).astype(np.int64)
        self._blocks_made += 1
        self._operations_made += len(offsets)
        numbers = range(first, self._operations_made)
        return self._blocks_made, zip(numbers, due.tolist(), kinds, strict=True)


class _Worker:
    """One thread's clock readings, and what they say about each operation."""

    def __init__(self, script: Script, options: DriverOptions):
        self.operations = script.operations
        self.sequence = script.sequence
        self.clock = options.clock
        self.tracer = options.tracer
        self.timeout_ns = round(options.timeout_seconds * 1e9)
        self.calls: _Calls = [(operation.call, operation.check) for operation in script.operations]
        self.error_types: dict[str, int] = {}
        self.failures: list[tuple[int, int]] = []
        self.done = 0
        self.free_ns = 0
        self.sending_ns = 0

    def run_closed(self, sink: Sink) -> None:
        """Run the whole script, folding in blocks that take about a quarter of a second."""
        now = self.clock.now_ns
        sequence = iter(self.sequence)
        size = 1
        while kinds := bytes(itertools.islice(sequence, size)):
            began_ns = now()
            stamps = self._time_closed(kinds)
            started, finished = stamps[0::2], stamps[1::2]
            kinds_array = np.frombuffer(kinds, np.uint8)
            self._fold(sink, kinds_array, _Stamps(started, finished))
            spent_ns = now() - began_ns
            size = max(1, size // 2) if spent_ns > _SLOW_BLOCK_NS else min(size * 2, LARGEST_BLOCK)

    def _time_closed(self, kinds: bytes) -> Int64Array:
        stamps: list[int] = []
        first = self.operations[kinds[0]]
        if self.tracer is not None and (traced := self.tracer.begin(first, self.done)) is not None:
            with traced:
                self._send_closed(kinds[:1], self._traced_calls(kinds[0], traced), stamps)
            self._end_trace(traced, Times(stamps[0], *stamps))
            kinds = kinds[1:]
        self._send_closed(kinds, self.calls, stamps)
        return int64_array(stamps)

    def _send_closed(self, kinds: bytes, calls: _Calls, stamps: list[int]) -> None:
        now = self.clock.now_ns
        failures = self.failures
        append = stamps.append
        self.sending_ns -= now()
        for number, kind in enumerate(kinds, self.done + len(stamps) // 2):
            call, check = calls[kind]
            started = now()
            try:
                value = call(number)
            except Exception as error:
                finished = now()
                failures.append((len(stamps) // 2, self._code_of(error)))
            else:
                finished = now()
                if check is not None:
                    if outcome := check(number, value):
                        failures.append((len(stamps) // 2, outcome))
                    self.sending_ns -= now() - finished
            append(started)
            append(finished)
        self.sending_ns += now()

    def run_open(self, schedule: _Schedule, sink: Sink) -> None:
        """Take operations from the shared schedule until it ends."""
        block = 0
        while (drawn := schedule.entries_after(block)) is not None:
            block, entries = drawn
            while self._run_part(itertools.islice(entries, LARGEST_BLOCK), sink):
                pass

    def _run_part(self, entries: _Entries, sink: Sink) -> bool:
        """Send and fold some of a block; return whether there was anything to send."""
        kinds, stamps = self._time_open(entries)
        if not kinds:
            return False
        intended, started, finished = stamps[0::3], stamps[1::3], stamps[2::3]
        free = np.concatenate(([self.free_ns], finished[:-1]))
        ready = np.maximum(intended, free)
        kinds_array = np.frombuffer(kinds, np.uint8)
        self._fold(sink, kinds_array, _Stamps(started, finished, intended, ready))
        return True

    def _time_open(self, entries: _Entries) -> tuple[bytes, Int64Array]:
        kinds: list[int] = []
        stamps: list[int] = []
        if self.tracer is not None and (first := next(entries, None)) is not None:
            number, _, kind = first
            traced = self.tracer.begin(self.operations[kind], number)
            if traced is None:
                self._send_open((first,), self.calls, kinds, stamps)
            else:
                with traced:
                    self._send_open((first,), self._traced_calls(kind, traced), kinds, stamps)
                self._end_trace(traced, Times(*stamps))
        self._send_open(entries, self.calls, kinds, stamps)
        return bytes(kinds), int64_array(stamps)

    def _send_open(
        self, entries: Iterable[_Entry], calls: _Calls, kinds: list[int], stamps: list[int]
    ) -> None:
        now, sleep_until = self.clock.now_ns, self.clock.sleep_until_ns
        failures = self.failures
        append, append_kind = stamps.append, kinds.append
        for number, due, kind in entries:
            call, check = calls[kind]
            started = now()
            if started < due:
                sleep_until(due)
                started = now()
            try:
                value = call(number)
            except Exception as error:
                finished = now()
                failures.append((len(kinds), self._code_of(error)))
            else:
                finished = now()
                if check is not None and (outcome := check(number, value)):
                    failures.append((len(kinds), outcome))
            append_kind(kind)
            append(due)
            append(started)
            append(finished)

    def _traced_calls(self, kind: int, traced: TracedOperation) -> _Calls:
        """Return the calls with the one of this kind checked by its trace; it is not wrapped."""
        calls = list(self.calls)
        calls[kind] = (calls[kind][0], traced.check)
        return calls

    def _end_trace(self, traced: TracedOperation, times: Times) -> None:
        """Tell a trace what came of its operation, the first and so far only one of its block."""
        code = self.failures[0][1] if self.failures else Outcome.OK
        if times.finished - times.started > self.timeout_ns:
            code = Outcome.TIMEOUT
        traced.ended(times, code, tuple(self.error_types))

    def _fold(self, sink: Sink, kinds: Uint8Array, times: "_Stamps") -> None:
        """Hand one batch per kind of operation to the sink."""
        outcome = np.zeros(len(kinds), np.uint8)
        for place, code in self.failures:
            outcome[place] = code
        self.failures.clear()
        outcome[times.finished - times.started > self.timeout_ns] = Outcome.TIMEOUT
        self.done += len(kinds)
        self.free_ns = int(times.finished[-1])
        for kind, operation in enumerate(self.operations):
            chosen = kinds == kind if len(self.operations) > 1 else np.s_[:]
            part = times.of(chosen)
            if not len(part.finished):
                continue
            sink(
                ObservationBatch(
                    operation.name,
                    operation.tier,
                    part.started,
                    part.finished,
                    outcome[chosen],
                    part.intended,
                    part.ready,
                    tuple(self.error_types),
                )
            )

    def _code_of(self, error: Exception) -> int:
        if isinstance(error, TimeoutError):
            return Outcome.TIMEOUT
        return error_code(type(error).__name__, self.error_types)


def error_code(error_type: str, error_types: dict[str, int]) -> int:
    """Return the outcome code of an exception's type, adding it to those known if there is room.

    Args:
        error_type: Its name.
        error_types: Numbers by name, as far as there were errors.
    """
    if error_type not in error_types and len(error_types) >= _MOST_ERROR_TYPES:
        error_type = _OTHER_ERRORS
    return Outcome.ERROR + error_types.setdefault(error_type, len(error_types))


def _run_threads(tasks: Sequence[Callable[[], None]]) -> None:
    """Run one task here, or several in a thread each; raise the first failure of any."""
    if len(tasks) == 1:
        tasks[0]()
        return
    failures: list[BaseException] = []

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _serialised(sink: Sink, workers: int) -> Sink:
    if workers == 1:
        return sink
    lock = threading.Lock()

    def locked(batch: ObservationBatch) -> None:
        with lock:
            sink(batch)

    return locked


def _load(
    workers: Sequence[_Worker], elapsed_ns: int, schedule_seconds: float | None = None
) -> Load:
    operations = sum(worker.done for worker in workers)
    return Load(
        elapsed_seconds=elapsed_ns * 1e-9,
        operations=operations,
        workers=len(workers),
        offered_rate=operations / schedule_seconds if schedule_seconds else None,
    )
