"""How right answers are, and what compression costs of that."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentmem_observe.results.report.chart import Series, figure
from agentmem_observe.results.report.gathered import Gathered, Run, mapping, number
from agentmem_observe.results.report.markup import Child, Element, el
from agentmem_observe.results.report.parts import (
    Case,
    Section,
    card,
    cards,
    cases,
    number_cell,
    run_title,
    split,
    table,
    wide,
)
from agentmem_observe.results.report.scales import Axis, around, tick
from agentmem_observe.results.shown import heading
from agentmem_observe.units import format_bytes

_RECALL = re.compile(r"recall_at_(k|\d+)_ratio")
_VOLUME = re.compile(r"(?:volume_|records_)?(\d{1,15})", re.ASCII)
_SCORES = (
    "precision_ratio",
    "recall_ratio",
    "f1_ratio",
    "ndcg_ratio",
    "recall_at_k_ratio",
    "recall_of_all_ratio",
    "hits_count",
    "answers_count",
    "searched_records_count",
)
_TIERS = ("raw", "stm", "im", "ltm")
_CODES = (
    "bytes_per_vector",
    "compression_ratio",
    "cosine_mean_ratio",
    "cosine_min_ratio",
    "overlap_at_10_ratio",
    "reconstruction_mse",
    "vector_count",
)
_OVERLAP = "overlap_at_10_ratio"
_MOST_ROWS = 120


def recall(gathered: Gathered) -> Section:
    """Draw recall over volume, and list the scores of answers."""
    charts: list[Element] = []
    tables: list[Element] = []
    for run in gathered.shown:
        lines = _recall_lines(run)
        if len({x for one in lines for x, _ in one.points}) > 1:
            charts.append(card(el("h3", run_title(run)), _recall_chart(lines)))
        names = ("precision_ratio", "recall_of_all_ratio")
        scored = [case for case in cases(run) if any(name in case.figures for name in names)]
        if scored:
            tables.append(wide(run_title(run), _figures(run, scored, _SCORES, "answers to")))
    boxes = [*charts, *tables]
    return Section("recall", "Recall and precision", [cards(boxes)] if boxes else [])


def compression(gathered: Gathered) -> Section:
    """List what records and vectors take in each tier, and what is left of them."""
    boxes: list[Element] = []
    for run in gathered.shown:
        if run.result.category != "compression":
            continue
        if rows := [*_tier_rows(run)]:
            headings = ["records", *_TIERS, "raw to ltm"]
            sizes = table(f"{run.name}: bytes per record", headings, rows)
            boxes.append(wide(run_title(run), el("h4", "Bytes per record"), sizes))
        coded = [case for case in cases(run) if "bytes_per_vector" in case.figures]
        if coded:
            boxes.append(
                split(run_title(run), _trade_off(coded), _figures(run, coded, _CODES, "vectors"))
            )
    return Section("compression", "Compression", [cards(boxes)] if boxes else [])


def _recall_lines(run: Run) -> list[Series]:
    lines: dict[str, list[tuple[float, float, str]]] = {}
    for case in cases(run):
        for name, value in case.figures.items():
            found = _RECALL.fullmatch(name)
            volume, rest = _volume(case.path, run)
            if found and volume:
                k = "" if found[1] == "k" else f"k {found[1]}"
                words = " ".join([*rest, k]).replace("_", " ").strip() or "recall"
                lines.setdefault(words, []).append((volume, value, case.validity))
    return [
        Series(
            name,
            [(x, y) for x, y, _ in sorted(points)],
            colour,
            dots=True,
            doubts=[validity for *_, validity in sorted(points)],
        )
        for colour, (name, points) in enumerate(lines.items())
    ]


def _volume(path: Sequence[str], run: Run) -> tuple[int, list[str]]:
    """Return the number of records that a path names, and its other keys; 0 if it names none."""
    for index, key in enumerate(path):
        if found := _VOLUME.fullmatch(key):
            case: Any = run.figures
            for step in path[: index + 1]:
                case = mapping(case).get(step)
            counted = number(mapping(case).get("counted"))
            return int(counted or found[1]), [*path[:index], *path[index + 1 :]]
    return 0, []


def _recall_chart(lines: Sequence[Series]) -> Element:
    volumes = sorted({x for one in lines for x, _ in one.points})
    least = min(y for one in lines for _, y in one.points)
    low = 0.0 if least < 0.5 else 0.5 if least < 0.9 else 0.9
    return figure(
        "Recall over volume",
        Axis("Records searched, logarithmic", "log", volumes[0], volumes[-1], _whole, volumes),
        Axis("Recall, 1 is all", "linear", low, 1.0, lambda value: f"{value:.3g}"),
        lines,
    )


def _trade_off(coded: Sequence[Case]) -> Element:
    kinds = dict.fromkeys(case.path[0] for case in coded if case.path)
    series = []
    for colour, kind in enumerate(kinds):
        own = [case for case in coded if case.path[:1] == (kind,) and _OVERLAP in case.figures]
        points = [(case.figures["bytes_per_vector"], case.figures[_OVERLAP]) for case in own]
        doubts = [case.validity for case in own]
        series.append(Series(kind.replace("_", " "), points, colour, "", True, doubts))
    low, high = around([x for one in series for x, _ in one.points], "log")
    return figure(
        "What is left of the neighbours",
        Axis(
            "Size of a vector, logarithmic",
            "log",
            low,
            high,
            lambda value: tick(format_bytes(value)),
        ),
        Axis("Overlap of the 10 nearest, 1 is all", "linear", 0, 1, lambda v: f"{v:.2g}"),
        series,
    )


def _figures(run: Run, found: Sequence[Case], names: Sequence[str], what: str) -> Element:
    shown = [name for name in names if any(name in case.figures for case in found)]
    rows: list[list[Child]] = [
        [
            " ".join(case.path).replace("_", " "),
            *(number_cell(case.figures.get(name), [name], case.validity) for name in shown),
        ]
        for case in found[:_MOST_ROWS]
    ]
    headings = [what, *(heading(name.removesuffix("_ratio")) for name in shown)]
    return table(f"{run.name}: {what}", headings, rows)


def _tier_rows(run: Run) -> Iterator[list[Child]]:
    for kind, value in run.figures.items():
        for records, case in mapping(value).items():
            tiers = {name: mapping(mapping(case).get(name)) for name in _TIERS}
            sizes = [number(one.get("bytes_per_record")) for one in tiers.values()]
            if all(size is None for size in sizes):
                continue
            yield [
                f"{kind}, {records}".replace("_", " "),
                *(number_cell(size, ["_bytes"], run.validity) for size in sizes),
                number_cell(_ratio(mapping(case)), ["_ratio"], run.validity),
            ]


def _ratio(case: Mapping[str, Any]) -> float | None:
    return number(case.get("raw_to_ltm_ratio"))


def _whole(value: float) -> str:
    return f"{value:,.0f}"
