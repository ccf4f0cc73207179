"""What runs took of the machine, and whether they gave it back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentmem_observe.results.report.chart import Point, Series, figure
from agentmem_observe.results.report.gathered import Gathered, Run, mapping, number, text, texts
from agentmem_observe.results.report.markup import Child, Element, el
from agentmem_observe.results.report.parts import (
    Section,
    badge,
    card,
    cards,
    count_of,
    number_cell,
    run_title,
    table,
)
from agentmem_observe.results.report.scales import Axis, around, byte_axis
from agentmem_observe.units import format_period

_USED = {
    "cpu_seconds": "CPU time",
    "avg_cpu_percent": "CPU, mean",
    "max_cpu_percent": "CPU, highest",
    "rss_peak_bytes": "RSS, peak",
    "rss_end_bytes": "RSS, end",
    "disk_read_bytes": "read from disk",
    "disk_write_bytes": "written to disk",
    "network_sent_bytes": "sent",
    "network_received_bytes": "received",
    "thread_count_max": "threads",
    "fd_count_max": "open files",
}
_MEBIBYTE = 2.0**20


def resources(gathered: Gathered) -> Section:
    """Draw the timelines of runs that have one, with what was judged of leaks."""
    boxes = [box for run in gathered.shown for box in _timelines(run)]
    content = [cards(boxes)] if boxes else []
    rows = [row for run in gathered.shown if (row := _used(run)) is not None]
    if rows:
        headings = ["benchmark", *_USED.values()]
        content.append(el("h3", "The worker process of each run"))
        content.append(table("Resources of each run", headings, rows))
    return Section("resources", "Resources", content)


def leak_of(run: Run) -> Mapping[str, Any]:
    """Return what a run says of leaks; empty if it says nothing."""
    leak = mapping(run.figures.get("leak"))
    return leak if text(leak.get("verdict")) else {}


def _timelines(run: Run) -> Iterator[Element]:
    series = mapping(run.figures.get("time_series"))
    leak = leak_of(run)
    cpu = _points(series, "cpu_percent")
    resident = [(at, value * _MEBIBYTE) for at, value in _points(series, "memory_mb")]
    if not cpu and not resident and not leak:
        return
    judged = badge(text(leak.get("verdict")), label="leak") if leak else None
    reasons = el("ul", [el("li", reason) for reason in _reasons(leak)], class_="reasons")
    charts = [_resident_chart(resident) if resident else None, _cpu_chart(cpu) if cpu else None]
    yield card(el("h3", run_title(run), judged), charts[:1], reasons)
    if cpu:
        yield card(el("h3", run_title(run)), charts[1:])


def _points(series: Mapping[str, Any], name: str) -> list[Point]:
    times, values = series.get("timestamps"), series.get(name)
    if not isinstance(times, list) or not isinstance(values, list):
        return []
    pairs = [(number(at), number(value)) for at, value in zip(times, values, strict=False)]
    return [(at, value) for at, value in pairs if at is not None and value is not None]


def _resident_chart(points: Sequence[Point]) -> Element:
    y = byte_axis("RSS of the process", [y for _, y in points])
    return figure(_samples(points), _time_axis(points), y, [Series("RSS", points, 2)])


def _cpu_chart(points: Sequence[Point]) -> Element:
    low, high = around([y for _, y in points])
    y = Axis("CPU in per cent of one core", "linear", low, high, _percent)
    return figure(_samples(points), _time_axis(points), y, [Series("CPU", points, 0)])


def _time_axis(points: Sequence[Point]) -> Axis:
    last = max(x for x, _ in points)
    return Axis("Time since the load began", "linear", 0, max(last, 1.0), _period)


def _samples(points: Sequence[Point]) -> str:
    return count_of(len(points), "sample")


def _reasons(leak: Mapping[str, Any]) -> Iterator[Child]:
    for detector in ("cycles", "floor"):
        one = mapping(leak.get(detector))
        for reason in texts(one.get("reasons")):
            yield [el("b", f"{detector}: {text(one.get('verdict'))}"), f" {reason}"]
    yield from texts(leak.get("reasons"))


def _used(run: Run) -> list[Child] | None:
    used = mapping(run.result.metadata.get("resources"))
    values = [number(used.get(name)) for name in _USED]
    if all(value is None for value in values):
        return None
    cells = [number_cell(value, [name]) for name, value in zip(_USED, values, strict=True)]
    return [run.name, *cells]


def _percent(value: float) -> str:
    return f"{value:.4g} %"


def _period(seconds: float) -> str:
    return format_period(max(seconds, 0.0))
