"""All figures of the newest run of each benchmark, whoever wrote it, as tables."""

from collections.abc import Iterator

from agentmem_observe.results.report.gathered import Gathered, Run
from agentmem_observe.results.report.markup import Child, Element, el
from agentmem_observe.results.report.parts import (
    Section,
    cases,
    count_of,
    number_cell,
    run_title,
    table,
)
from agentmem_observe.results.shown import Row, by_shape, figures_in, heading, labels, rows_of

_MOST_ROWS = 60
_MOST_COLUMNS = 24
_MOST_TABLES = 12
"""Of one benchmark: who has more is served better by the files."""


def listing(gathered: Gathered) -> Section:
    """List the figures, benchmark by benchmark, each folded until it is asked for."""
    folded = [one for run in gathered.shown if (one := _run(run)) is not None]
    return Section("figures", "All figures", folded)


def _run(run: Run) -> Element | None:
    tables = by_shape(rows_of(run.figures))
    if not tables:
        return None
    validities = {_path(case.path): case.validity for case in cases(run)}
    shown = [_table(run, rows, validities) for rows in tables[:_MOST_TABLES]]
    rest = len(tables) - len(shown)
    note = el("p", f"{count_of(rest, 'further table')}: see {run.path}") if rest else None
    summary = el("summary", el("span", f"{run.result.category} ", class_="about"), run_title(run))
    return el("details", summary, shown, note, class_="figures")


def _path(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in path if key != "tiers")


def _table(run: Run, rows: list[Row], validities: dict[tuple[str, ...], str]) -> Iterator[Element]:
    title, called = labels(rows)
    names = figures_in(rows)
    cut = names[:_MOST_COLUMNS]
    body: list[list[Child]] = []
    for label, (path, figures) in zip(called[:_MOST_ROWS], rows, strict=False):
        validity = validities.get(path, run.validity)
        cells = [number_cell(figures.get(name), (*path, name), validity) for name in cut]
        body.append([label.replace("_", " "), *cells])
    yield table(
        f"{run.name}: {title or 'figures'}", [title or "figures of", *map(heading, cut)], body
    )
    if len(rows) > _MOST_ROWS or len(names) > len(cut):
        more = f"{count_of(len(rows), 'row')} and {count_of(len(names), 'column')} in all: "
        yield el("p", more, f"see {run.path}", class_="note")
