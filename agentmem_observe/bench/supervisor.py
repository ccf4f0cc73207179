"""Runs one request in a fresh worker process, and brings back all that is known of it."""

import contextlib
import fcntl
import math
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import IO, Any, BinaryIO

import msgspec

from agentmem_observe.bench.isolation import end_group
from agentmem_observe.bench.messages import (
    GO,
    Asking,
    Finished,
    Message,
    MessageReader,
    Observed,
    Progress,
    Request,
    Window,
)
from agentmem_observe.measure.noise import NoiseProbe, noise_between
from agentmem_observe.measure.process import ProcessProbe, ProcessSample, summarise
from agentmem_observe.measure.recorder import Aggregate
from agentmem_observe.measure.sampler import DEFAULT_CAPACITY, Sampler, Series
from agentmem_observe.telemetry.spans import RunTrace, Traces
from agentmem_observe.units import format_seconds

# By whether it is a run in turns, which goes on for months and is to cost next to nothing.
_POLL_SECONDS = {False: 0.2, True: 0.5}
_SAMPLE_EVERY_SECONDS = {False: 0.2, True: 1.0}  # 0.2 is the seeds' interval
_SAMPLES_KEPT = {False: DEFAULT_CAPACITY, True: 256}

_LONGEST_LOOK_SECONDS = 1.0  # from one look at a worker to the next, unless we were stopped
_FAREWELL_SECONDS = 5.0
_LOG_TAIL_BYTES = 4_000
_LOG_BYTES = 1 << 20  # what a worker prints in months would fill a disk
_SIGNAL_NAMES = {number.value: number.name for number in signal.Signals}  # some have none
_READ_BYTES = 1 << 20

# -P: nothing is imported from the current directory. -u: what was printed before a crash is in the
# log. faulthandler: so is the stack of a crash in C code.
_COMMAND = [
    sys.executable,
    "-P",
    "-u",
    "-X",
    "faulthandler",
    "-m",
    "agentmem_observe.bench.worker",
]


class Turn(Enum):
    """What a run in turns is to do; of what several say, the last of these counts."""

    GO = 1
    WAIT = 2
    END = 3


class Listener:
    """Is told what is seen of one run while it goes on. This one takes no notice."""

    def progressed(self, progress: Progress) -> None:
        """The worker has come this far; called from the run's thread, a few times a second."""

    def measured(self, delta: Aggregate) -> None:
        """These operations were measured since the last call; called from the run's thread."""

    def observed(self, observed: Observed) -> None:
        """The worker saw something besides operations; called from the run's thread."""

    def sampled(self, sample: ProcessSample) -> None:
        """The worker's process was looked at; called from the sampler's thread."""

    def turn(self, asked: bool) -> Turn:
        """Say whether a run in turns may go on; called at least twice a second.

        Args:
            asked: Whether the worker waits for its next turn.
        """
        return Turn.GO

    def window(self, window: Window) -> None:
        """A turn of the worker has ended; called from the run's thread."""


@dataclass(frozen=True, slots=True)
class Limits:
    """After what a worker is killed.

    Attributes:
        time_seconds: It is not done by then; of a run in turns, a turn.
        silence_seconds: A run in turns said nothing for so long, not even that it lives.
    """

    time_seconds: float = math.inf
    silence_seconds: float = math.inf


@dataclass(slots=True)
class WorkerRun:
    """How a run went, seen from outside its process.

    Attributes:
        finished: What the worker said last, or what its supervisor says in its place.
        aggregate: Everything measured, up to the end or the death of the worker.
        resources: Figures of the worker process.
        noise: What else went on on the host.
        log_tail: The end of what the worker printed.
    """

    finished: Finished
    aggregate: Aggregate = field(default_factory=Aggregate)
    resources: dict[str, Any] = field(default_factory=dict)
    noise: dict[str, Any] = field(default_factory=dict)
    log_tail: str = ""


