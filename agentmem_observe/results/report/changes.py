"""What became better or worse than a baseline."""

from collections.abc import Iterator, Sequence

from agentmem_observe.results.comparison import Alone, Change, Comparison
from agentmem_observe.results.formats.wording import evidence, heading, size, warnings
from agentmem_observe.results.report.markup import Child, Element, breakable, el
from agentmem_observe.results.report.parts import (
    NOTHING,
    Section,
    badge,
    count_of,
    marked_cell,
    table,
)
from agentmem_observe.units import format_figure

_MOST_ROWS = 100
"""Of each verdict."""
_MOST_LINES = 40


def changes(comparison: Comparison) -> Section:
    """List what changed, what got worse first, and what could not be compared.

    Args:
        comparison: With the baseline.
    """
    said = f"{heading(comparison)}; compared with {comparison.baseline.name}."
    content = [el("p", said, class_="intro")]
    if found := warnings(comparison):
        content.append(el("ul", [el("li", one) for one in found], class_="reasons"))
    for verdict in ("worse", "better"):
        if ones := comparison.of(verdict):
            content += _listed(comparison, ones)
    if unsure := comparison.of("inconclusive"):
        title = count_of(len(unsure), "inconclusive change")
        content.append(el("details", el("summary", title), _listed(comparison, unsure)))
    content += _alone("Only in the baseline", comparison, comparison.missing)
    content += _alone("Not in the baseline", comparison, comparison.new)
    if left_out := comparison.baseline.left_out:
        rows: list[list[Child]] = [
            [el("code", one.path), one.cause, el("td", one.reason, class_="words")]
            for one in left_out[:_MOST_LINES]
        ]
        content.append(el("h3", "Left out of the baseline"))
        content.append(table("Left out of the baseline", ["file", "cause", "why"], rows))
        content += _rest(len(left_out) - len(rows))
    return Section("changes", "Against the baseline", content)


def told(change: Change) -> str:
    """Return how large a change is and what that rests on."""
    return ", ".join(filter(None, (size(change), evidence(change))))


def _listed(comparison: Comparison, ones: Sequence[Change]) -> Iterator[Element]:
    rows: list[list[Child]] = []
    for change in ones[:_MOST_ROWS]:
        there, here = (format_figure(value, change.figure.unit) for value in change.middles)
        rows.append(
            [
                comparison.labels[change.identity],
                el("td", breakable(change.path), class_="words"),
                badge(change.verdict),
                marked_cell(there),
                marked_cell(here),
                marked_cell(size(change) or NOTHING),
                el("td", evidence(change), class_="words"),
            ]
        )
    headings = ["benchmark", "figure", "verdict", "baseline", "now", "change (95 %)", "evidence"]
    yield table(f"Changes: {ones[0].verdict}", headings, rows)
    yield from _rest(len(ones) - len(rows))


def _alone(title: str, comparison: Comparison, alone: Sequence[Alone]) -> Iterator[Element]:
    if not alone:
        return
    items = [
        el("li", el("b", comparison.labels[one.identity]), f" {one.reason}")
        for one in alone[:_MOST_LINES]
    ]
    yield el("h3", title)
    yield el("ul", items, class_="reasons")
    yield from _rest(len(alone) - len(items))


def _rest(count: int) -> Iterator[Element]:
    if count > 0:
        yield el("p", f"and {count:,} more; agentmem-observe compare has all", class_="note")
