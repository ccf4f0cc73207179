"""What the page's sections are made of: sections, tables, numbers with their doubts, badges."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentmem_observe.results.report.gathered import VALIDITIES, Run, number
from agentmem_observe.results.report.markup import Child, Element, el
from agentmem_observe.results.shown import show

LEVELS = {
    "valid": "good",
    "degraded": "warn",
    "void": "bad",
    "ok": "good",
    "skipped": "unknown",
    "failed": "bad",
    "none": "good",
    "unknown": "unknown",
    "suspected": "warn",
    "leak": "bad",
    "steady": "good",
    "slower": "bad",
    "faster": "good",
    "same": "good",
    "better": "good",
    "worse": "bad",
    "inconclusive": "unknown",
}
"""How good or bad each word of a judgement is."""

NOTHING = "\N{EN DASH}"
"""In place of a number that there is not."""

_MARKS = {"degraded": "▲", "void": "✕"}


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        anchor: What links to it.
        title: Its heading.
        content: What stands in it; without any it is not there.
    """

    anchor: str
    title: str
    content: list[Element] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Case:
    """One level of nested results and its own numbers.

    Attributes:
        path: The keys that lead there.
        figures: Its numbers by name.
        validity: What is said of them here, or else above, or else of the run.
    """

    path: tuple[str, ...]
    figures: dict[str, float]
    validity: str


def cases(run: Run) -> Iterator[Case]:
    """Yield each level of a run's results, with or without numbers, those above first."""
    yield from _cases(run.figures, (), run.validity)


def badge(word: str, *, label: str = "") -> Element:
    """Return a judgement in its colour.

    Args:
        word: Such as ``void``.
        label: What it is about.
    """
    level = LEVELS.get(word, "unknown")
    about = el("span", label, class_="about") if label else None
    return el("span", about, el("b", word), class_="badge", data_level=level)


def number_cell(value: float | None, path: Sequence[str], validity: str = "") -> Element:
    """Return a number as a cell of a table, marked if it is in doubt.

    Args:
        value: The number; a dash if None.
        path: Keys that lead to it; the last one has its unit.
        validity: Of the measurement that it is from.
    """
    if value is None:
        return el("td", NOTHING, class_="number")
    return marked_cell(show(value, path), validity)


def marked_cell(shown: str, validity: str = "") -> Element:
    """Return a number that is text already as a cell, marked if it is in doubt."""
    mark = _MARKS.get(validity)
    if mark is None or shown == NOTHING:
        return el("td", shown, class_="number")
    figure: Child = el("s", shown) if validity == "void" else shown
    note = el("span", f" {mark}", el("i", f" {validity}"), class_="mark", title=validity)
    return el("td", figure, note, class_="number", data_level=LEVELS[validity])


def table(label: str, headings: Sequence[str], rows: Sequence[Sequence[Child]]) -> Element:
    """Return a table that scrolls inside of itself where it is wider than the page.

    Args:
        label: What it is about, for those who cannot see it.
        headings: Of its columns, the first that of the rows.
        rows: Their cells: a ``td`` or what is to stand in one; the first becomes a heading.
    """
    numeric = [any(_is_number(row[column]) for row in rows) for column in range(len(headings))]
    head = [
        el("th", heading, scope="col", class_="number" if is_number else None)
        for heading, is_number in zip(headings, numeric, strict=True)
    ]
    body = [
        el("tr", el("th", first, scope="row"), [_cell(cell) for cell in cells])
        for first, *cells in rows
    ]
    grid = el("table", el("thead", el("tr", head)), el("tbody", body))
    return el("div", grid, class_="scroll", tabindex="0", role="group", aria_label=label)


def run_title(run: Run) -> list[Child]:
    """Return a benchmark's name, its target, when it ended and what its measurement is worth."""
    return [
        el("span", run.result.benchmark.replace("_", " "), class_="name"),
        badge(run.validity) if run.validity else None,
        el("span", f"{run.target}, {run.ended}" if run.target else run.ended, class_="about"),
    ]


def card(*children: Child) -> Element:
    """Return a box for a chart and what belongs to it."""
    return el("article", *children, class_="card")


def split(title: Child, left: Child, right: Child) -> Element:
    """Return a box as wide as the page: a chart, and beside it what would be below in a card."""
    return el(
        "article",
        el("h3", title),
        el("div", el("div", left), el("div", right), class_="halves"),
        class_="card wide",
    )


def wide(title: Child, *children: Child) -> Element:
    """Return a box as wide as the page."""
    return el("article", el("h3", title), *children, class_="card wide")


def cards(*children: Child, small: bool = False) -> Element:
    """Return boxes beside each other, as many as fit; ``small`` are those without a table."""
    return el("div", *children, class_="cards small" if small else "cards")


def count_of(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun.

    Examples:
        >>> count_of(1, "run"), count_of(1200, "run")
        ('1 run', '1,200 runs')
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def _is_number(cell: Child) -> bool:
    return isinstance(cell, Element) and cell.get("class") == "number"


def _cell(cell: Child) -> Element:
    return cell if isinstance(cell, Element) and cell.tag == "td" else el("td", cell)


def _cases(figures: Mapping[str, Any], path: tuple[str, ...], validity: str) -> Iterator[Case]:
    own = figures.get("validity")
    said = own if own in VALIDITIES else validity
    numbers = {n: known for n, value in figures.items() if (known := number(value)) is not None}
    yield Case(path, numbers, said)
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _cases(value, (*path, name), said)
