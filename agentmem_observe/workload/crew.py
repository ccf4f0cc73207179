"""Many agents at once: a thread each, all ready before the first of them sends anything.

Agents note clock readings and nothing else while any of them works: what the readings mean is
worked out when all are done.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from agentmem_observe.errors import BenchmarkError
from agentmem_observe.model import Float64Array, Int64Array, ObservationBatch, Outcome, Uint8Array
from agentmem_observe.workload.driver import DriverOptions, error_code
from agentmem_observe.workload.operations import Script
from agentmem_observe.workload.stamps import int64_array

_STACK_BYTES = 256 * 1024  # address space, not RAM: 10,000 agents take 2.5 GiB instead of 80
_WAKE_UPS_PER_SECOND = 20_000
"""Of threads that wait for the interpreter lock: each asks again once per switch interval, so that
10,000 agents at the default of 5 ms ask two million times a second. That costs more than all they
do: 211 s of work that takes 0.8 s at this rate."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What a crew did; a turn is what one agent does, shape (scripts x turns,) where one each.

    Attributes:
        elapsed_seconds: From the first operation of all to the last answer.
        batches: One per kind of operation, in the order of scripts, then as sent.
        turn_seconds: From when an agent could have begun to its last answer: what it waits before
            it comes to send anything counts. The first begin with the first operation of all,
            others when the one before them in their thread is done.
        active_seconds: From each agent's own first operation to its last answer.
        turn_ok: Whether all operations of an agent succeeded.
        cpu_seconds: CPU time of all threads.
        switch_interval_seconds: After how long the interpreter made a thread give way to others.
    """

    elapsed_seconds: float
    batches: Sequence[ObservationBatch]
    turn_seconds: Float64Array
    active_seconds: Float64Array
    turn_ok: npt.NDArray[np.bool_]
    cpu_seconds: float
    switch_interval_seconds: float


def work_together(
    scripts: Sequence[Script],
    options: DriverOptions | None = None,
    *,
    turns: int = 1,
    around: AbstractContextManager[object] | None = None,
) -> Shift:
    """Run scripts as fast as they go, one thread each, all starting at once.

    A closed loop. No thread starts or ends while any works. More than 100 of them get a longer
    switch interval of the interpreter, 50 µs for each.

    Args:
        scripts: At least one, all of the same kinds of operations in the same order.
        options: Clock and time limit.
        turns: Parts of equal length that each script has, one per agent, >= 1.
        around: Entered when all agents are ready, left when all are done, before threads end.

    Raises:
        BenchmarkError: If the system does not allow that many threads.
    """
    options = options or DriverOptions()
    agents = [_Agent(script, options) for script in scripts]
    with (
        _switch_interval(len(agents)) as interval,
        _Threads(agents) as threads,
        around or nullcontext(),
    ):
        threads.work()
    for agent in agents:
        if agent.failure is not None:
            raise agent.failure
    return _shift(agents, options.timeout_seconds, turns, interval)


@dataclass(slots=True)
class _Agent:
    """One thread's script and what it noted."""

    script: Script
    options: DriverOptions
    kinds: bytes = b""
    stamps: list[int] = field(default_factory=list)
    outcomes: list[tuple[int, Outcome | str]] = field(default_factory=list)
    cpu_ns: int = 0
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        self.kinds = bytes(self.script.sequence)

    def work(self) -> None:
        now = self.options.clock.now_ns
        calls = [(operation.call, operation.check) for operation in self.script.operations]
        append = self.stamps.append
        self.cpu_ns -= time.thread_time_ns()
        for number, kind in enumerate(self.kinds):
            call, check = calls[kind]
            append(now())
            try:
                value = call(number)
            except Exception as error:
                append(now())
                timed_out = isinstance(error, TimeoutError)
                kind_of_error = Outcome.TIMEOUT if timed_out else type(error).__name__
                self.outcomes.append((number, kind_of_error))
            else:
                append(now())
                if check is not None and (outcome := check(number, value)):
                    self.outcomes.append((number, outcome))
        self.cpu_ns += time.thread_time_ns()


