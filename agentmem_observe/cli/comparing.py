"""What ``agentmem-observe compare`` does, once its options are read."""

import time
from collections.abc import Callable
from pathlib import Path

import click

from agentmem_observe.cli.comparison_table import print_comparison, printable
from agentmem_observe.cli.lazy import load
from agentmem_observe.cli.result_directory import results_in
from agentmem_observe.errors import UsageError
from agentmem_observe.files import replace_file
from agentmem_observe.results.comparison import Comparison, Criteria, compare_sides
from agentmem_observe.results.formats.registry import FORMATS
from agentmem_observe.results.formats.wording import closing
from agentmem_observe.results.metric_rules import parse_rule, parse_size
from agentmem_observe.results.sides import side_of, take_strangers
from agentmem_observe.results.store import BenchmarkResults

_SILENT_SECONDS = 2.0


def compare_directories(
    *,
    current_dir: str,
    baseline_dir: str,
    threshold: str,
    category: str | None,
    benchmark: str | None,
    metrics: tuple[str, ...],
    force: bool,
    form: str,
    as_json: bool,
    output: Path | None,
) -> int:
    """Compare what the options of `cli.compare` name, and write what came of it.

    Returns:
        The exit code.

    Raises:
        UsageError: If a directory has no results, or an option is not as it should be.
    """
    criteria = Criteria(
        parse_size(threshold, "--threshold"), tuple(map(parse_rule, metrics)), force
    )
    if as_json and form not in ("table", "json"):
        raise UsageError(f"--json and --format {form}: use one of them")
    form = "json" if as_json else form
    if form == "table" and output is not None:
        raise UsageError("--output is for other formats than the table; name one with --format")
    current = results_in(current_dir, "--current-dir")
    baseline = results_in(baseline_dir, "--baseline-dir")
    if current.results_dir.samefile(baseline.results_dir):
        raise UsageError(f"--current-dir and --baseline-dir are the same, {current_dir!r}")
    here = _paths(current, "--current-dir", category, benchmark)
    there = _paths(baseline, "--baseline-dir", category, benchmark)
    reading = Reading(len(here) + len(there))
    ours = side_of(current, here, reading.seen)
    theirs = side_of(baseline, there, reading.seen)
    if not (category or benchmark):
        take_strangers(ours, current)
        take_strangers(theirs, baseline)
    return _told(compare_sides(ours, theirs, criteria), form, output)


def _told(comparison: Comparison, form: str, output: Path | None) -> int:
    """Write a comparison and return the exit code."""
    if form == "table":
        print_comparison(comparison)
        return comparison.exit_code
    text = printable(load(FORMATS[form])(comparison))
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)
        click.echo(f"Wrote {output}", err=True)
    for error in comparison.errors:
        click.echo(error, err=True)
    click.echo(closing(comparison), err=True)
    return comparison.exit_code


class Reading:
    """Says how far the reading of many files is, once it takes long."""

    def __init__(self, total: int, now: Callable[[], float] = time.monotonic) -> None:
        """Begin.

        Args:
            total: How many files there are.
            now: Seconds of a clock that only goes forward.
        """
        self._total, self._now = total, now
        self._read = 0
        self._said = now()

    def seen(self) -> None:
        """Count a file."""
        self._read += 1
        if self._now() - self._said >= _SILENT_SECONDS:
            self._said = self._now()
            click.echo(f"read {self._read:,} of {self._total:,} result files", err=True)


def _paths(
    store: BenchmarkResults, option: str, category: str | None, benchmark: str | None
) -> list[str]:
    paths = store.list_results(category, benchmark)
    if not paths:
        wanted = "".join(f" of {name!r}" for name in (category, benchmark) if name)
        raise UsageError(
            f"{option} {str(store.results_dir)!r}: no results{wanted}; they are files "
            "<category>/<benchmark>_<timestamp>.json there, as agentmem-observe run makes them"
        )
    return paths


def _write(path: Path, text: str) -> None:
    try:
        replace_file(path, text)
    except OSError as error:
        raise UsageError(
            f"--output {str(path)!r}: cannot be written: {error.strerror}; name another file"
        ) from error
