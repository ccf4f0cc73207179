"""What is to be known before any number: is something wrong, and can the numbers be trusted."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from agentmem_observe.results.comparison import Change, Comparison
from agentmem_observe.results.report.changes import told
from agentmem_observe.results.report.gathered import Gathered, Run, mapping, number, text
from agentmem_observe.results.report.markup import Child, Element, el
from agentmem_observe.results.report.parts import (
    NOTHING,
    Section,
    badge,
    cases,
    count_of,
    marked_cell,
    table,
)
from agentmem_observe.results.report.resources import leak_of
from agentmem_observe.units import format_seconds

_RANKS = {"bad": 0, "warn": 1}
_MILDEST = "degraded measurement"
_MOST_FINDINGS = 60
"""Of one kind."""
_MOST_NAMED = 110
"""Characters of the subjects of a kind, before they are unfolded."""
_MOST_RUNS = 100
_MOST_PROBLEMS = 60
_MOST_WARNINGS = 8
_LONGEST = 600
"""Characters of a reason or warning; the file has it whole."""


class Finding(NamedTuple):
    """Something to know before any number.

    Attributes:
        level: ``bad``: something is wrong with what was measured; ``warn``: with measuring it.
        kind: What it is, as a noun; findings of a kind are counted together.
        subject: Whom it concerns.
        detail: Why, in a sentence.
        anchor: The section that has more.
    """

    level: str
    kind: str
    subject: str
    detail: str
    anchor: str = "runs"


def findings(gathered: Gathered, comparison: Comparison | None) -> list[Finding]:
    """Return all there is to know before any number, the worst first.

    Args:
        gathered: The results.
        comparison: With a baseline, if there is one.
    """
    worse = comparison.of("worse") if comparison else []
    regressions = [
        Finding(
            "bad",
            _regression(change),
            f"{change.identity[1]} {change.path}",
            told(change),
            "changes",
        )
        for change in worse
    ]
    found = [finding for run in gathered.newest for finding in _of_run(run, gathered)]
    found = [*regressions, *found]
    if gathered.problems:
        count = count_of(len({one.path for one in gathered.problems}), "file")
        said = "what they hold is not in this report"
        found.append(Finding("warn", "unreadable file", count, said, "problems"))
    return sorted(found, key=lambda finding: (_RANKS[finding.level], finding.kind == _MILDEST))


def summary(gathered: Gathered, comparison: Comparison | None, found: list[Finding]) -> Element:
    """Return the verdict, its reasons, and counts of what it is made from.

    Args:
        gathered: The results.
        comparison: With a baseline, if there is one.
        found: What there is to know.
    """
    level = found[0].level if found else "good" if gathered.runs else "unknown"
    together: dict[str, list[Finding]] = {}
    for finding in found:
        together.setdefault(finding.kind, []).append(finding)
    shown = [_group(one) for one in together.values()]
    return el(
        "section",
        el("h2", _headline(gathered, found)),
        _counts(gathered, comparison),
        el("ul", shown, class_="findings") if shown else None,
        _legend(gathered),
        class_="verdict",
        data_level=level,
        id="summary",
    )


def runs(gathered: Gathered) -> Section:
    """List the newest runs with what is to be known of each."""
    rows = [_row(run) for run in reversed(gathered.runs[-_MOST_RUNS:])]
    if not rows:
        return Section("runs", "Runs")
    headings = ["ended", "benchmark", "target", "status", "measurement", "took", "operations"]
    content = [table("Runs, the newest first", [*headings, "failed", "what to know"], rows)]
    if (rest := len(gathered.runs) - len(rows)) > 0:
        content.append(el("p", f"{count_of(rest, 'older run')} not listed.", class_="note"))
    return Section("runs", "Runs", content)


def problems(gathered: Gathered) -> Section:
    """List what could not be read, and why."""
    rows = [
        [el("code", one.path), el("td", _cut(one.reason), class_="words")]
        for one in gathered.problems[:_MOST_PROBLEMS]
    ]
    content = [table("Files that could not be read", ["file", "why"], rows)] if rows else []
    if (rest := len(gathered.problems) - len(rows)) > 0:
        content.append(el("p", f"and {count_of(rest, 'more', 'more')}", class_="note"))
    return Section("problems", "Files that could not be read", content)


def _of_run(run: Run, gathered: Gathered) -> Iterator[Finding]:
    reason = text(run.result.metadata.get("reason"))
    if run.status == "failed":
        yield Finding("bad", "failed run", run.name, reason)
    if run.status != "ok":
        return
    if run.failed_operations:
        outcomes = Counter[str]()
        for one in run.durations:
            outcomes[one.outcome or "unknown"] += one.service_time.count
        kinds = ", ".join(f"{n:,} {name}" for name, n in outcomes.items() if name != "ok")
        said = f"{run.failed_operations:,} of {run.operations:,} operations: {kinds}"
        yield Finding("bad", "benchmark with failed operations", run.name, said, "latency")
    if lost := _lost(run):
        yield Finding("bad", "benchmark with lost records", run.name, lost)
    leak = text(leak_of(run).get("verdict"))
    if leak in ("leak", "suspected"):
        level = "bad" if leak == "leak" else "warn"
        yield Finding(
            level, f"{leak} leak".replace("leak leak", "leak"), run.name, "", "resources"
        )
    drift = mapping(run.figures.get("drift"))
    if text(drift.get("verdict")) == "slower":
        yield Finding("bad", "drift to slower", run.name, "latency crept up during the run")
    if run.validity in ("void", "degraded"):
        why = run.reasons[0] if run.reasons else ""
        drawn = next(one for one in gathered.shown if one.subject == run.subject)
        if drawn is not run:
            why = f"{why} (shown is the run of {drawn.ended}, which is {drawn.validity})"
        yield Finding("warn", f"{run.validity} measurement", run.name, why)


def _lost(run: Run) -> str:
    counts = Counter[str]()
    for case in cases(run):
        if case.path[-1:] == ("verification",):
            for name in ("lost", "changed"):
                counts[name] += int(case.figures.get(name, 0))
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def _headline(gathered: Gathered, found: list[Finding]) -> str:
    if not gathered.runs:
        return "There are no results to report"
    kinds = Counter(finding.kind for finding in found)
    words = {kind: count_of(count, kind, _plural(kind)) for kind, count in kinds.items()}
    wrong = [words[kind] for kind in dict.fromkeys(f.kind for f in found if f.level == "bad")]
    doubts = [words[kind] for kind in dict.fromkeys(f.kind for f in found if f.level == "warn")]
    if wrong:
        return _sentence(wrong)
    if doubts:
        return f"Nothing is wrong with what was measured, but: {_listed(doubts)}"
    return "Nothing is wrong, and all measurements are valid"


def _regression(change: Change) -> str:
    return "regression by size alone" if change.judgement.weak else "regression"


def _plural(kind: str) -> str:
    """Return a kind's plural: the noun is what stands before the first such word."""
    noun, *rest = re.split(r"( (?:with|by) .*)", kind)
    return "".join([noun if kind.startswith("drift") else f"{noun}s", *rest])