class _Threads:
    """Threads that wait for each other at pipes.

    Closing a pipe's writing end lets all its readers go with one system call. A barrier wakes them
    one by one under the interpreter lock, for which those who are awake compete.
    """

    def __init__(self, agents: Sequence[_Agent]) -> None:
        self._agents = agents
        self._threads: list[threading.Thread] = []
        self._arrived, self._arrive = os.pipe()
        self._start, self._starting = os.pipe()
        self._end, self._ending = os.pipe()
        self._cancelled = True  # until somebody asks for work

    def __enter__(self) -> "_Threads":
        try:
            with _small_stacks():
                for agent in self._agents:
                    thread = threading.Thread(target=self._run, args=(agent,), daemon=True)
                    thread.start()
                    self._threads.append(thread)
        except RuntimeError as error:
            self.__exit__()
            raise BenchmarkError(
                f"only {len(self._threads):,} of {len(self._agents):,} threads could be started "
                f"({error}); raise the limit (ulimit -u, pids.max of the cgroup) or use fewer "
                "agents"
            ) from None
        self._await_all()
        return self

    def work(self) -> None:
        """Let all agents start, and return when all are done."""
        self._cancelled = False
        os.close(self._starting)
        self._await_all()

    def __exit__(self, *exc: object) -> None:
        if self._cancelled:
            os.close(self._starting)
        os.close(self._ending)
        for thread in self._threads:
            thread.join()
        for descriptor in (self._arrived, self._arrive, self._start, self._end):
            os.close(descriptor)

    def _run(self, agent: _Agent) -> None:
        os.write(self._arrive, b".")
        os.read(self._start, 1)
        try:
            if not self._cancelled:
                agent.work()
        except BaseException as error:
            agent.failure = error
        finally:
            os.write(self._arrive, b".")
            os.read(self._end, 1)

    def _await_all(self) -> None:
        missing = len(self._threads)
        while missing:
            missing -= len(os.read(self._arrived, missing))


@contextmanager
def _switch_interval(agents: int) -> Iterator[float]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(max(before, agents / _WAKE_UPS_PER_SECOND))
    try:
        yield sys.getswitchinterval()
    finally:
        sys.setswitchinterval(before)


@contextmanager
def _small_stacks() -> Iterator[None]:
    before = threading.stack_size(_STACK_BYTES)
    try:
        yield
    finally:
        threading.stack_size(before)


def _shift(agents: Sequence[_Agent], timeout_seconds: float, turns: int, interval: float) -> Shift:
    stamps = int64_array([stamp for agent in agents for stamp in agent.stamps])
    started, finished = stamps[0::2], stamps[1::2]
    outcome, error_types = _outcomes(agents)
    outcome[finished - started > round(timeout_seconds * 1e9)] = Outcome.TIMEOUT
    kinds = np.tile(np.frombuffer(agents[0].kinds, np.uint8), len(agents))
    batches = []
    for kind, operation in enumerate(agents[0].script.operations):
        chosen = np.flatnonzero(kinds == kind)
        batches.append(
            ObservationBatch(
                operation.name,
                operation.tier,
                started[chosen],
                finished[chosen],
                outcome[chosen],
                error_types=error_types,
            )
        )
    first_ns = started.min()
    shape = len(agents), turns, -1
    begins, ends = started.reshape(shape)[:, :, 0], finished.reshape(shape)[:, :, -1]
    could_begin = np.concatenate([np.full((len(agents), 1), first_ns), ends[:, :-1]], axis=1)
    return Shift(
        elapsed_seconds=float(finished.max() - first_ns) * 1e-9,
        batches=batches,
        turn_seconds=_seconds(ends - could_begin),
        active_seconds=_seconds(ends - begins),
        turn_ok=np.count_nonzero(outcome.reshape(len(agents) * turns, -1), axis=1) == 0,
        cpu_seconds=sum(agent.cpu_ns for agent in agents) * 1e-9,
        switch_interval_seconds=interval,
    )


def _seconds(nanoseconds: Int64Array) -> Float64Array:
    return nanoseconds.ravel().astype(np.float64) * 1e-9


def _outcomes(agents: Sequence[_Agent]) -> tuple[Uint8Array, tuple[str, ...]]:
    """Return the code of each operation, and the names of the errors that codes stand for."""
    length = len(agents[0].kinds)
    codes: Uint8Array = np.zeros(len(agents) * length, np.uint8)
    error_types: dict[str, int] = {}
    for place, agent in enumerate(agents):
        for number, outcome in agent.outcomes:
            code = outcome if isinstance(outcome, Outcome) else error_code(outcome, error_types)
            codes[place * length + number] = code
    return codes, tuple(error_types)
