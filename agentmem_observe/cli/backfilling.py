"""What ``agentmem-observe backfill`` does, once its options are read."""

import re
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click

from agentmem_observe.cli.result_directory import results_in
from agentmem_observe.errors import UsageError
from agentmem_observe.telemetry.backfill import (
    blocks_directory,
    create_blocks,
    find_promtool,
    refuse_existing,
    take_results,
    write_text,
)
from agentmem_observe.telemetry.catalog import LABELS
from agentmem_observe.telemetry.history import History, Period

_SAY_EVERY_SECONDS = 2.0
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_TAKEN_LABELS = {*LABELS, "le"}

_HOUR_MS = 3_600_000
_HEAD_MS = 3 * _HOUR_MS  # what Prometheus may still be writing itself
_RETENTION_MS = 15 * 24 * _HOUR_MS  # what it keeps unless told otherwise


def fill(
    *,
    input_dir: str,
    output_dir: Path,
    promtool: str,
    openmetrics: Path | None,
    labels: tuple[str, ...],
    force: bool,
) -> int:
    """Write the results of a directory as blocks of Prometheus, or as text.

    Returns:
        The exit code: 1 if no result could be used.

    Raises:
        AgentMemObserveError: If the options are refused, before a result is read; or if something
            cannot be written.
    """
    extra = parse_labels(labels)
    store = results_in(input_dir, "--input-dir")
    place: AbstractContextManager[None] = nullcontext()
    if openmetrics is not None:
        refuse_existing(openmetrics, force=force)
    else:
        promtool = find_promtool(promtool)
        place = blocks_directory(output_dir, force=force)
    with place, History(extra) as history:
        taken = take_results(store, history, _Patient("read", "results"))
        for complaint in taken.skipped:
            click.echo(f"skipped {complaint}", err=True)
        span = history.span()
        if span is None:
            click.echo(
                f"Nothing written: none of {len(taken.skipped)} result files in {input_dir} could "
                "be used; make some with: agentmem-observe run",
                err=True,
            )
            return 1
        if openmetrics is not None:
            write_text(history, openmetrics, force=force)
            wrote = str(openmetrics)
        else:
            periods = _Patient("wrote", "periods of 18 h")
            count = create_blocks(history, output_dir, promtool, periods)
            wrote = f"{count:,} block{'s' * (count != 1)} to {output_dir}"
    click.echo(f"Wrote {wrote}: {taken.used} results, {len(taken.skipped)} skipped.", err=True)
    for note in notes(span, round(time.time() * 1000)):
        click.echo(f"note: {note}", err=True)
    return 0


def parse_labels(texts: Sequence[str]) -> dict[str, str]:
    """Return labels by name.

    Args:
        texts: Each ``NAME=VALUE``.

    Raises:
        UsageError: If a name is none, is ours, or is given twice.

    Examples:
        >>> parse_labels(["job=agentmem"])
        {'job': 'agentmem'}
    """
    labels: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise UsageError(f"--label {text!r}: write NAME=VALUE")
        if not _LABEL.fullmatch(name) or name in _TAKEN_LABELS:
            raise UsageError(
                f"--label {text!r}: {name!r} cannot be used; take a name of letters, digits and "
                f"_ that is none of {', '.join(sorted(_TAKEN_LABELS))}"
            )
        if name in labels:
            raise UsageError(f"--label {text!r}: {name!r} is given twice")
        labels[name] = value.encode("utf-8", "replace").decode()
    return labels


def notes(span: Period, now_ms: int) -> list[str]:
    """Return what there is to know before such a history is loaded.

    Args:
        span: From the oldest to the newest result.
        now_ms: Milliseconds since 1970.
    """
    found = ["histograms have classic buckets only: OpenMetrics text has no native ones"]
    if span.start < now_ms - _RETENTION_MS:
        found.append(
            "Prometheus removes what is older than its --storage.tsdb.retention.time, 15 days "
            "unless set"
        )
    if span.end > now_ms - _HEAD_MS:
        found.append(
            "some results are of the last 3 hours, which a running Prometheus may still be "
            "writing; load the blocks later, or while it is stopped"
        )
    return found


class _Patient:
    """Says how far something is, if it takes long."""

    def __init__(self, verb: str, noun: str) -> None:
        self._verb, self._noun = verb, noun
        self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said >= _SAY_EVERY_SECONDS:
            self._said = now
            click.echo(f"{self._verb} {done:,} of {total:,} {self._noun}", err=True)