def _sentence(parts: list[str]) -> str:
    listed = _listed(parts)
    return listed[0].upper() + listed[1:]


def _listed(parts: list[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def _group(found: list[Finding]) -> Element:
    """Return findings of a kind: the first few as they are, many folded below their count."""
    items = [el("li", _finding(one)) for one in found[:_MOST_FINDINGS]]
    if (rest := len(found) - len(items)) > 0:
        items.append(el("li", f"and {count_of(rest, 'more', 'more')}; see the runs"))
    first = found[0]
    if len(found) == 1:
        return el("li", _finding(first), data_level=first.level)
    title: list[Child] = [el("b", count_of(len(found), first.kind, _plural(first.kind))), " in "]
    names = ", ".join(dict.fromkeys(one.subject.partition(" ")[0] for one in found))
    cut = names if len(names) <= _MOST_NAMED else f"{names[:_MOST_NAMED].rpartition(',')[0]}, …"
    summary = el("summary", title, el("span", cut, class_="detail"))
    return el("li", el("details", summary, el("ul", items)), data_level=first.level)


def _finding(finding: Finding) -> list[Child]:
    return [
        el("b", finding.kind[0].upper() + finding.kind[1:], ": "),
        el("a", finding.subject, href=f"#{finding.anchor}"),
        el("span", f", {_cut(finding.detail)}", class_="detail") if finding.detail else None,
    ]


def _legend(gathered: Gathered) -> Element | None:
    if all(run.validity in ("valid", "") for run in gathered.shown):
        return None
    return el(
        "p",
        "In all tables: ",
        el("span", "▲ degraded", class_="mark", data_level="warn"),
        " read with care, something was in the way of measuring · ",
        el("span", "✕ void", class_="mark", data_level="bad"),
        " not to be used. In charts: hollow dots are degraded, crosses void.",
        class_="legend",
    )


def _counts(gathered: Gathered, comparison: Comparison | None) -> Element:
    validities = Counter(run.validity or "not judged" for run in gathered.newest)
    statuses = Counter(run.status for run in gathered.runs)
    failed = sum(run.failed_operations for run in gathered.newest)
    operations = sum(run.operations for run in gathered.newest)
    leaks = [text(leak_of(run).get("verdict")) for run in gathered.newest if leak_of(run)]
    tiles = [
        _tile("benchmarks", f"{len(gathered.newest):,}", _tally(validities)),
        _tile("runs", f"{len(gathered.runs):,}", _tally(statuses)),
        _tile("failed operations", f"{failed:,}", f"of {operations:,}") if operations else None,
        _compared(comparison) if comparison else None,
        _tile("leak", _worst(leaks), count_of(len(leaks), "benchmark")) if leaks else None,
    ]
    return el("dl", tiles, class_="tiles")


def _compared(comparison: Comparison) -> Element:
    counts: dict[str, int] = {
        verdict: count for verdict, count in comparison.counts.items() if count
    }
    worse = counts.pop("worse", 0)
    return _tile("regressions", f"{worse:,}", _tally(counts) or "nothing to compare")


def _tile(label: str, value: str, below: str) -> Element:
    return el("div", el("dt", label), el("dd", el("b", value), el("span", below)))


def _tally(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _worst(leaks: list[str]) -> str:
    return next((word for word in ("leak", "suspected", "unknown") if word in leaks), leaks[0])


def _row(run: Run) -> list[Child]:
    metadata = run.result.metadata
    stamp = run.result.timestamp
    took = number(metadata.get("execution_time"))
    failed = el("td", f"{run.failed_operations:,}", class_="number")
    if run.failed_operations:
        failed.set("data-level", "bad")
    return [
        f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]} {stamp[9:11]}:{stamp[11:13]}:{stamp[13:]}",
        run.name,
        run.target or NOTHING,
        badge(run.status) if run.status != "ok" else "ok",
        badge(run.validity) if run.validity in ("degraded", "void") else run.validity,
        marked_cell(NOTHING if took is None or took < 0 else format_seconds(took)),
        marked_cell(f"{run.operations:,}"),
        failed,
        el("td", _known(run, metadata), class_="words"),
    ]


def _known(run: Run, metadata: Mapping[str, Any]) -> Child:
    reason = text(metadata.get("reason"))
    notes = [one for one in [reason, *run.warnings] if one]
    if not notes:
        return NOTHING
    items = [el("li", _cut(note)) for note in notes[:_MOST_WARNINGS]]
    if (rest := len(notes) - len(items)) > 0:
        items.append(el("li", f"and {rest:,} more"))
    return el("details", el("summary", count_of(len(notes), "note")), el("ul", items))


def _cut(said: str) -> str:
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
