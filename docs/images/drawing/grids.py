"""Panels of cells: heatmaps of histograms, and states over time."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .fields import config_of
from .source import Series
from .svg import Scale, cut, drawing, line, log_ticks, rect, text, time_ticks, width_of
from .values import mix, shown, value_colour, with_unit

SCHEMES = {
    "Oranges": ("#341c0a", "#8c3d0a", "#e0752d", "#ffb357", "#ffe3b3"),
    "Blues": ("#0d1b30", "#1f4b8c", "#5794f2", "#a8cbff"),
    "Greens": ("#0d2a14", "#2b7a3d", "#73bf69", "#c8f2c2"),
    "Spectral": ("#5e4fa2", "#3288bd", "#66c2a5", "#e6f598", "#fdae61", "#d53e4f"),
    "Viridis": ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"),
    "Turbo": ("#30123b", "#4686fb", "#1ae4b6", "#a4fc3c", "#fb8022", "#7a0403"),
}
LEGEND_HEIGHT = 26
CELL_PIXELS = 4  # lower ones can hardly be seen

Cell = tuple[float, float, float, float]
"""When, from, to, and how many."""


def heatmap(
    panel: Mapping[str, Any],
    series: Sequence[Series],
    span: tuple[float, float, float],
    size: tuple[float, float],
) -> str:
    """Return how a histogram's values spread at each time, brighter where there are more.

    Args:
        panel: Of the type ``heatmap``.
        series: One native histogram, or the buckets of a classic one by ``le``.
        span: First second, last second, and how far apart columns are.
        size: Of the inside of the panel, in pixels.
    """
    least = panel["options"].get("filterValues", {}).get("le", 0.0)
    cells = [cell for cell in [*_native(series), *_classic(series)] if cell[3] > least]
    if not cells:
        return ""
    cells = _coarse(cells, int(size[1] / CELL_PIXELS))
    options, unit = panel["options"]["color"], panel["options"]["yAxis"].get("unit", "s")
    most = max(cell[3] for cell in cells)
    height = size[1] - LEGEND_HEIGHT
    y = Scale(min(c[1] for c in cells), max(c[2] for c in cells), height - 22, 8, log=True)
    labels = [(at, with_unit(at, unit)) for at in log_ticks(y.low, y.high)]
    left = max([width_of(words) for _, words in labels], default=30) + 12
    x = Scale(span[0], span[1], left, size[0] - 6)
    parts = []
    wide = max(1.0, x(span[0] + span[2]) - x(span[0]))
    for time, low, high, count in cells:
        share = (count / most) ** options.get("exponent", 1)
        start = max(x.start, x(time) - wide)
        parts.append(
            rect(
                start,
                y(high),
                x(time) - start - (0.6 if wide > 3 else 0) + (0.2 if wide <= 3 else 0),
                y(low) - y(high) - 0.5,
                _along(SCHEMES[options["scheme"]], share),
            )
        )
    for at, words in labels:
        parts += [line(x.start, y(at), x.end, y(at)), text(left - 8, y(at) + 4, words, "end")]
    for at, words in time_ticks(span[0], span[1], max(2, int((size[0] - left) / 90))):
        parts.append(text(min(x(at), x.end - 16), height - 4, words, "middle"))
    parts += _colour_scale(panel, most, left, height)
    return drawing(*size, parts)


def _colour_scale(panel: Mapping[str, Any], most: float, left: float, top: float) -> list[str]:
    options = panel["options"]["color"]
    unit = panel["options"].get("cellValues", {}).get("unit", "short")
    scheme, exponent = SCHEMES[options["scheme"]], options.get("exponent", 1)
    parts = [
        rect(left + 3 * n, top + 6, 3.4, 8, _along(scheme, (n / 60) ** exponent))
        for n in range(61)
    ]
    words = f"to {with_unit(float(f'{most:.3g}'), unit)} a bucket"
    return [text(left - 8, top + 14, "0", "end"), *parts, text(left + 192, top + 14, words)]


def _native(series: Sequence[Series]) -> list[Cell]:
    return [
        (time, float(low), float(high), float(count))
        for each in series
        for time, value in zip(each.times, each.values, strict=True)
        if isinstance(value, dict)
        for _, low, high, count in value.get("buckets", ())
        if float(low) > 0
    ]


def _classic(series: Sequence[Series]) -> list[Cell]:
    columns: dict[float, list[tuple[float, float]]] = defaultdict(list)
    for each in series:
        if "le" in each.labels:
            for time, value in zip(each.times, each.values, strict=True):
                columns[time].append((float(each.labels["le"]), value))
    cells = []
    for time, column in columns.items():
        below, low = 0.0, 0.0
        for high, value in sorted(column):
            edge = high if math.isfinite(high) else low * 2.5
            if not math.isnan(value) and value > below:
                cells.append((time, low or edge / 2.5, edge, value - below))
                below = value
            low = edge
    return cells


def _coarse(cells: Sequence[Cell], most: int) -> list[Cell]:
    """Return cells so that no more than so many are above each other; neighbours are joined."""
    low, high = math.log(min(cell[1] for cell in cells)), math.log(max(cell[2] for cell in cells))
    height = (high - low) / most
    if min(math.log(to / start) for _, start, to, _ in cells) >= height:
        return list(cells)
    joined: dict[tuple[float, int], float] = defaultdict(float)
    for time, start, to, count in cells:
        joined[time, int((math.log(start * to) / 2 - low) / height)] += count
    return [
        (time, math.exp(low + row * height), math.exp(low + (row + 1) * height), count)
        for (time, row), count in joined.items()
    ]


def _along(scheme: Sequence[str], share: float) -> str:
    at = min(1.0, max(0.0, share)) * (len(scheme) - 1)
    left = min(int(at), len(scheme) - 2)
    return mix(scheme[left], scheme[left + 1], at - left)


def state_timeline(
    panel: Mapping[str, Any],
    series: Sequence[Series],
    span: tuple[float, float, float],
    size: tuple[float, float],
) -> str:
    """Return a band for each series, in the colours of its states."""
    series = [each for each in series if each.values]
    if not series:
        return ""
    height = size[1] - LEGEND_HEIGHT
    left = min(size[0] * 0.38, max(width_of(each.name) for each in series) + 18)
    x = Scale(span[0], span[1], left, size[0] - 6)
    row = (height - 24) / len(series)
    thick = row * panel["options"].get("rowHeight", 0.9)
    opacity = panel["fieldConfig"]["defaults"]["custom"].get("fillOpacity", 70) / 100
    parts, states = [], {}
    for index, each in enumerate(series):
        config = config_of(panel, each.name, each.ref)
        top = index * row + (row - thick) / 2
        if row >= 11:
            parts.append(text(left - 8, top + thick / 2 + 4, cut(each.name, left - 18), "end"))
        for start, end, value in _stretches(each, span[2]):
            words, fill = shown(value, config), value_colour(value, config, index)
            states[value] = (words, fill)
            begin, wide = x(start), max(1.5, x(min(end, span[1])) - x(start))
            parts.append(rect(begin, top, wide, thick, fill, f'opacity="{opacity}"'))
            if (
                panel["options"]["showValue"] != "never"
                and wide > width_of(words) + 10
                and row > 14
            ):
                parts.append(text(begin + 6, top + thick / 2 + 4, words, fill="#111217"))
    bottom = len(series) * row
    for at, words in time_ticks(span[0], span[1], max(2, int((size[0] - left) / 90))):
        parts.append(line(x(at), 0, x(at), bottom))
        parts.append(text(min(x(at), x.end - 16), bottom + 16, words, "middle"))
    keys = "".join(
        f'<span><i style="background:{fill}"></i>{escape(words)}</span>'
        for _, (words, fill) in sorted(states.items())
    )
    return drawing(size[0], height, parts) + f'<div class="legend list">{keys}</div>'


def _stretches(each: Series, step: float) -> list[tuple[float, float, float]]:
    """Return from when until when a series had each of its values."""
    found: list[tuple[float, float, float]] = []
    for time, value in zip(each.times, each.values, strict=True):
        if found and found[-1][2] == value and time - found[-1][1] <= 0.6 * step:
            found[-1] = (found[-1][0], time + step, value)
        else:
            found.append((time, time + step, value))
    return found
