"""How people are told of a change, the same in every format."""

from agentmem_observe.results.comparison import Change, Comparison
from agentmem_observe.results.judging import NOT_COMPARABLE
from agentmem_observe.units import format_change, format_figure

_SMALLEST_P = 1e-6


def values(change: Change) -> str:
    """Return a figure's value there and here."""
    there, here = (_figure(value, change) for value in change.middles)
    return f"{there} → {here}"


def size(change: Change) -> str:
    """Return how large a change is, with its interval as far as there is one."""
    judgement = change.judgement
    if judgement.change_ratio is None:
        return ""
    found = format_change(judgement.change_ratio)
    if judgement.interval is None or len(set(judgement.interval)) == 1:
        return found
    return f"{found} ({between(*judgement.interval)})"


def evidence(change: Change) -> str:
    """Return what a verdict rests on."""
    judgement = change.judgement
    rounds = f"{len(change.baseline)} against {len(change.current)} rounds"
    if judgement.reasons == (NOT_COMPARABLE,):
        return f"{rounds}, {NOT_COMPARABLE}"
    if judgement.weak:
        return "one round a side: by size alone, noise may well be as large"
    p = judgement.adjusted_p
    if p is None:
        return rounds
    return f"{'p < 1e-6' if p < _SMALLEST_P else f'p {p:.2g}'}, {rounds}"


def line(change: Change) -> str:
    """Return all of it in one line."""
    return ", ".join(filter(None, (values(change), size(change), evidence(change))))


def between(low: float, high: float) -> str:
    """Return what a relative change may be.

    Examples:
        >>> between(-0.05, 0.123)
        '-5 to +12.3 %'
    """
    return f"{format_change(low).removesuffix(' %')} to {format_change(high)}"


def heading(comparison: Comparison) -> str:
    """Return in a few words how it went: ``1 worse, 2 better, 30 inconclusive, 740 same``."""
    return ", ".join(f"{count:,} {verdict}" for verdict, count in comparison.counts.items())


def closing(comparison: Comparison) -> str:
    """Return the sentence that says what the exit code says."""
    counts, code = comparison.counts, comparison.exit_code
    benchmarks = plural(len({one.identity for one in comparison.changes}), "benchmark")
    judged = f"{plural(len(comparison.changes), 'figure')} of {benchmarks}"
    if counts["worse"]:
        said = f"{counts['worse']:,} of {judged} got worse"
        if comparison.errors:
            said += f"; besides, {_troubles(comparison)}"
    elif comparison.errors:
        said = f"no regression found, but {_troubles(comparison)}"
    elif counts["inconclusive"] == len(comparison.changes):
        said = f"nothing could be judged: all of {judged} are inconclusive"
    elif counts["inconclusive"]:
        said = f"no regression found; {counts['inconclusive']:,} of {judged} are inconclusive"
    else:
        said = f"no regression in {judged}"
    return f"Exit code {code}: {said}."


def plural(count: int, noun: str) -> str:
    """Return a number of things.

    Examples:
        >>> plural(1, "file"), plural(1200, "file")
        ('1 file', '1,200 files')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def warnings(comparison: Comparison) -> list[str]:
    """Return what to know before any verdict, most important first."""
    found = []
    for text, labels in _by_difference(comparison).items():
        of = "all benchmarks" if labels == len(comparison.matched) else plural(labels, "benchmark")
        found.append(f"{text} ({of})")
    if found:
        judged = comparison.criteria.force
        first = (
            "the sides differ in more than what is judged; --force judges them all the same:"
            if judged
            else "not comparable, so that nothing of these is judged without --force:"
        )
        found.insert(0, first)
    if comparison.weak:
        found.append(
            f"{plural(comparison.weak, 'figure')} of {len(comparison.changes):,} with one round a "
            "side are judged by size alone, and one run is easily 10 % off; measure with: "
            "agentmem-observe run --rounds 10"
        )
    for name, side in (("current", comparison.current), ("baseline", comparison.baseline)):
        rounds = [one for rounds in side.rounds.values() for one in rounds]
        if degraded := sum(one.degraded for one in rounds):
            found.append(
                f"{degraded:,} of {plural(len(rounds), 'result')} of the {name} side are "
                "degraded: something was in the way of their measuring"
            )
        commits = {(one.metadata.get("vcs") or {}).get("commit") for one in rounds} - {None}
        if len(commits) > 1:
            names = ", ".join(sorted(str(commit)[:12] for commit in commits))
            found.append(f"the {name} side has results of several commits: {names}")
    return found


def _by_difference(comparison: Comparison) -> dict[str, int]:
    """Return each difference with the number of benchmarks that it is of."""
    found: dict[str, int] = {}
    for differences in comparison.differences.values():
        for text in differences:
            found[text] = found.get(text, 0) + 1
    return found


def _troubles(comparison: Comparison) -> str:
    damaged = len(comparison.current.damaged) + len(comparison.baseline.damaged)
    failed = sum(one.failed for one in comparison.missing)
    parts = []
    if damaged:
        parts.append(f"{plural(damaged, 'file')} cannot be read")
    if failed:
        parts.append(f"{plural(failed, 'benchmark')} failed")
    if not comparison.changes:
        parts.append("there is nothing to compare")
    return " and ".join(parts)


def _figure(value: float, change: Change) -> str:
    whole = change.figure.unit == "count" and value == int(value)
    return format_figure(int(value) if whole else value, change.figure.unit)
