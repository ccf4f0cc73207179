"""What ``agentmem-observe results history`` does, once its options are read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from agentmem_observe.analysis.changes import Change, Size
from agentmem_observe.cli.counting import Counting
from agentmem_observe.cli.result_directory import results_in
from agentmem_observe.cli.sparklines import sparkline
from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results.history import History, read_history
from agentmem_observe.results.identity import RunIdentity
from agentmem_observe.results.metric_rules import check_rules, parse_rule
from agentmem_observe.results.sides import strangers
from agentmem_observe.results.store import BenchmarkResults
from agentmem_observe.results.trends import Trend, by_importance, overall, trends_of
from agentmem_observe.units import format_figure

_OPTION = "--results-dir"
_REGRESSION = 2
_COLOURS = {"worse": "bold red", "better": "green", "inconclusive": "yellow", "same": ""}
_BARS, _FEW_BARS, _WIDE_COLUMNS = 20, 10, 100
_INDENT = 2
_SHORT_COMMIT = 9


def print_history(
    *,
    category: str | None,
    benchmark: str | None,
    metrics: Sequence[str],
    results_dir: str,
    show_all: bool,
    as_json: bool,
    fail_on_regression: bool,
) -> int:
    """Print how the figures of a directory's results went over time.

    Returns:
        2 for a fresh change for the worse, if that was asked for; else 0.

    Raises:
        UsageError: If there is no such directory, or a pattern is about nothing in it.
    """
    store = results_in(results_dir, _OPTION)
    rules = [parse_rule(text) for text in metrics]
    history = read_history(_documents(store, category, benchmark), rules)
    if category is None and benchmark is None:
        history.left_out += strangers(store)
    if history.runs:
        check_rules(rules, list(history.figures))
    with Counting("judged", "figures", sum(history.figures.values())) as judged:
        trends = []
        for trend in trends_of(history, rules):
            trends.append(trend)
            judged()
    trends = by_importance(trends)
    if as_json:
        click.echo(json.dumps(_as_dict(history, trends), indent=2))
    elif trends:
        _print(history, trends, show_all=show_all)
    else:
        _say_nothing(history, results_dir)
    worse = overall(trends) == "worse"
    return _REGRESSION if worse and fail_on_regression else 0


def _documents(
    store: BenchmarkResults, category: str | None, benchmark: str | None
) -> Iterator[tuple[str, Mapping[str, Any] | ResultFormatError]]:
    paths = store.list_results(category, benchmark)
    with Counting("read", "results", len(paths)) as read:
        for path in paths:
            try:
                yield path, store.load_result(path)
            except ResultFormatError as error:
                yield path, error
            read()


# For people


def _print(history: History, trends: Sequence[Trend], *, show_all: bool) -> None:
    console = Console()
    shown = [trend for trend in trends if show_all or _is_news(trend)]
    for identity in dict.fromkeys(trend.identity for trend in shown):
        mine = [trend for trend in shown if trend.identity == identity]
        _print_heading(console, history, identity)
        for line in dict.fromkeys(line for trend in mine for line in _breaks(trend)):
            _print_detail(console, line)
        for trend in mine:
            _print_trend(console, trend)
        console.print()
    for line in _summary(history, trends, shown):
        console.print(line, soft_wrap=not console.is_terminal, highlight=False, markup=False)


def _is_news(trend: Trend) -> bool:
    return bool(trend.changes) or trend.verdict in ("worse", "better")


def _print_heading(console: Console, history: History, identity: RunIdentity) -> None:
    runs = history.runs[identity]
    name = f"{identity.category}.{identity.benchmark}"
    heading = Text(name, style="bold")
    about = f" on {identity.target}" if identity.target else ""
    span = _date(runs[0].at) if len(runs) == 1 else f"{_date(runs[0].at)} to {_date(runs[-1].at)}"
    heading.append(f"{about}: {_count(len(runs), 'run')}, {span}", style="not bold")
    others = [each for each in history.runs if each[:3] == identity[:3]]
    if len(others) > 1:
        heading.append(f", {_of_its_own(identity, others)}", style="not bold")
    console.print(heading, soft_wrap=not console.is_terminal, highlight=False)


def _of_its_own(identity: RunIdentity, others: Sequence[RunIdentity]) -> str:
    """Return the parameters that tell runs of a benchmark from its other runs."""
    given = [json.loads(each.params) for each in others]
    mine = json.loads(identity.params)
    names = dict.fromkeys(name for each in given for name in each)
    return ", ".join(
        f"{name}={json.dumps(mine.get(name), separators=(',', ':'))}"
        for name in names
        if any(each.get(name) != mine.get(name) for each in given)
    )


def _print_trend(console: Console, trend: Trend) -> None:
    size = trend.judgement.size
    bars = _BARS if console.width >= _WIDE_COLUMNS or not console.is_terminal else _FEW_BARS
    widths = (12, 8, bars, 9)  # the name has the rest, in as many lines as it takes
    cells = (
        trend.verdict,
        f"{size.ratio:+.1%}" if size else "-",
        sparkline(trend.values, bars, console.encoding),
        format_figure(trend.values[-1], trend.figure.unit),
    )
    style = _COLOURS[trend.verdict]
    if console.is_terminal:
        row = Table.grid(padding=(0, 1, 0, 0))
        for width, justify in zip(widths, ("left", "right", "left", "right"), strict=True):
            row.add_column(width=width, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # a literal
        row.add_column(overflow="fold")
        row.add_row(Text(cells[0], style), *(Text(cell) for cell in cells[1:]), Text(trend.path))
        console.print(row)
    else:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        console.print(Text(" ".join([*padded, trend.path])), soft_wrap=True)
    for line in _details(trend):
        _print_detail(console, line)


def _print_detail(console: Console, line: str) -> None:
    if console.is_terminal:
        console.print(Padding(Text(line, style="dim"), (0, 0, 0, _INDENT)))
    else:
        console.print(Text(" " * _INDENT + line), soft_wrap=True)


def _breaks(trend: Trend) -> Iterator[str]:
    for each in trend.breaks:
        at, what = _time(trend.runs[each.index].at), "; ".join(each.differences)
        yield f"{at}  another host, nothing is judged across: {what}"


def _details(trend: Trend) -> Iterator[str]:
    """Yield the changes of a figure, newest first, and what is unsure about it."""
    if trend.verdict == "inconclusive":
        yield trend.judgement.reason
    for change in reversed(trend.changes):
        yield _change(trend, change)
        if also := trend.also_changed(change):
            yield f"  with it changed {'; '.join(also)}"


def _change(trend: Trend, change: Change) -> str:
    before, after = trend.runs[change.index - 1], trend.runs[change.index]
    commits = ""
    if before.commit or after.commit:
        short = (each.commit[:_SHORT_COMMIT] or "?" for each in (before, after))
        commits = f", commit {'..'.join(short)}"
    return (
        f"{_time(after.at)}  {change.direction} {change.size}, p {change.p:.2g}, "
        f"{_count(change.runs_before, 'run')} before, {change.runs_after} since{commits}"
    )


def _summary(history: History, trends: Sequence[Trend], shown: Sequence[Trend]) -> Iterator[str]:
    hidden = [trend for trend in trends if trend not in shown]
    counts = [
        (sum(trend.verdict == verdict for trend in hidden), words)
        for verdict, words in (("same", "unchanged"), ("inconclusive", "inconclusive"))
    ]
    if hidden:
        said = ", ".join(f"{count:,} {words}" for count, words in counts if count)
        yield f"{_count(len(hidden), 'further figure')}: {said}; --all lists them"
    if (silent := sum(not judged for judged in history.figures.values())) and not shown:
        yield f"{_count(silent, 'figure')} not judged: nothing says which way is better"
    yield from _left_out(history)


def _left_out(history: History) -> Iterator[str]:
    if causes := history.causes():
        said = ", ".join(f"{count:,} {cause}" for cause, count in sorted(causes.items()))
        yield f"left out: {said}"
    if history.degraded:
        yield f"{_count(history.degraded, 'result')} degraded, and judged all the same"
    if history.older:
        yield f"{_count(history.older, 'older result')} not looked at"
    for each in history.left_out:
        if each.cause == "damaged":
            yield f"damaged: {each.reason}"
        if each.cause == "misnamed":
            yield f"misnamed: {each.path}: {each.reason}"


def _say_nothing(history: History, results_dir: str) -> None:
    click.echo(
        f"Nothing to judge in {results_dir}; make results with: agentmem-observe run", err=True
    )
    for line in _left_out(history):
        click.echo(line, err=True)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _date(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d}"


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}"


# For programs


def _as_dict(history: History, trends: Sequence[Trend]) -> dict[str, Any]:
    return {
        "verdict": overall(trends),
        "figures": [_figure(trend) for trend in trends],
        "left_out": [
            {"path": each.path, "cause": each.cause, "reason": each.reason}
            for each in history.left_out
        ],
        "degraded_count": history.degraded,
        "older_count": history.older,
    }


def _figure(trend: Trend) -> dict[str, Any]:
    identity, judgement = trend.identity, trend.judgement
    return {
        "category": identity.category,
        "benchmark": identity.benchmark,
        "target": identity.target,
        "params": json.loads(identity.params),
        "path": trend.path,
        "unit": trend.figure.unit,
        "better": trend.figure.better,
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "threshold_ratio": trend.threshold_ratio,
        "size": _size(judgement.size),
        "changes": [_change_dict(trend, change) for change in trend.changes],
        "breaks": [
            {"at": trend.runs[each.index].at, "differences": list(each.differences)}
            for each in trend.breaks
        ],
        "runs": [
            {"at": run.at, "value": value, "commit": run.commit, "path": run.path}
            for run, value in zip(trend.runs, trend.values, strict=True)
        ],
    }


def _size(size: Size | None) -> dict[str, float] | None:
    return None if size is None else asdict(size)


def _change_dict(trend: Trend, change: Change) -> dict[str, Any]:
    before, after = trend.runs[change.index - 1], trend.runs[change.index]
    return {
        "at": after.at,
        "direction": change.direction,
        "size": _size(change.size),
        "p": change.p,
        "runs_before": change.runs_before,
        "runs_after": change.runs_after,
        "commit_before": before.commit,
        "commit_after": after.commit,
        "path": after.path,
        "also_changed": trend.also_changed(change),
    }
