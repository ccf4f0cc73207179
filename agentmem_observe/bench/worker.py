"""The worker process: runs one benchmark function and reports to its supervisor over a pipe."""

import __future__

import importlib
import inspect
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import CodeType
from typing import Any, BinaryIO

import msgspec
import psutil

from agentmem_observe.bench.context import Bench, SkipBenchmark
from agentmem_observe.bench.discover import CONTEXT_PARAMETER, PREFIX, standard_suite
from agentmem_observe.bench.isolation import bind_to_parent
from agentmem_observe.bench.messages import (
    Finished,
    Gauge,
    Message,
    Observed,
    Progress,
    Request,
    Window,
    write_message,
)
from agentmem_observe.bench.overhead import timed_operation_cost
from agentmem_observe.bench.turns import GrantedTurns, Turns
from agentmem_observe.bench.untraced import Untraced
from agentmem_observe.errors import (
    AgentMemObserveError,
    BenchmarkError,
    ChildError,
    ResultFormatError,
    TargetError,
)
from agentmem_observe.measure.gc_pauses import GcPauses
from agentmem_observe.measure.process import ProcessProbe, ProcessSample
from agentmem_observe.measure.recorder import Aggregate
from agentmem_observe.results.schema import plain
from agentmem_observe.telemetry.catalog import PROCESS_USS, Metric
from agentmem_observe.telemetry.spans import Traces
from agentmem_observe.workload.driver import DriverOptions

REPORT_EVERY_SECONDS = {False: 0.25, True: 1.0}
"""How often a worker reports at most; in turns, for months, whoever listens is to cost nothing."""

