"""How throughput follows the number of agents, and durations the number of records."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from agentmem_observe.analysis.scaling import Estimate, UslFit
from agentmem_observe.results.report.chart import Point, Series, figure
from agentmem_observe.results.report.gathered import Gathered, Run, mapping, number, text, texts
from agentmem_observe.results.report.markup import Child, Element, el
from agentmem_observe.results.report.parts import (
    NOTHING,
    Section,
    cards,
    marked_cell,
    number_cell,
    run_title,
    split,
    table,
)
from agentmem_observe.results.report.scales import Axis, around, byte_axis, seconds_tick
from agentmem_observe.results.shown import show

_RATE = "throughput_ops_per_second"
_LAW = {
    "throughput_alone_ops_per_second": "throughput of one agent",
    "contention_ratio": "contention",
    "coherence_ratio": "coherence",
    "peak_agents_count": "agents at the peak",
    "peak_throughput_ops_per_second": "throughput at the peak",
}
_CURVE_POINTS = 60
_IDEAL_ROOM = 10
"""Times the highest measured throughput."""


def agents(gathered: Gathered) -> Section:
    """Draw throughput over agents with the law that was fitted to it."""
    shown = [
        split(run_title(run), _agents_chart(run, counts), _agents_text(run, counts))
        for run in gathered.shown
        if "scaling_law" in run.figures and len(counts := _sizes(run.figures)) > 1
    ]
    return Section("agents", "Scaling with agents", [cards(shown)] if shown else [])


def volumes(gathered: Gathered) -> Section:
    """Draw durations over the number of records that a target holds."""
    shown = [
        child
        for run in gathered.shown
        if "degradation" in run.figures and len(held := _volumes(run.figures)) > 1
        for child in _volume_cards(run, held)
    ]
    return Section("volume", "Degradation with volume", [cards(shown)] if shown else [])


def _sizes(figures: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Return what stands under keys that are numbers, the smallest first."""
    found = {int(k): mapping(v) for k, v in figures.items() if k.isdecimal() and len(k) < 16}
    return {size: found[size] for size in sorted(found) if size > 0}


def _verdict(case: Mapping[str, Any], run: Run) -> str:
    return text(case.get("validity")) or run.validity


def _agents_chart(run: Run, counts: Mapping[int, Mapping[str, Any]]) -> Element:
    known = [
        (size, rate, _verdict(case, run))
        for size, case in counts.items()
        if (rate := number(case.get(_RATE))) is not None and rate > 0
    ]
    measured: list[Point] = [(size, rate) for size, rate, _ in known]
    x_low, x_high = min(counts), max(counts)
    low, high = around([rate for _, rate in measured], "log")
    if measured:  # of the ideal line there is some room above, though rarely enough for all of it
        size, rate = measured[0]
        _, high = around([high, min(_IDEAL_ROOM * high, rate * x_high / size)], "log")
    series = [
        Series("measured", measured, 0, line="", dots=True, doubts=[doubt for *_, doubt in known])
    ]
    if (law := _law(mapping(run.figures.get("scaling_law")))) is not None:
        step = (x_high / x_low) ** (1 / _CURVE_POINTS)
        sizes = [x_low * step**index for index in range(_CURVE_POINTS + 1)]
        fitted = [(size, law.throughput(size)) for size in sizes]
        series.append(Series("Universal Scalability Law", fitted, 0))
    if measured:
        size, rate = measured[0]
        ideal = [(at, rate * at / size) for at in (x_low, x_high)]
        series.append(Series("ideal: each agent as fast as one alone", ideal, 3, "dashed"))
    return figure(
        "Throughput over agents",
        Axis("Agents, logarithmic", "log", x_low, x_high, _whole, list(counts)),
        Axis("Throughput in operations per second, logarithmic", "log", low, high, _whole),
        series,
    )


