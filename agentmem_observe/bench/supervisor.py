"""Runs one request in a fresh worker process, and brings back all that is known of it."""

import contextlib
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
from typing import Any, BinaryIO

import msgspec

from agentmem_observe.bench.isolation import end_group
from agentmem_observe.bench.messages import (
    Finished,
    Message,
    MessageReader,
    Observed,
    Progress,
    Request,
)
from agentmem_observe.measure.noise import NoiseProbe, noise_between
from agentmem_observe.measure.process import ProcessProbe, ProcessSample, summarise
from agentmem_observe.measure.recorder import Aggregate
from agentmem_observe.measure.sampler import Sampler, Series
from agentmem_observe.telemetry.spans import RunTrace, Traces
from agentmem_observe.units import format_seconds

_POLL_SECONDS = 0.2
_SAMPLE_EVERY_SECONDS = 0.2  # the seeds' interval
_FAREWELL_SECONDS = 5.0
_LOG_TAIL_BYTES = 4_000
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


class Listener:
    """Is told what is seen of one run while it goes on. This one takes no notice."""

    def progressed(self, progress: Progress) -> None:
        """The worker has come this far; called several times a second, from the run's thread."""

    def measured(self, delta: Aggregate) -> None:
        """These operations were measured since the last call; called from the run's thread."""

    def observed(self, observed: Observed) -> None:
        """The worker saw something besides operations; called from the run's thread."""

    def sampled(self, sample: ProcessSample) -> None:
        """The worker's process was looked at; called from the sampler's thread."""


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


@dataclass(frozen=True, slots=True)
class _Limits:
    deadline: float
    time_limit_seconds: float
    stop: threading.Event

    def reached(self) -> str:
        """Return why the run must end now, or ""."""
        if self.stop.is_set():
            return "interrupted"
        if time.monotonic() >= self.deadline:
            return (
                f"not done after {format_seconds(self.time_limit_seconds)}; allow more with "
                "--timeout, or ask for less with --params"
            )
        return ""


def run_in_worker(
    request: Request,
    *,
    time_limit_seconds: float,
    stop: threading.Event,
    listener: Listener,
    trace: RunTrace | None = None,
) -> WorkerRun:
    """Run a request in a process of its own, that nothing of survives.

    Args:
        request: What to run; its directory must exist and be empty.
        time_limit_seconds: The worker is killed after this.
        stop: When set, the worker is killed and the run ends as interrupted.
        listener: Is told how it goes.
        trace: Gets the spans that the worker makes.

    Returns:
        The run; its status is ``failed`` if the worker died, hung or was stopped.
    """
    run = WorkerRun(_failed("it never started"))
    limits = _Limits(time.monotonic() + time_limit_seconds, time_limit_seconds, stop)
    noise = NoiseProbe()
    quiet = noise.read()
    with tempfile.TemporaryFile() as log:
        with _spawned(request, log) as (process, pipe):
            probe = ProcessProbe(process.pid)

            def look() -> ProcessSample | None:
                if (sample := probe.sample()) is not None:
                    listener.sampled(sample)
                return sample

            course = Series(look)
            with Sampler([course], _SAMPLE_EVERY_SECONDS):
                inbox = _Inbox(run, listener, trace or RunTrace())
                run.finished = _listen(process, pipe, inbox, limits)
        run.log_tail = _tail(log)
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
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
            stdin.write(msgspec.json.encode(request))  # if it died at once, its exit says so
        yield process, receiving


@dataclass(slots=True)
class _Inbox:
    """Hands on what the worker says."""

    run: WorkerRun
    listener: Listener
    trace: RunTrace
    last: Finished | None = None

    def receive(self, message: Message) -> None:
        match message:
            case Finished():
                self.last = message
            case Observed():
                self.listener.observed(message)
            case Traces():
                self.trace.received(message)
            case Progress():
                delta = Aggregate.from_bytes(message.delta)
                self.run.aggregate.merge(delta)
                self.listener.measured(delta)
                self.listener.progressed(message)


def _listen(
    process: subprocess.Popen[bytes], pipe: int, inbox: _Inbox, limits: _Limits
) -> Finished:
    """Take messages until the worker has finished, ended, or come to a limit."""
    reader = MessageReader(inbox.receive)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while inbox.last is None:
            if reason := limits.reached():
                return _failed(reason)
            # Not its pipe alone tells that the worker has ended: a child of its own may hold it.
            ended = process.poll() is not None
            readable = selector.select(0 if ended else _POLL_SECONDS)
            data = os.read(pipe, _READ_BYTES) if readable else b""
            if not data and (ended or readable):
                return _failed(_how_it_ended(process))
            try:
                reader.feed(data)
            except msgspec.MsgspecError as error:
                return _failed(f"something in the worker wrote into its harness's pipe: {error}")
    return inbox.last


def _failed(reason: str) -> Finished:
    return Finished("failed", reason, {}, {})


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(_FAREWELL_SECONDS)
    except subprocess.TimeoutExpired:
        return "the worker closed its pipe and hung; it was killed"
    if code >= 0:
        return f"the worker ended with exit code {code} before it was done"
    name = _SIGNAL_NAMES.get(-code, f"signal {-code}")
    hint = "; the kernel does that when memory runs out" if name == "SIGKILL" else ""
    return f"the worker was killed by {name}{hint}"


def _tail(log: BinaryIO) -> str:
    log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
    return log.read().decode("utf-8", "replace")
