"""How long operations took, percentile by percentile, and how that changed from run to run."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from agentmem_observe.analysis.samples import SAMPLES_BEYOND, fewest_samples_for
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.model import TIERS
from agentmem_observe.results.report.chart import Series, Tile, figure, heatmap
from agentmem_observe.results.report.gathered import Durations, Gathered, Run
from agentmem_observe.results.report.markup import Child, Element, el
from agentmem_observe.results.report.parts import (
    Section,
    card,
    cards,
    count_of,
    marked_cell,
    number_cell,
    run_title,
    table,
)
from agentmem_observe.results.report.scales import Axis, around, seconds_tick

QUANTILES = (0.5, 0.95, 0.99, 0.999)

_STEPS = 16
"""Of a line, per nine."""
_MOST_LINES = 4
"""In one chart, each with its tier; beyond that, those of an operation are one."""
_FEWEST_RUNS = 3
"""Of which a row in time is drawn."""
_MOST_RUNS = 48
"""In one heatmap, the newest."""
_MOST_HEATMAPS = 24
_DEPTHS = 8
_HEAT_SCHEMA = 1
"""Two rows of tiles per doubling."""


def latency(gathered: Gathered) -> Section:
    """Draw the percentiles of the newest run of each benchmark."""
    shown = [run for run in gathered.shown if _succeeded(run)]
    boxes = [card(el("h3", run_title(run)), _percentiles(run), _table(run)) for run in shown]
    intro = (
        "The newest run of each benchmark that is not void, if there is one. Each nine is as far "
        "on as the last, so the slowest operations have as much room as the many. Latency counts "
        "from when an operation was due: what a user waits. Service time counts from when it was "
        "sent; in a closed loop both are the same. Thin lines stand on fewer than ten operations."
    )
    content = [el("p", intro, class_="intro"), cards(boxes)] if boxes else []
    return Section("latency", "Latency", content)


def over_time(gathered: Gathered) -> Section:
    """Draw the latencies of all runs of a benchmark beside each other."""
    drawn: list[Element] = []
    left_out = 0
    for runs in gathered.series:
        lasting = [run for run in runs if _succeeded(run)]
        if len(lasting) < _FEWEST_RUNS:
            continue
        for operation in _operations(lasting[-1]):
            if len(drawn) < _MOST_HEATMAPS:
                drawn.append(_heatmap(lasting[-_MOST_RUNS:], operation, len(lasting)))
            else:
                left_out += 1
    if not drawn:
        return Section("time", "Over time")
    intro = (
        "Runs of the same benchmark, target and parameters, oldest to the left. The darker a "
        "tile, the more of that run's operations took so long."
    )
    if left_out:
        intro += f" {count_of(left_out, 'further heatmap')} would not fit."
    return Section("time", "Over time", [el("p", intro, class_="intro"), cards(drawn, small=True)])


def _succeeded(run: Run) -> list[Durations]:
    return [one for one in _by_tier(run) if one.outcome == "ok"]


def _by_tier(run: Run) -> list[Durations]:
    """Return what has counts, operation by operation, the quickest tier of a memory first."""
    order = {tier: place for place, tier in enumerate(("", *TIERS))}
    known = [one for one in run.durations if one.service_time.count]
    return sorted(
        known, key=lambda one: (one.operation, order.get(one.tier, len(order)), one.tier)
    )


def _operations(run: Run) -> list[str]:
    return list(dict.fromkeys(one.operation for one in _succeeded(run)))


def _merged(durations: Sequence[Durations]) -> tuple[Histogram, Histogram]:
    latency, service_time = Histogram(), Histogram()
    for one in durations:
        latency.merge(one.latency)
        service_time.merge(one.service_time)
    return latency, service_time


def _lines(run: Run) -> Iterator[tuple[str, Histogram, Histogram]]:
    """Yield names, latencies and service times of what becomes a line."""
    durations = _succeeded(run)
    several = len({one.operation for one in durations}) > 1
    if len(durations) <= _MOST_LINES or not several:
        for one in durations:
            name = f"{one.operation} {one.tier}" if several else one.tier or one.operation
            yield _words(name), one.latency, one.service_time
        return
    for operation in _operations(run):
        together = [one for one in durations if one.operation == operation]
        yield _words(operation), *_merged(together)


def _percentiles(run: Run) -> Element:
    series: list[Series] = []
    most, is_open = 1, False
    for colour, (name, latency, service_time) in enumerate(_lines(run)):
        most = max(most, latency.count)
        series += _curve(name, latency, colour, "solid")
        if latency != service_time:
            is_open = True
            series += _curve("", service_time, colour, "dashed")
    low, high = around([y for one in series for _, y in one.points], "log")
    if is_open:
        series.append(Series("its service time", [], 5, "dashed"))
    end = 100 * (1 - 1 / max(most, 10))
    loop = "open loop, so latency and service time" if is_open else "closed loop"
    return figure(
        f"{count_of(run.operations, 'operation')}, {loop}",
        Axis("Percentile", "percentile", 0, end, _percent),
        Axis("Duration, logarithmic", "log", low, high, seconds_tick),
        series,
    )


def _curve(
    name: str, histogram: Histogram, colour: int, line: Literal["solid", "dashed"]
) -> list[Series]:
    """Return the part of a line that enough operations support, and the rest as a thin one."""
    nines = math.log10(max(histogram.count, 1))
    supported = math.log10(max(histogram.count / SAMPLES_BEYOND, 1))
    steps = [step / _STEPS for step in range(math.floor(nines * _STEPS) + 1)]
    points = [_point(histogram, step) for step in steps]
    sure = sum(step <= supported for step in steps)
    return [
        Series(name, points[:sure], colour, line),
        Series("", points[max(sure - 1, 0) :], colour, "faint"),
    ]


def _point(histogram: Histogram, nines: float) -> tuple[float, float]:
    percentile = 100 * (1 - 10**-nines)
    return percentile, histogram.percentile(percentile)


def _percent(value: float) -> str:
    return f"{value:.6g} %"


def _table(run: Run) -> Element:
    durations = _by_tier(run)
    failed = any(one.outcome != "ok" for one in durations)
    is_open = any(one.latency != one.service_time for one in durations)
    rows = [row for one in durations for row in _rows(one, run.validity, (failed, is_open))]
    between = [*(["outcome"] if failed else []), *(["time"] if is_open else [])]
    names = [f"p{100 * q:g}" for q in QUANTILES]
    headings = ["operation", *between, "count", *names, "longest"]
    return table(f"{run.name}: percentiles", headings, rows)


def _rows(one: Durations, validity: str, with_: tuple[bool, bool]) -> Iterator[list[Child]]:
    with_outcome, with_kind = with_
    name = _words(f"{one.operation} {one.tier}") or "all"
    kinds = [("latency", one.latency), ("service", one.service_time)]
    for kind, histogram in kinds if one.latency != one.service_time else kinds[1:]:
        cells: list[Child] = [name]
        cells += [one.outcome] if with_outcome else []
        cells += [kind] if with_kind else []
        cells.append(marked_cell(f"{histogram.count:,}"))
        for quantile in QUANTILES:
            enough = histogram.count >= fewest_samples_for(quantile)
            value = histogram.percentile(100 * quantile) if enough else None
            cells.append(number_cell(value, ["_seconds"], validity))
        cells.append(number_cell(histogram.max_seconds, ["_seconds"], validity))
        yield cells


def _words(name: str) -> str:
    return name.replace("_memory", "").replace("_", " ").strip()


def _heatmap(runs: Sequence[Run], operation: str, count: int) -> Element:
    columns = [
        _merged([one for one in _succeeded(run) if one.operation == operation])[0] for run in runs
    ]
    extremes = [
        value
        for one in columns
        if one.count
        for value in (one.percentile(0.1), one.percentile(100))
    ]
    low, high = around(extremes, "log")
    tiles = [tile for index, one in enumerate(columns) for tile in _tiles(index, one)]
    times = [run.ended[5:] for run in runs]
    x = Axis(
        "End of the run, local time",
        "linear",
        0,
        len(runs),
        lambda at: times[min(int(at), len(times) - 1)],
        [index + 0.5 for index in range(len(runs))],
    )
    newest = runs[-1]
    parts = [_words(operation), newest.target, count_of(count, "run")]
    said = ", ".join(part for part in parts if part)
    if count > len(runs):
        said += f", the newest {len(runs)} drawn"
    y = Axis("Latency, logarithmic", "log", low, high, seconds_tick)
    chart = heatmap(said, (x, y), [t for t in tiles if t.low >= low], _tracks(runs, columns))
    return card(el("h3", run_title(newest)[:1]), chart)


def _tracks(runs: Sequence[Run], columns: Sequence[Histogram]) -> list[Series]:
    """Return the median and p99 of each run as far as there are enough operations."""
    tracks = []
    for colour, quantile in ((3, 0.5), (1, 0.99)):
        known = [
            (index + 0.5, one.percentile(100 * quantile), run.validity)
            for index, (run, one) in enumerate(zip(runs, columns, strict=True))
            if one.count >= fewest_samples_for(quantile)
        ]
        points = [(x, y) for x, y, _ in known]
        doubts = [validity for *_, validity in known]
        tracks.append(Series(f"p{100 * quantile:g}", points, colour, doubts=doubts, dots=True))
    return [track for track in tracks if track.points]


def _tiles(index: int, histogram: Histogram) -> Iterator[Tile]:
    buckets = histogram.downscaled(_HEAT_SCHEMA)
    if not buckets.counts.size:
        return
    fullest = float(buckets.counts.max())
    bounds = buckets.upper_bounds_seconds().tolist()
    width = 2.0 ** -(2.0**-_HEAT_SCHEMA)
    for count, bound in zip(buckets.counts.tolist(), bounds, strict=True):
        if count:
            # A root, so that the rare and slow are seen beside the many.
            depth = max(1, math.ceil(_DEPTHS * math.sqrt(count / fullest)))
            yield Tile(depth, index, index + 1, bound * width, bound)