def _law(stored: Mapping[str, Any]) -> UslFit | None:
    """Return the law as the result has it; None if it has none."""
    found = [mapping(stored.get(name)) for name in _LAW]
    values = [number(one.get("value")) for one in found]
    rate, contention, coherence = values[:3]
    if rate is None or contention is None or coherence is None or rate <= 0:
        return None
    x, c, k = (Estimate(value, value, value) for value in (rate, contention, coherence))
    return UslFit(x, c, k, None, None, number(stored.get("misfit_ratio")) or 0.0)


def _agents_text(run: Run, counts: Mapping[int, Mapping[str, Any]]) -> Iterator[Element]:
    stored = mapping(run.figures.get("scaling_law"))
    if reason := text(stored.get("reason")):
        yield el("p", el("b", "No law fitted: "), reason)
    elif rows := [*_estimates(stored, run.validity)]:
        headings = ["Universal Scalability Law", "value", "95 % interval"]
        yield table(f"{run.name}: the law's parameters", headings, rows)
    yield from _serial_share(mapping(run.figures.get("serial_share")), run.validity)
    rows = []
    for size, case in counts.items():
        verdict = _verdict(case, run)
        bottleneck = mapping(case.get("bottleneck"))
        kind, confidence = text(bottleneck.get("kind")), text(bottleneck.get("confidence"))
        named = f"{kind} ({confidence} confidence)" if kind and confidence else kind or NOTHING
        evidence = "; ".join(texts(bottleneck.get("evidence")))
        rows.append(
            [
                f"{size:,}",
                number_cell(number(case.get(_RATE)), [_RATE], verdict),
                number_cell(number(case.get("scaling_efficiency_ratio")), ["_ratio"], verdict),
                *(
                    number_cell(number(case.get(name)), [name], verdict)
                    for name in ("avg_agent_duration_seconds", "95th_percentile_duration")
                ),
                el("td", named, class_="words", title=evidence or None),
            ]
        )
    headings = ["agents", "throughput", "efficiency", "an agent took", "p95", "bottleneck"]
    yield table(f"{run.name}: each number of agents", headings, rows)


def _serial_share(share: Mapping[str, Any], validity: str) -> Iterator[Element]:
    ratio, low, high = (number(share.get(key)) for key in ("ratio", "low", "high"))
    if ratio is not None:
        interval = NOTHING if low is None or high is None else f"{low:.3g} to {high:.3g}"
        row: list[Child] = ["serial share", number_cell(ratio, ["_ratio"], validity)]
        headings = ["Of an operation", "value", "95 % interval"]
        yield table("The serial share", headings, [[*row, marked_cell(interval, validity)]])


def _estimates(stored: Mapping[str, Any], validity: str) -> Iterator[list[Child]]:
    for name, words in _LAW.items():
        one = mapping(stored.get(name))
        value, low, high = (number(one.get(key)) for key in ("value", "low", "high"))
        if value is None:
            continue
        interval = NOTHING
        if low is not None and high is not None:
            interval = f"{show(low, [name])} to {show(high, [name])}"
        yield [words, number_cell(value, [name], validity), marked_cell(interval, validity)]
    misfit = number(stored.get("misfit_ratio"))
    if misfit is not None:
        yield [
            "misses the measured by",
            marked_cell(f"{misfit:.1%}", validity),
            marked_cell(NOTHING),
        ]


