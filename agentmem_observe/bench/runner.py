"""Runs benchmarks, each in a fresh worker process, and saves a result for every one."""

import logging
import math
import tempfile
import threading
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from agentmem_observe.bench.discover import (
    Benchmark,
    check_parameters,
    discover,
    select,
    standard_suite,
)
from agentmem_observe.bench.document import document, reason_without_content
from agentmem_observe.bench.messages import Request
from agentmem_observe.bench.supervisor import Limits, Listener, run_in_worker
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.errors import BenchmarkError
from agentmem_observe.results.host import recent_vcs
from agentmem_observe.results.store import BenchmarkResults
from agentmem_observe.targets.credentials import redact
from agentmem_observe.telemetry.runs import RunKey
from agentmem_observe.telemetry.spans import RunTrace, RunTracing

_logger = logging.getLogger(__name__)

RUN_DIRECTORY_PREFIX = "agentmem-observe-"
"""Of the names of the directories that runs get; those of killed runners are left behind."""

_TRIED_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How benchmarks are run.

    Attributes:
        target: Spec of the target; see `targets.registry`.
        suites: Directories with benchmarks; the standard suite by default.
        seed: For everything random.
        time_limit_seconds: A run is killed after this; of a run in turns, a turn.
        operation_timeout_seconds: An operation that takes longer is a timeout.
        in_turns: Whether runs have no end of their own and wait for their turns.
        silence_limit_seconds: A run in turns is killed if its worker says nothing for so long.
        work_dir: Absolute; where runs get directories of their own. The system's temporary
            directory if None, and whenever this one does not take files.
    """

    target: str = "embedded"
    suites: Sequence[Path] = field(default_factory=lambda: (standard_suite(),))
    seed: int = 1
    time_limit_seconds: float = 3600.0
    operation_timeout_seconds: float = 30.0
    in_turns: bool = False
    silence_limit_seconds: float = math.inf
    work_dir: Path | None = None


class Round(NamedTuple):
    """One of several times that the same benchmarks are run.

    Attributes:
        number: Which, from 1.
        total: How many there are to be.
        series: What all rounds of one call have in common, and no others.
    """

    number: int
    total: int
    series: str


@dataclass(frozen=True, slots=True)
class _Occasion:
    """Beside how many a benchmark runs, itself included, and in which round if there are more."""

    beside: int = 1
    round: Round | None = None


class Observer:
    """Is told how runs go; the command line's progress display is one. This one says nothing.

    Attributes:
        takes_gauges: Whether workers shall look for more than operations.
    """

    takes_gauges = False

    def round_started(self, round: Round) -> None:
        """Called before the first run of a round, where there is more than one round."""

    def started(self, benchmark: Benchmark) -> Listener:
        """Called when a run starts, from its thread.

        Returns:
            Who is to be told how it goes.
        """
        return Listener()

    def ended(self, benchmark: Benchmark, path: str, result: Mapping[str, Any]) -> None:
        """Called when its result file is written, from its thread."""


class BenchmarkRunner:
    """Discovers benchmarks and runs them.

    Examples:
        >>> runner = BenchmarkRunner()
        >>> "write_throughput" in runner.discover_benchmarks("storage")["storage"]
        True
    """

    def __init__(
        self,
        config: BenchmarkConfig | None = None,
        results_manager: BenchmarkResults | None = None,
        *,
        options: RunOptions | None = None,
        observer: Observer | None = None,
        tracing: RunTracing | None = None,
    ) -> None:
        """Prepare a runner.

        Args:
            config: Parameters and output directory; the defaults if None.
            results_manager: Where results are saved; ``config.output_dir`` if None.
            options: Target, suites, limits.
            observer: Is told how runs go.
            tracing: Makes spans of runs; a `telemetry.tracing.Tracing`.
        """
        self.config = config or BenchmarkConfig()
        self.results_manager = results_manager or BenchmarkResults(self.config.output_dir)
        self.options = options or RunOptions()
        self._observer = observer or Observer()
        self._tracing = tracing or RunTracing()
        self._stop = threading.Event()
        self._finishing = threading.Event()

    def stop(self) -> None:
        """End the runs in hand, saving what they measured, and start no more."""
        self._stop.set()

    def finish(self) -> None:
        """Let the runs in hand come to their ends, and start no more."""
        self._finishing.set()

    @property
    def stopped(self) -> bool:
        """Return whether `stop` was called."""
        return self._stop.is_set()

    def discover_benchmarks(self, category: str | None = None) -> dict[str, dict[str, Benchmark]]:
        """Return the benchmarks that exist, by category and name.

        Raises:
            UsageError: If there is no such category.
        """
        by_category: dict[str, dict[str, Benchmark]] = {}
        for benchmark in select(discover(self.options.suites), category):
            by_category.setdefault(benchmark.category, {})[benchmark.name] = benchmark
        return by_category

    def run_benchmark(
        self, category: str, benchmark_name: str, params: Mapping[str, Any] | None = None
    ) -> str:
        """Run one benchmark and return the path of its result file.

        A benchmark that fails or is skipped has a result file too: see its ``metadata.status``.

        Args:
            category: Its category.
            benchmark_name: Its name, without ``benchmark_``.
            params: Parameters that take precedence over the configuration.

        Raises:
            UsageError: If there is no such benchmark or parameter.
            BenchmarkError: If the runner was stopped before.
        """
        (benchmark,) = select(discover(self.options.suites), category, benchmark_name)
        paths = self.run([benchmark], params)
        if not paths:
            raise BenchmarkError(f"{benchmark.id} was not run: the runner was stopped")
        return paths[0]

    def run_category(
        self,
        category: str,
        params: Mapping[str, Any] | None = None,
        parallel: bool = False,
        max_workers: int = 4,
    ) -> list[str]:
        """Run all benchmarks of a category and return the paths of their result files.

        Args:
            category: Which.
            params: Parameters that take precedence; each goes to the benchmarks that have it.
            parallel: Whether to run several at a time; they disturb each other.
            max_workers: How many at a time.
        """
        chosen = select(discover(self.options.suites), category)
        return self.run(chosen, params, workers=max_workers if parallel else 1)

    def run_all(
        self,
        params: Mapping[str, Mapping[str, Any]] | None = None,
        parallel: bool = False,
        max_workers: int = 4,
    ) -> dict[str, list[str]]:
        """Run all benchmarks of all categories.

        Args:
            params: Parameters that take precedence, by category.
            parallel: Whether to run several of a category at a time.
            max_workers: How many at a time.

        Returns:
            The paths of the result files, by category.

        Raises:
            UsageError: If there is no such category or parameter.
        """
        params = params or {}
        categories = self.discover_benchmarks()
        for category, benchmarks in categories.items():
            check_parameters(benchmarks.values(), params.get(category, {}))
        for category in params:
            select((one for found in categories.values() for one in found.values()), category)
        return {
            category: self.run_category(category, params.get(category), parallel, max_workers)
            for category in categories
        }

    def run(
        self,
        benchmarks: Sequence[Benchmark],
        params: Mapping[str, Any] | None = None,
        *,
        workers: int = 1,
        rounds: int = 1,
    ) -> list[str]:
        """Run the given benchmarks in order and return the paths of their result files.

        Args:
            benchmarks: What to run.
            params: Parameters that take precedence; each goes to the benchmarks that have it.
            workers: How many to run at a time, >= 1; more than one disturb each other.
            rounds: How often to run them, >= 1: all once, then all again, so that what changes
                with time is in every benchmark alike.

        Raises:
            UsageError: If no benchmark has a parameter of that name.
            ResultFormatError: If a result cannot be written.
        """
        params = params or {}
        check_parameters(benchmarks, params)
        if rounds == 1:
            return self._run_all(benchmarks, params, workers, None)
        series = uuid.uuid4().hex[:8]
        paths = []
        for number in range(1, rounds + 1):
            if self._ending:
                break
            round = Round(number, rounds, series)
            self._observer.round_started(round)
            paths += self._run_all(benchmarks, params, workers, round)
        return paths

    @property
    def _ending(self) -> bool:
        return self.stopped or self._finishing.is_set()

    def _run_all(
        self,
        benchmarks: Sequence[Benchmark],
        params: Mapping[str, Any],
        workers: int,
        round: Round | None,
    ) -> list[str]:
        workers = max(1, min(workers, len(benchmarks)))
        occasion = _Occasion(workers, round)
        if workers == 1:
            paths = (self._run_one(one, params, occasion) for one in benchmarks)
            return [path for path in paths if path is not None]
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(self._run_one, one, params, occasion) for one in benchmarks]
            try:
                return [path for future in futures if (path := future.result()) is not None]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _run_one(
        self, benchmark: Benchmark, overrides: Mapping[str, Any], occasion: _Occasion
    ) -> str | None:
        """Run one benchmark unless stopped; return the path of its result file."""
        if self._ending:
            return None
        key = RunKey(redact(self.options.target), benchmark.category, benchmark.name)
        with self._tracing.run(key) as trace:
            return self._run_traced(benchmark, overrides, occasion, trace)

    def _run_traced(
        self,
        benchmark: Benchmark,
        overrides: Mapping[str, Any],
        occasion: _Occasion,
        trace: RunTrace,
    ) -> str:
        listener = self._observer.started(benchmark)
        working_copy = recent_vcs()  # of what the worker imports, which may be edited meanwhile
        with _run_directory(self.options.work_dir) as directory:
            request = self._request(benchmark, overrides, directory)
            request.traceparent = trace.context_for_worker
            run = run_in_worker(
                request,
                limits=Limits(self.options.time_limit_seconds, self.options.silence_limit_seconds),
                stop=self._stop,
                listener=listener,
                trace=trace,
            )
        result = document(
            benchmark, request, run, beside=occasion.beside, working_copy=working_copy
        )
        if occasion.round:
            result["metadata"]["rounds"] = occasion.round._asdict()
        trace.ended(run.finished.status, reason_without_content(result["metadata"]))
        if Path(directory).exists():
            result["metadata"]["warnings"].append(
                f"{directory} could not be removed; something that the benchmark started may "
                "still write there"
            )
        path: str = self.results_manager.save_document(result)
        self._observer.ended(benchmark, path, result)
        return path

    def _request(
        self, benchmark: Benchmark, overrides: Mapping[str, Any], directory: str
    ) -> Request:
        declared = None if benchmark.takes_any else set(benchmark.parameters)
        params = self.config.params_for(benchmark.category, declared)
        params |= {
            name: value for name, value in overrides.items() if name in benchmark.parameters
        }
        return Request(
            path=str(benchmark.path),
            name=benchmark.function or benchmark.name,
            params=params,
            target=self.options.target,
            directory=directory,
            seed=self.options.seed,
            timeout_seconds=self.options.operation_timeout_seconds,
            exported=self._observer.takes_gauges,
            in_turns=self.options.in_turns,
        )


def _run_directory(work_dir: Path | None) -> tempfile.TemporaryDirectory[str]:
    """Make a directory for a run, which is removed with all that is in it."""
    if work_dir is not None:
        directory = None
        try:
            work_dir.mkdir(exist_ok=True)
            directory = _temporary_directory(work_dir)
            tried = Path(directory.name) / "tried"
            tried.write_bytes(bytes(_TRIED_BYTES))
            tried.unlink()
            return directory
        except OSError as error:
            # A full disk often takes directories, but nothing in them. It is to stop whoever
            # keeps results there, and not the measuring.
            if directory is not None:
                directory.cleanup()
            _logger.info("%s: runs use the temporary directory: %s", work_dir, error)
    return _temporary_directory(None)


def _temporary_directory(parent: Path | None) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(
        prefix=RUN_DIRECTORY_PREFIX, dir=parent, ignore_cleanup_errors=True
    )