_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def main() -> None:
    """Read a request from standard input, run it, write messages to the given descriptor."""
    bind_to_parent(int(sys.argv[2]))
    # Unbuffered: what follows the request are the grants of its turns.
    with os.fdopen(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as requests:
        request = msgspec.json.decode(requests.readline(), type=Request)
        with os.fdopen(int(sys.argv[1]), "wb") as stream:
            reporter = Reporter(stream, REPORT_EVERY_SECONDS[request.in_turns])
            turns = GrantedTurns(requests, reporter.say) if request.in_turns else None
            finished = run(request, reporter, start_tracing(request, reporter), turns)
            reporter.flush()
            with reporter.alone:
                send(stream, finished)


def start_tracing(request: Request, reporter: "Reporter") -> Untraced:
    """Return the run's tracing; OpenTelemetry is imported only where there is a trace."""
    if not request.traceparent:
        return Untraced()
    tracing = importlib.import_module("agentmem_observe.bench.tracing")
    started: Untraced = tracing.start(request, reporter.trace)
    return started


def send(stream: BinaryIO, finished: Finished) -> None:
    """Write the last message; what cannot be sent turns it into a failure that says so."""
    try:
        write_message(stream, finished)
    except (TypeError, ValueError, OverflowError) as error:
        reason = f"what the benchmark returned, or says of itself, cannot be sent: {error}"
        failed = Finished("failed", ascii(reason)[1:-1], {}, {}, cause="error")
        write_message(stream, failed)


class Reporter:
    """Sends progress and deltas, not more often than is good for whoever listens.

    Attributes:
        alone: Held by whoever writes to the supervisor.
    """

    def __init__(
        self, stream: BinaryIO, every_seconds: float = REPORT_EVERY_SECONDS[False]
    ) -> None:
        self.alone = threading.RLock()
        self._every_seconds = every_seconds
        self._stream = stream
        self._process = os.getpid()
        self._pending = Aggregate()
        self._gauges: dict[tuple[str, str], Gauge] = {}
        self._progress = (0.0, 0.0, "")
        self._sent_at = 0.0

    def __call__(self, done: float, total: float, phase: str, measured: Aggregate) -> None:
        """Take progress and a delta; a `bench.context.Report`."""
        if os.getpid() != self._process:
            return  # a forked copy: what is pending here is sent by the original too
        with self.alone:
            self._pending.merge(measured)
            new_phase = phase != self._progress[2]
            self._progress = (done, total, phase)
            if new_phase or time.monotonic() - self._sent_at >= self._every_seconds:
                self.flush()

    def observe(self, metric: Metric, labels: Mapping[str, str], value: float) -> None:
        """Take the value of a gauge; a `bench.context.Observe`."""
        if os.getpid() == self._process:
            self._gauges[metric.name, repr(labels)] = (metric.name, dict(labels), value)

    def trace(self, traces: Traces) -> None:
        """Send what was traced, behind what was measured."""
        if os.getpid() == self._process:
            self.flush()
            self.say(traces)

    def say(self, message: Message) -> None:
        """Send something of its own; before the end of a turn, all that was measured in it."""
        with self.alone:
            if isinstance(message, Window):
                self.flush()
            write_message(self._stream, message)

    def flush(self) -> None:
        """Send what is pending now."""
        with self.alone:
            if self._gauges:
                write_message(self._stream, Observed(list(self._gauges.values())))
                self._gauges.clear()
            delta, self._pending = self._pending.to_bytes(), Aggregate()
            write_message(self._stream, Progress(*self._progress, delta))
            self._sent_at = time.monotonic()


def run(
    request: Request,
    reporter: Reporter,
    tracing: Untraced | None = None,
    turns: Turns | None = None,
) -> Finished:
    """Run one benchmark and describe how it went; never raises for what the benchmark does."""
    timed_operation = timed_operation_cost()
    tracing = tracing or Untraced()
    bench = Bench(
        request.target,
        Path(request.directory),
        reporter,
        seed=request.seed,
        driver=DriverOptions(timeout_seconds=request.timeout_seconds, tracer=tracing.operations),
        tracing=tracing,
        observe=reporter.observe if request.exported else None,
        turns=turns,
    )
    params = request.params
    results: dict[str, Any] = {}
    status, reason, trace, cause = "ok", "", "", ""
    process, probe = psutil.Process(), ProcessProbe(os.getpid())
    rss_before, before = process.memory_info().rss, probe.sample()
    began, cpu_began = time.perf_counter(), _cpu_seconds()
    with GcPauses() as gc_pauses:
        try:
            function = load_function(Path(request.path), request.name)
            params, arguments = bind(function, request.params, bench)
            rss_before, before = process.memory_info().rss, probe.sample()
            began, cpu_began = time.perf_counter(), _cpu_seconds()
            results = checked(function(**arguments), request.name)
        except SkipBenchmark as skip:
            status, reason = "skipped", str(skip)
        except ChildError as error:
            status, reason, trace, cause = "failed", str(error), error.stack, "error"
        except AgentMemObserveError as error:
            status, reason = "failed", str(error)
            cause = "target" if isinstance(error, TargetError) else "error"
        except BaseException as error:
            status, reason = "failed", f"{type(error).__name__}: {error}"
            trace = traceback.format_exc()
            cause = "out_of_memory" if isinstance(error, MemoryError) else "error"
        execution_time = time.perf_counter() - began
        cpu_seconds = _cpu_seconds() - cpu_began
        after = probe.sample(with_uss=True)
    tracing.end()
    uss_end = None if after is None else after.uss_bytes
    if uss_end is not None:
        reporter.observe(PROCESS_USS, {}, uss_end)
    facts = {
        "execution_time": execution_time,
        "params": _shown(params),
        "cpu_seconds": cpu_seconds,
        "run_queue_wait_ratio": _wait_ratio(before, after),
        "rss_before_bytes": rss_before,
        "rss_after_bytes": process.memory_info().rss,
        "uss_end_bytes": uss_end,
        "timed_operation_cpu_seconds": timed_operation,
        "gc": gc_pauses.to_dict(),
        **bench.facts(),
    }
    return Finished(status, reason, results, facts, trace, cause)


def _cpu_seconds() -> float:
    """Return the CPU time of this process, and of those of its children that it waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _wait_ratio(before: ProcessSample | None, after: ProcessSample | None) -> float | None:
    if before is None or after is None:
        return None
    first, last = before.run_queue_wait_seconds, after.run_queue_wait_seconds
    if first is None or last is None:
        return None
    # Several threads can wait at once, and a wait is credited when it ends: no share exceeds 1.
    return min(1.0, (last - first) / (after.at_seconds - before.at_seconds))


def _shown(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON values; a default that JSON does not have as its ``repr``."""
    shown: dict[str, Any] = {}
    for name, value in params.items():
        try:
            shown[name] = plain(value)
        except ResultFormatError:
            shown[name] = repr(value)
    return shown


class _LazyAnnotations(SourceFileLoader):
    """Compiles a file with annotations left unevaluated, and keeps no bytecode of it.

    The seeds' examples annotate with names that they do not import; they are to run unchanged.
    """

    def get_code(self, fullname: str) -> CodeType:
        flags = __future__.annotations.compiler_flag
        source = self.get_data(self.path)
        code: CodeType = compile(source, self.path, "exec", flags, dont_inherit=True)
        return code


def load_function(path: Path, name: str) -> Callable[..., Any]:
    """Import a benchmark file and return its function.

    Files of a user's suite may import their neighbours.
    """
    if path.parent != standard_suite():
        sys.path.append(str(path.parent))
    module_name = f"agentmem_observe_suite_{path.stem}"
    loader = _LazyAnnotations(module_name, str(path))
    module = module_from_spec(ModuleSpec(module_name, loader, origin=str(path)))
    sys.modules[module_name] = module
    loader.exec_module(module)
    function: Callable[..., Any] = getattr(module, PREFIX + name)
    return function


def bind(
    function: Callable[..., Any], params: dict[str, Any], bench: Bench
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Match parameters to a function.

    Args:
        function: The benchmark.
        params: Values by name; those it does not declare go into its ``**kwargs``, if any.
        bench: Passed if the function takes it.

    Returns:
        The effective value of each declared parameter, and the arguments to call it with.
    """
    declared = inspect.signature(function).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in declared.values())
    arguments = {name: value for name, value in params.items() if takes_any or name in declared}
    effective = {
        name: arguments.get(name, parameter.default)
        for name, parameter in declared.items()
        if parameter.kind not in _COLLECTING and name != CONTEXT_PARAMETER
    }
    missing = [name for name, value in effective.items() if value is inspect.Parameter.empty]
    if missing:
        raise BenchmarkError(f"parameter {missing[0]!r} has no default; set it with --params")
    if CONTEXT_PARAMETER in declared:
        arguments[CONTEXT_PARAMETER] = bench
    return effective, arguments


def checked(results: object, name: str) -> dict[str, Any]:
    """Return what a benchmark returned as plain JSON values.

    Raises:
        BenchmarkError: If it is not a dictionary, or holds what JSON cannot.
    """
    if not isinstance(results, dict):
        raise BenchmarkError(
            f"benchmark_{name} returned {type(results).__name__}, not a dictionary of results"
        )
    plain_results: dict[str, Any] = plain(results)
    return plain_results


if __name__ == "__main__":
    main()