def _volumes(figures: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Return each volume's figures by the number of records held."""
    held: dict[int, Mapping[str, Any]] = {}
    for key, value in figures.items():
        case = mapping(value)
        counted = number(case.get("counted"))
        if counted is None and key.isdecimal() and len(key) < 16:
            counted = int(key)
        if counted is not None and counted > 0 and "operations" in case:
            held[int(counted)] = case
    return {size: held[size] for size in sorted(held) if size > 0}


def _volume_cards(run: Run, held: Mapping[int, Mapping[str, Any]]) -> Iterator[Element]:
    names = dict.fromkeys(name for case in held.values() for name in mapping(case["operations"]))
    series = []
    for colour, name in enumerate(names):
        words = name.removesuffix("_memory").replace("_", " ")
        looks: tuple[tuple[str, Literal["solid", "dashed"]], ...]
        looks = (("p50", "solid"), ("p99", "dashed"))
        for percentile, line in looks:
            points, doubts = _over_volume(run, held, name, f"service_time_{percentile}_seconds")
            shown = Series(f"{words}, {percentile}", points, colour, line, True, doubts)
            series += [shown] if points else []
    low, high = around([y for one in series for _, y in one.points], "log")
    duration = Axis("Service time, logarithmic", "log", low, high, seconds_tick)
    chart = figure("Durations over volume", _volume_axis(held), duration, series)
    yield split(run_title(run), chart, [_slopes(run), _by_volume(run, held)])
    yield from _resident(run, held)


def _by_volume(run: Run, held: Mapping[int, Mapping[str, Any]]) -> Element:
    """Return durations as numbers: a row for each volume and operation."""
    rows: list[Sequence[Child]] = []
    for volume, case in held.items():
        for operation, value in mapping(case["operations"]).items():
            one = mapping(value)
            names = [f"service_time_{which}_seconds" for which in ("p50", "p95", "p99", "max")]
            verdict = _verdict(one, run)
            rows.append(
                [
                    f"{volume:,}",
                    operation.removesuffix("_memory").replace("_", " "),
                    number_cell(number(one.get("items_processed")), ["_count"]),
                    *(number_cell(number(one.get(name)), [name], verdict) for name in names),
                ]
            )
    headings = ["records", "operation", "count", "p50", "p95", "p99", "longest"]
    return table(f"{run.name}: durations", headings, rows)


def _over_volume(
    run: Run, held: Mapping[int, Mapping[str, Any]], operation: str, figure: str
) -> tuple[list[Point], list[str]]:
    points: list[Point] = []
    doubts = []
    for volume, case in held.items():
        one = mapping(mapping(case["operations"]).get(operation))
        if (value := number(one.get(figure))) is not None and value > 0:
            points.append((volume, value))
            doubts.append(_verdict(one, run))
    return points, doubts


def _volume_axis(held: Mapping[int, Mapping[str, Any]]) -> Axis:
    return Axis("Records held, logarithmic", "log", min(held), max(held), _whole)


def _slopes(run: Run) -> Element:
    rows: list[Sequence[Child]] = []
    for operation, value in mapping(run.figures.get("degradation")).items():
        one = mapping(value)
        exponent = mapping(one.get("slope_exponent"))
        slope, low, high = (number(exponent.get(key)) for key in ("value", "low", "high"))
        words = text(one.get("growth")) or text(one.get("reason")) or NOTHING
        interval = NOTHING if low is None or high is None else f"{low:.3g} to {high:.3g}"
        cell = marked_cell(NOTHING if slope is None else f"{slope:.3g}", run.validity)
        rows.append(
            [
                operation.removesuffix("_memory").replace("_", " "),
                el("td", words, class_="words"),
                cell,
                marked_cell(interval),
            ]
        )
    headings = ["operation", "growth", "exponent", "interval"]
    return table(f"{run.name}: growth", headings, rows)


def _resident(run: Run, held: Mapping[int, Mapping[str, Any]]) -> Iterator[Element]:
    points = [
        (volume, value)
        for volume, case in held.items()
        if (value := number(case.get("memory_usage_bytes"))) is not None and value > 0
    ]
    if len(points) < 2:
        return
    each: list[Sequence[Child]] = [
        [
            f"{volume:,}",
            number_cell(number(case.get("memory_usage_bytes")), ["_bytes"], run.validity),
            number_cell(number(case.get("rss_bytes_per_record")), ["_bytes"], run.validity),
        ]
        for volume, case in held.items()
    ]
    chart = figure(
        "Resident memory over volume",
        _volume_axis(held),
        byte_axis("RSS of the process", [y for _, y in points]),
        [Series("RSS", points, 2, dots=True, doubts=[run.validity] * len(points))],
    )
    headings = ["records", "RSS", "RSS per record"]
    yield split(run_title(run), chart, table(f"{run.name}: resident memory", headings, each))


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
