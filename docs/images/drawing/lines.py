"""Panels of lines: over time, and over numbers."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from .fields import Config, Table, config_of, reduce
from .source import Series
from .svg import (
    Scale,
    cut,
    drawing,
    line,
    log_ticks,
    rect,
    step_of,
    text,
    ticks,
    time_ticks,
    width_of,
)
from .values import shown, trimmed, value_colour, with_unit

LEGEND_ROW = 21
EXEMPLAR_PIXELS = 14  # of width, for one exemplar: more hide the lines
CALCULATIONS = {"lastNotNull": "Last", "max": "Max", "min": "Min", "mean": "Mean", "sum": "Total"}

Point = tuple[float, float]


@dataclass
class Line:
    """One line.

    Attributes:
        name: In the legend.
        colour: Of CSS.
        config: Of its field.
        points: In order of x.
    """

    name: str
    colour: str
    config: Config
    points: list[Point]


@dataclass(frozen=True)
class Marks:
    """What is drawn on top of lines over time.

    Attributes:
        annotations: Time and colour of each.
        exemplars: Time and value of each.
    """

    annotations: Sequence[tuple[float, str]] = ()
    exemplars: Sequence[Point] = ()


def over_time(
    panel: Mapping[str, Any],
    series: Sequence[Series],
    span: tuple[float, float, float],
    size: tuple[float, float],
    marks: Marks,
) -> str:
    """Return lines over time with axes and legend.

    Args:
        panel: Of the type ``timeseries``.
        series: What its queries found.
        span: First second, last second, and how far apart points are.
        size: Of the inside of the panel, in pixels.
        marks: What is drawn on top.
    """
    lines = []
    for index, each in enumerate(series):
        config = config_of(panel, each.name, each.ref)
        points = [
            (time, value)
            for time, value in zip(each.times, each.values, strict=True)
            if isinstance(value, float) and math.isfinite(value)
        ]
        name = config.get("displayName", each.name)
        lines.append(Line(name, value_colour(None, config, index), config, points))
    if not any(each.points for each in lines):
        return ""
    legend, legend_height = _legend(panel, lines, size)
    plot = (size[0], size[1] - legend_height)
    y, labels = _y_axis(lines, plot[1])
    left = max(width_of(words) for _, words in labels) + 12
    x = Scale(span[0], span[1], left, plot[0] - 6)
    times = time_ticks(span[0], span[1], max(2, int((plot[0] - left) / 90)))
    parts = _frame(x, y, labels, times, plot[1])
    for time, mark in marks.annotations:
        if span[0] <= time <= span[1]:
            at = x(time)
            parts.append(
                line(at, y.end, at, y.start, mark, 'stroke-dasharray="3 4" opacity="0.8"')
            )
            points = f"{at - 4:.1f},{y.start + 6:.1f} {at + 4:.1f},{y.start + 6:.1f}"
            parts.append(f'<polygon points="{points} {at:.1f},{y.start:.1f}" fill="{mark}"/>')
    for each, base in _stacked(lines):
        parts += _draw(each, base, x, y, 1.6 * span[2])
    for time, value in _sparse(marks.exemplars, x, y):
        parts.append(
            f'<rect x="-3.2" y="-3.2" width="6.4" height="6.4" fill="#5794f2" stroke="#181b1f" '
            f'transform="translate({x(time):.1f} {y(value):.1f}) rotate(45)"/>'
        )
    return drawing(*plot, parts) + legend


def over_numbers(panel: Mapping[str, Any], table: Table, size: tuple[float, float]) -> str:
    """Return lines over the numbers of one column."""
    field = panel["options"]["xField"]
    heads = table.get(field, [])
    lines = []
    for index, (name, column) in enumerate(each for each in table.items() if each[0] != field):
        config = config_of(panel, name)
        pairs = zip(heads, column, strict=True)
        points = [(head, value) for head, value in pairs if isinstance(value, float)]
        lines.append(Line(name, value_colour(None, config, index), config, points))
    if not any(each.points for each in lines):
        return ""
    legend, legend_height = _legend(panel, lines, size)
    plot = (size[0], size[1] - legend_height)
    y, labels = _y_axis(lines, plot[1])
    left = max(width_of(words) for _, words in labels) + 12
    x = Scale(min(heads), max(heads), left, plot[0] - 26)
    at = [
        (each, trimmed(with_unit(each, "short")))
        for each in ticks(min(heads), max(heads), step_of(max(heads) - min(heads), 8))
    ]
    parts = _frame(x, y, labels, at, plot[1])
    for each in lines:
        parts += _draw(each, [], x, y, math.inf)
    return drawing(*plot, parts) + legend


def _y_axis(lines: Sequence[Line], height: float) -> tuple[Scale, list[tuple[float, str]]]:
    config = lines[0].config
    unit, custom = config.get("unit", "none"), config["custom"]
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    tops = [value for each, base in _stacked(lines) for _, value in _raised(each, base)]
    values = tops + [value for each in lines for _, value in each.points if not stacked]
    low, high = min(values), max(values)
    bottom, top, count = height - 22, 8, max(2, int(height / 42))
    if custom.get("scaleDistribution", {}).get("type") == "log":
        positive = [value for value in values if value > 0] or [1e-3]
        low, high = min(positive) / 1.2, max(positive) * 1.2
        at = log_ticks(low, high)
        if len(at) < 2:
            low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
            at = log_ticks(low, high)
        scale = Scale(low, high, bottom, top, log=True)
        while len(at) * 16 > height:
            at = at[::2]
    else:
        low = config.get("min", min(low, 0) if stacked else low)
        high = config.get("max", high)
        if high <= low:
            low, high = (low - abs(low) * 0.1, high + abs(high) * 0.1) if low else (-1, 1)
        step = step_of(high - low, count, 2 if unit == "bytes" else 10)
        low = config.get("min", math.floor(low / step + 1e-9) * step)
        high = config.get("max", math.ceil(high / step - 1e-9) * step)
        at = ticks(low, high, step)
        scale = Scale(low, high, bottom, top)
    return scale, [(value, trimmed(shown(float(f"{value:.12g}"), config))) for value in at]


def _frame(
    x: Scale,
    y: Scale,
    left: Sequence[tuple[float, str]],
    below: Sequence[tuple[float, str]],
    height: float,
) -> list[str]:
    parts = []
    for value, words in left:
        parts.append(line(x.start, y(value), x.end, y(value)))
        parts.append(text(x.start - 8, y(value) + 4, words, "end"))
    for value, words in below:
        parts.append(line(x(value), y.end, x(value), y.start))
        at = min(max(x(value), x.start + width_of(words) / 2 - 8), x.end - width_of(words) / 2 + 6)
        parts.append(text(at, height - 4, words, "middle"))
    return parts


def _sparse(exemplars: Sequence[Point], x: Scale, y: Scale) -> list[Point]:
    """Return the highest exemplar in each stretch of time, of those inside the plot."""
    highest: dict[int, Point] = {}
    for time, value in exemplars:
        if x.low <= time <= x.high and y.low <= value <= y.high:
            slot = int(x(time) / EXEMPLAR_PIXELS)
            highest[slot] = max(highest.get(slot, (0.0, 0.0)), (time, value), key=lambda p: p[1])
    return list(highest.values())


def _stacked(lines: Sequence[Line]) -> list[tuple[Line, list[Point]]]:
    """Return each line with the tops of those below it."""
    found: list[tuple[Line, list[Point]]] = []
    tops: dict[float, float] = {}
    for each in lines:
        if each.config["custom"].get("stacking", {}).get("mode") != "normal":
            found.append((each, []))
            continue
        base = [(at, tops.get(at, 0.0)) for at, _ in each.points]
        found.append((each, base))
        tops |= {
            at: value + below for (at, value), (_, below) in zip(each.points, base, strict=True)
        }
    return found


def _raised(each: Line, base: Sequence[Point]) -> list[Point]:
    if not base:
        return each.points
    return [(at, v + b) for (at, v), (_, b) in zip(each.points, base, strict=True)]


def _draw(each: Line, base: Sequence[Point], x: Scale, y: Scale, gap: float) -> list[str]:
    custom, parts = each.config["custom"], []
    floor = max(y.low, min(y.high, 0.0)) if not y.log else y.low
    width = custom.get("lineWidth", 1) + 0.4
    for start, stop in _pieces(each.points, gap):
        top = _raised(each, base)[start:stop]
        under = base[start:stop] or [(at, floor) for at, _ in top]
        steps = custom.get("lineInterpolation", "linear").startswith("step")
        above, below = (_path(points, x, y, steps) for points in (top, under))
        if custom.get("drawStyle") == "bars":
            for (at, value), (_, low) in zip(top, under, strict=True):
                height = y(low) - y(value)
                parts.append(rect(x(at) - 2, y(value), 4, height, each.colour, 'opacity="0.8"'))
            continue
        if len(top) == 1 or custom.get("showPoints") == "always":
            radius = custom.get("pointSize", 5) / 2 + (custom.get("showPoints") == "always")
            parts += [
                f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="{radius}" fill="{each.colour}"/>'
                for at, value in top
            ]
        if custom.get("drawStyle") == "points" or len(top) == 1:
            continue
        if custom.get("fillOpacity"):
            area = f"M{' L'.join(above)} L{' L'.join(reversed(below))} Z"
            opacity = custom["fillOpacity"] / 100
            parts.append(f'<path d="{area}" fill="{each.colour}" opacity="{opacity}"/>')
        dash = custom.get("lineStyle", {}).get("dash", [])
        parts.append(
            f'<path d="M{" L".join(above)}" fill="none" stroke="{each.colour}" '
            f'stroke-width="{width}" stroke-linejoin="round" '
            f'stroke-dasharray="{" ".join(map(str, dash))}"/>'
        )
    return parts


def _path(points: Sequence[Point], x: Scale, y: Scale, steps: bool) -> list[str]:
    found: list[str] = []
    before: float | None = None
    for at, value in points:
        if steps and before is not None:
            found.append(f"{x(at):.1f},{before:.1f}")
        before = min(max(y(value), y.end), y.start)
        found.append(f"{x(at):.1f},{before:.1f}")
    return found


def _pieces(points: Sequence[Point], gap: float) -> list[tuple[int, int]]:
    """Return where lines begin and end that nothing is missing in."""
    cuts = [i for i in range(1, len(points)) if points[i][0] - points[i - 1][0] > gap]
    edges = [0, *cuts, len(points)]
    return [(a, b) for a, b in itertools.pairwise(edges) if b > a]


def _legend(
    panel: Mapping[str, Any], lines: Sequence[Line], size: tuple[float, float]
) -> tuple[str, float]:
    options = panel["options"]["legend"]
    if not options.get("showLegend", True):
        return "", 0.0
    most = max(2, int(size[1] * 0.36 / LEGEND_ROW))
    swatches = [f'<i style="background:{each.colour}"></i>' for each in lines]
    if options["displayMode"] == "table":
        heads = [CALCULATIONS.get(each, each) for each in options["calcs"]]
        rows = ["<tr><th>Name</th>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
        for each, swatch in zip(lines, swatches, strict=True):
            values = [value for _, value in each.points]
            cells = [shown(reduce(values, calc), each.config) for calc in options["calcs"]]
            name = f"<td>{swatch}{escape(each.name)}</td>"
            rows.append(f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
        count = min(len(rows), most)
        style = f'style="height:{count * LEGEND_ROW}px"'
        return f'<div class="legend" {style}><table>{"".join(rows)}</table></div>', (
            count * LEGEND_ROW + 4.0
        )
    used, count = 0.0, 1
    items = []
    for each, swatch in zip(lines, swatches, strict=True):
        name = cut(each.name, size[0] - 40)
        if used and used + width_of(name) + 36 > size[0]:
            used, count = 0.0, count + 1
        used += width_of(name) + 36
        items.append(f"<span>{swatch}{escape(name)}</span>")
    count = min(count, most)
    style = f'style="height:{count * LEGEND_ROW}px"'
    return f'<div class="legend list" {style}>{"".join(items)}</div>', count * LEGEND_ROW + 4.0
