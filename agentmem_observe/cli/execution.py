"""What ``agentmem-observe run`` does, once its options are read."""

import json
import logging
import signal
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, Self

import click

from agentmem_observe.bench.discover import (
    Benchmark,
    check_custom,
    check_parameters,
    choose,
    discover,
    standard_suite,
)
from agentmem_observe.bench.observers import Observers
from agentmem_observe.bench.runner import BenchmarkRunner, Observer, RunOptions
from agentmem_observe.bench.target_check import check_target
from agentmem_observe.cli.events import Events
from agentmem_observe.cli.exporting import Destinations, exporting
from agentmem_observe.cli.exports import Export
from agentmem_observe.cli.logs import log_of
from agentmem_observe.cli.progress import progress_display
from agentmem_observe.cli.render import render_result
from agentmem_observe.config import BenchmarkConfig, check_params, parse_params
from agentmem_observe.errors import ConfigError, UsageError
from agentmem_observe.profiles import profile_config
from agentmem_observe.results.store import BenchmarkResults
from agentmem_observe.targets.registry import TARGETS, build_target, parse_spec, redact


def execute(
    *,
    category: str | None,
    benchmark: str | None,
    suites: tuple[Path, ...],
    target: str,
    profile: str,
    config_file: Path | None,
    params: tuple[str, ...],
    output_dir: str | None,
    parallel: bool,
    workers: int | None,
    rounds: int,
    seed: int,
    timeout: float,
    exports: tuple[Export, ...],
    push_gateway: str | None,
    otlp_file: Path | None,
    listen: tuple[str, int] | None,
) -> int:
    """Run what the options of `cli.run` ask for, and print what came of it.

    Returns:
        The exit code: 1 if a benchmark failed or the run was interrupted.

    Raises:
        AgentMemObserveError: If the options are refused, before anything runs.
    """
    log_of().hide(target)
    if config_file and profile != "standard":
        raise UsageError(f"--profile {profile} and --config {config_file}: use one of them")
    config = _loaded(config_file, suites) if config_file else profile_config(profile)
    if output_dir is not None:
        config.output_dir = output_dir
    chosen = choose(suites, category, benchmark)
    overrides = parse_params(params)
    _refuse_early(chosen, overrides)
    _refuse_target(target, timeout)
    options = RunOptions(
        target=target,
        suites=(standard_suite(), *suites),
        seed=seed,
        time_limit_seconds=timeout,
    )
    store = BenchmarkResults(config.output_dir)
    destinations = Destinations(_textfile(exports), push_gateway, otlp_file, listen)
    as_json = Export("json") in exports
    # Results are printed before the last is sent: a gateway that is down must not cost them.
    with (
        StopSignals() as signals,
        exporting("run", destinations) as exports_of_runs,
    ):
        store.prepare()
        with _display(len(chosen) * rounds, warnings=as_json) as display:
            runner = BenchmarkRunner(
                config,
                store,
                options=options,
                observer=Observers([display, *exports_of_runs.observers(redact(target))]),
                tracing=exports_of_runs.tracing,
            )
            signals.runner = runner
            at_a_time = workers or (2 if parallel else 1)
            paths = runner.run(chosen, overrides, workers=at_a_time, rounds=rounds)
        stopped = runner.stopped
        results = [store.load_result(path) for path in paths]
        _print(results, as_json=as_json)
        if stopped:
            total = len(chosen) * rounds
            kept = f"Interrupted. Kept {len(paths)} of {total} results:"
            log_of().say(
                "command_interrupted",
                "\n  ".join([kept, *paths]),
                level=logging.WARNING,
                total=total,
                kept=len(paths),
            )
    failed = [result for result in results if result["metadata"]["status"] == "failed"]
    return 1 if failed or stopped else 0


def _loaded(file: Path, suites: Sequence[Path]) -> BenchmarkConfig:
    """Return a configuration of whose parameters each may reach a benchmark."""
    config = BenchmarkConfig.load(file)
    try:
        check_custom(discover([standard_suite(), *suites]), config.custom)
    except ConfigError as error:
        raise ConfigError(
            "\n".join(f"{file}: {line}" for line in str(error).splitlines())
            + "\nSuites of your own are named with --suite DIR."
        ) from None
    return config


def _refuse_early(chosen: Sequence[Benchmark], params: Mapping[str, Any]) -> None:
    """Refuse once, before anything runs, what every run would otherwise fail of."""
    check_parameters(chosen, params)
    for category in sorted({benchmark.category for benchmark in chosen}):
        check_params(category, params)


def _refuse_target(target: str, time_limit_seconds: float) -> None:
    """Refuse a target that cannot be built; those that are not ours are built elsewhere."""
    with tempfile.TemporaryDirectory(prefix="agentmem-observe-") as directory:
        if parse_spec(target, Path(directory)).scheme in TARGETS:
            build_target(target, Path(directory))
        else:
            check_target(target, time_limit_seconds=time_limit_seconds)


def _textfile(exports: Sequence[Export]) -> Path | None:
    """Return the file that metrics go to, if they do."""
    files = [export.file for export in exports if export.file is not None]
    if len(files) > 1:
        raise UsageError(
            f"--export prometheus={files[0]} and prometheus={files[1]}: name one file"
        )
    return files[0] if files else None


def _display(total: int, *, warnings: bool) -> AbstractContextManager[Observer]:
    log = log_of()
    if log.is_json:
        return nullcontext(Events(log, total))
    return progress_display(total, warnings=warnings)


def _print(results: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(results, indent=2))
        return
    if not any("rounds" in result["metadata"] for result in results):
        for result in results:
            render_result(result)
        return
    for result in {(each["category"], each["benchmark"]): each for each in results}.values():
        render_result(result)
    log_of().say(
        "last_round_shown",
        "These are the figures of the last round alone. What all of them say: "
        "agentmem-observe compare",
    )


class StopSignals:
    """Lets the first SIGINT or SIGTERM end the run in hand properly, and the second at once.

    Also while what was measured is still being sent: the first one then changes nothing.

    Attributes:
        runner: Who is to stop; nobody yet if None.
    """

    def __init__(self) -> None:
        self.runner: BenchmarkRunner | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.runner is None or self.runner.stopped:
            raise KeyboardInterrupt
        self.runner.stop()