class _Watchdog:
    """Knows when a run must be ended.

    Time in which this process was stopped itself, or had no CPU, is not held against the worker:
    what it said meanwhile has not been read yet.
    """

    def __init__(self, limits: Limits, stop: threading.Event) -> None:
        self._limits, self._stop = limits, stop
        self._looked_at = time.monotonic()
        self.begin()
        self.hear()

    def begin(self) -> None:
        """A run, or a turn of it, begins."""
        self._deadline = time.monotonic() + self._limits.time_seconds

    def wait(self) -> None:
        """The run waits for its turn, which may take as long as it will."""
        self._deadline = math.inf

    def hear(self) -> None:
        """The worker said something."""
        self._heard_at = time.monotonic()

    def reached(self) -> Finished | None:
        """Return how the run must end now, or None."""
        now, limits = time.monotonic(), self._limits
        unseen = max(0.0, now - self._looked_at - _LONGEST_LOOK_SECONDS)
        self._looked_at = now
        self._deadline += unseen
        self._heard_at += unseen
        if self._stop.is_set():
            return _failed("interrupted", "interrupted")
        if now >= self._deadline:
            return _failed(
                f"not done after {format_seconds(limits.time_seconds)}; allow more with "
                "--timeout, or ask for less with --params",
                "timeout",
            )
        if now - self._heard_at >= limits.silence_seconds:
            silence = format_seconds(limits.silence_seconds)
            return _failed(
                f"the worker said nothing for {silence}: it was stopped, or something in it "
                "holds the interpreter; it was killed",
                "hung",
            )
        return None


def run_in_worker(
    request: Request,
    *,
    limits: Limits,
    stop: threading.Event,
    listener: Listener,
    trace: RunTrace | None = None,
) -> WorkerRun:
    """Run a request in a process of its own, that nothing of survives.

    Args:
        request: What to run; its directory must exist and be empty.
        limits: After what the worker is killed.
        stop: When set, the worker is killed and the run ends as interrupted.
        listener: Is told how it goes.
        trace: Gets the spans that the worker makes.

    Returns:
        The run; its status is ``failed`` if the worker died, hung or was stopped.
    """
    run = WorkerRun(_failed("it never started", "crashed"))
    noise = NoiseProbe()
    quiet = noise.read()
    with tempfile.TemporaryFile() as log:
        # The worker inherits it: where it goes on does not depend on what we cut off.
        fcntl.fcntl(log, fcntl.F_SETFL, fcntl.fcntl(log, fcntl.F_GETFL) | os.O_APPEND)
        with _spawned(request, log) as (process, pipe):
            probe = ProcessProbe(process.pid)

            def look() -> ProcessSample | None:
                if (sample := probe.sample()) is not None:
                    listener.sampled(sample)
                return sample

            course = Series(look, _SAMPLES_KEPT[request.in_turns])
            with Sampler([course], _SAMPLE_EVERY_SECONDS[request.in_turns]):
                inbox = _Inbox(run, listener, trace or RunTrace(), _Watchdog(limits, stop))
                poll_seconds = _POLL_SECONDS[request.in_turns]
                run.finished = _listen(process, pipe, inbox, log, poll_seconds)
        run.log_tail = _tail(log).decode("utf-8", "replace")
    run.resources = summarise(course.samples) | course.report()
    # The benchmark's own figure has its children in it, which are no strangers either.
    seen, told = run.resources["cpu_seconds"], run.finished.facts.get("cpu_seconds")
    own_cpu_seconds = max(seen or 0.0, told or 0.0)
    run.noise = noise_between(quiet, noise.read(), own_cpu_seconds=own_cpu_seconds).to_dict()
    return run


@contextlib.contextmanager
def _spawned(request: Request, log: BinaryIO) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a worker; at the end nothing of its process group is left."""
    receiving, sending = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, receiving)
        try:
            process = subprocess.Popen(
                [*_COMMAND, str(sending), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(sending,),
                start_new_session=True,
            )
        finally:
            os.close(sending)
        stack.callback(end_group, process)
        assert process.stdin is not None
        stack.callback(_close, process.stdin)
        with contextlib.suppress(BrokenPipeError):  # if it died at once, its exit says so
            process.stdin.write(msgspec.json.encode(request) + b"\n")
            process.stdin.flush()
        if not request.in_turns:
            _close(process.stdin)
        yield process, receiving


def _close(pipe: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # what was never read is not missed
        pipe.close()


@dataclass(slots=True)
class _Inbox:
    """Hands on what the worker says."""

    run: WorkerRun
    listener: Listener
    trace: RunTrace
    watchdog: _Watchdog
    asked: bool = False
    last: Finished | None = None

    def grant(self, pipe: IO[bytes] | None) -> None:
        """Tell the worker of a run in turns to go on, or that all is over."""
        if pipe is None or pipe.closed:
            return
        turn = self.listener.turn(self.asked)
        if turn is Turn.END:
            _close(pipe)
            self.watchdog.begin()
        elif self.asked and turn is Turn.GO:
            self.asked = False
            self.watchdog.begin()
            with contextlib.suppress(BrokenPipeError):  # its exit says more
                pipe.write(GO)
                pipe.flush()

    def receive(self, message: Message) -> None:
        self.watchdog.hear()
        match message:
            case Finished():
                self.last = message
            case Observed():
                self.listener.observed(message)
            case Traces():
                self.trace.received(message)
            case Asking():
                self.asked = True
                self.watchdog.wait()
            case Window():
                self.listener.window(message)
            case Progress():
                delta = Aggregate.from_bytes(message.delta)
                self.run.aggregate.merge(delta)
                self.listener.measured(delta)
                self.listener.progressed(message)


def _listen(
    process: subprocess.Popen[bytes],
    pipe: int,
    inbox: _Inbox,
    log: BinaryIO,
    poll_seconds: float,
) -> Finished:
    """Take messages until the worker has finished, ended, or come to a limit."""
    reader = MessageReader(inbox.receive)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while inbox.last is None:
            if ending := inbox.watchdog.reached():
                return ending
            inbox.grant(process.stdin)
            _shorten(log)
            # Not its pipe alone tells that the worker has ended: a child of its own may hold it.
            ended = process.poll() is not None
            readable = selector.select(0 if ended else poll_seconds)
            data = os.read(pipe, _READ_BYTES) if readable else b""
            if not data and (ended or readable):
                return _how_it_ended(process)
            try:
                reader.feed(data)
            except msgspec.MsgspecError as error:
                return _failed(
                    f"something in the worker wrote into its harness's pipe: {error}", "error"
                )
    return inbox.last


def _failed(reason: str, cause: str) -> Finished:
    return Finished("failed", reason, {}, {}, cause=cause)


def _how_it_ended(process: subprocess.Popen[bytes]) -> Finished:
    try:
        code = process.wait(_FAREWELL_SECONDS)
    except subprocess.TimeoutExpired:
        return _failed("the worker closed its pipe and hung; it was killed", "hung")
    if code >= 0:
        return _failed(f"the worker ended with exit code {code} before it was done", "crashed")
    name = _SIGNAL_NAMES.get(-code, f"signal {-code}")
    if name == "SIGKILL":
        hint = "; the kernel does that when memory runs out"
        return _failed(f"the worker was killed by {name}{hint}", "killed")
    return _failed(f"the worker was killed by {name}", "crashed")


def _shorten(log: BinaryIO) -> None:
    """Drop all but the end of what was printed, if that is much; a line more may go with it."""
    if os.fstat(log.fileno()).st_size > _LOG_BYTES:
        kept = _tail(log)
        os.truncate(log.fileno(), 0)
        os.write(log.fileno(), kept)


def _tail(log: BinaryIO) -> bytes:
    # Not by seeking: the worker's writes move the position, which we share.
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), _LOG_TAIL_BYTES, max(0, size - _LOG_TAIL_BYTES))
