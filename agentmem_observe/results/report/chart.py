"""Charts as inline SVG: drawn in the page's own colours, so that they follow its theme."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from agentmem_observe.results.report.markup import Child, Element, el, short
from agentmem_observe.results.report.scales import CHARACTER_WIDTH, Axis

WIDTH, HEIGHT = 400.0, 260.0
"""Of a chart, in its own units; on a phone one is about a pixel."""

COLOURS = 6
"""That the page's style has for series; the next one begins again."""

_TOP, _BOTTOM, _RIGHT = 26.0, 42.0, 14.0
_MOST_POINTS = 240
"""Drawn of a line: more than its pixels only make the page larger."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """What belongs together in a chart.

    Attributes:
        name: In the key.
        points: Places in the units of the axes, in the order in which a line joins them.
        colour: Number of its colour, >= 0.
        line: How its points are joined; "" if they are not.
        dots: Whether each point is marked.
        doubts: Of each point: "" or "valid", "degraded" or "void"; all good if empty.
    """

    name: str
    points: Sequence[Point]
    colour: int = 0
    line: Literal["solid", "dashed", "faint", ""] = "solid"
    dots: bool = False
    doubts: Sequence[str] = ()


class Tile(NamedTuple):
    """A rectangle in a chart, in the units of its axes.

    Attributes:
        depth: Of its colour, from 1 to 8.
        left: Where it begins.
        right: Where it ends.
        low: Its lower end.
        high: Its upper end.
    """

    depth: int
    left: float
    right: float
    low: float
    high: float


def figure(title: Child, x: Axis, y: Axis, series: Sequence[Series], *notes: Child) -> Element:
    """Return a chart with its title, key and notes.

    Args:
        title: Above it.
        x: The axis across.
        y: The axis upwards.
        series: What is drawn; a point that an axis has no place for is not.
        notes: Below it.
    """
    label = f"{y.title} over {x.title}: {', '.join(one.name for one in series)}"
    return el(
        "figure",
        el("figcaption", title),
        _plot(_Frame.of(x, y), label, lambda frame: _drawn(frame, series)),
        _key(series),
        [el("p", note, class_="note") for note in notes],
        class_="chart",
    )


def heatmap(
    title: Child, axes: tuple[Axis, Axis], tiles: Iterable[Tile], series: Sequence[Series]
) -> Element:
    """Return a chart of coloured rectangles with lines above them.

    Args:
        title: Above it.
        axes: The one across and the one upwards.
        tiles: Inside of the axes.
        series: Drawn above the tiles.
    """
    x, y = axes
    label = f"{y.title} over {x.title}, as a heatmap with {', '.join(s.name for s in series)}"

    def draw(frame: _Frame) -> Iterable[Element]:
        yield from _tiled(frame, tiles)
        yield from _drawn(frame, series)

    return el(
        "figure",
        el("figcaption", title),
        _plot(_Frame.of(x, y), label, draw),
        _key(series),
        class_="chart",
    )


def thinned(points: Sequence[Point], most: int = _MOST_POINTS) -> list[Point]:
    """Return fewer points of a long line, with all its peaks.

    Args:
        points: Of the line, in its order.
        most: How many to keep, about.

    Examples:
        >>> thinned([(0, 1), (1, 9), (2, 2), (3, 0), (4, 3), (5, 3)], most=4)
        [(0, 1), (1, 9), (3, 0), (4, 3)]
    """
    if len(points) <= most:
        return list(points)
    width = math.ceil(len(points) / (most / 2))
    kept: list[Point] = []
    for start in range(0, len(points), width):
        part = range(start, min(start + width, len(points)))
        ends = {min(part, key=lambda i: points[i][1]), max(part, key=lambda i: points[i][1])}
        kept += [points[index] for index in sorted(ends)]
    return kept


@dataclass(frozen=True, slots=True)
class _Frame:
    """Two axes and where they are in a picture."""

    x_axis: Axis
    y_axis: Axis
    y_ticks: list[tuple[float, str]]
    left: float
    width: float
    height: float

    @classmethod
    def of(cls, x: Axis, y: Axis) -> "_Frame":
        height = HEIGHT - _TOP - _BOTTOM
        ticks = y.ticks(height, across=False)
        left = max([len(text) for _, text in ticks], default=1) * CHARACTER_WIDTH + 16
        return cls(x, y, ticks, left, WIDTH - left - _RIGHT, height)

    def x(self, value: float) -> float:
        return self.x_axis.place(value) * self.width

    def y(self, value: float) -> float:
        return (1 - self.y_axis.place(value)) * self.height


def _plot(frame: _Frame, label: str, draw: Callable[[_Frame], Iterable[Element]]) -> Element:
    middle = frame.left + frame.width / 2
    return el(
        "svg",
        el("text", frame.y_axis.title, x=2, y=13, class_="axis-title"),
        el("text", frame.x_axis.title, x=middle, y=HEIGHT - 5, class_="axis-title middle"),
        _y_ticks(frame),
        _x_ticks(frame),
        draw(frame),
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        role="img",
        aria_label=label,
        class_="plot",
    )


def _y_ticks(frame: _Frame) -> Iterable[Element]:
    left, width = short(frame.left), short(frame.width)
    for value, text in frame.y_ticks:
        at = _TOP + frame.y(value)
        yield el("path", d=f"M{left} {short(at)}h{width}", class_="grid")
        yield el("text", text, x=frame.left - 9, y=at + 4, class_="end")


def _x_ticks(frame: _Frame) -> Iterable[Element]:
    bottom = _TOP + frame.height
    yield el("path", d=f"M{short(frame.left)} {short(bottom)}h{short(frame.width)}", class_="axis")
    for value, text in frame.x_axis.ticks(frame.width, across=True):
        at = frame.left + frame.x(value)
        room = len(text) * CHARACTER_WIDTH / 2  # the last label stays inside of the picture
        yield el("path", d=f"M{short(at)} {short(bottom)}v4", class_="axis")
        yield el("text", text, x=min(at, WIDTH - room), y=bottom + 17, class_="middle")


def _drawn(frame: _Frame, series: Sequence[Series]) -> Iterable[Element]:
    # A picture inside of the picture cuts lines off at the axes, and needs no id for that.
    lines = [line for one in series if (line := _line(frame, one)) is not None]
    size = {"width": frame.width, "height": frame.height}
    yield el("svg", lines, x=frame.left, y=_TOP, **size)
    dots = [dot for one in series if one.dots for dot in _dots(frame, one)]
    if dots:
        yield el("g", dots, transform=f"translate({short(frame.left)} {short(_TOP)})")


def _line(frame: _Frame, series: Series) -> Element | None:
    places = [
        f"{short(frame.x(x))} {short(frame.y(y))}"
        for x, y in thinned(series.points)
        if frame.x_axis.draws(x) and frame.y_axis.draws(y)
    ]
    if not series.line or len(places) < 2:
        return None
    return el("path", class_=_line_class(series), d=f"M{'L'.join(places)}")


def _line_class(series: Series) -> str:
    return f"line {series.line} c{series.colour % COLOURS}"


def _dots(frame: _Frame, series: Series) -> Iterable[Element]:
    doubts = series.doubts or [""] * len(series.points)
    for (x, y), doubt in zip(series.points, doubts, strict=True):
        if frame.x_axis.holds(x) and frame.y_axis.holds(y):
            yield _dot(frame.x(x), frame.y(y), series.colour, doubt)


def _dot(x: float, y: float, colour: int, doubt: str) -> Element:
    """Return a dot, hollow if its number is degraded, a cross if it is void."""
    name = f"c{colour % COLOURS}"
    if doubt == "void":
        d = f"M{short(x - 4)} {short(y - 4)}l8 8m0-8l-8 8"
        return el("path", d=d, class_=f"line solid {name}")
    return el("circle", cx=x, cy=y, r=3.6, class_=f"dot {name}{' hollow' * (doubt == 'degraded')}")


def _tiled(frame: _Frame, tiles: Iterable[Tile]) -> Iterable[Element]:
    paths: dict[int, list[str]] = {}
    for depth, left, right, low, high in tiles:
        x, y = frame.left + frame.x(left), _TOP + frame.y(high)
        across = short(max(frame.left + frame.x(right) - x, 0.5))
        down = short(max(_TOP + frame.y(low) - y, 0.5))
        place = f"M{short(x)} {short(y)}h{across}v{down}h-{across}z"
        paths.setdefault(depth, []).append(place)
    for depth, parts in sorted(paths.items()):
        yield el("path", class_=f"tile d{depth}", d="".join(parts))


def _key(series: Sequence[Series]) -> Element | None:
    """Return names with their looks, and what hollow dots and crosses say if there are any."""
    named = {one.name: one for one in reversed(series) if one.name}
    entries = [el("li", _swatch(one), one.name) for one in reversed(named.values())]
    doubts = {doubt for one in series for doubt in one.doubts}
    for doubt in ("degraded", "void"):
        if doubt in doubts:
            swatch = el("svg", _dot(9, 5, 0, doubt), viewBox="0 0 18 10", class_="swatch doubtful")
            entries.append(el("li", swatch, doubt, class_="doubts"))
    return el("ul", entries, class_="key") if entries else None


def _swatch(series: Series) -> Element:
    shapes = []
    if series.line:
        shapes.append(el("path", d="M0 5h18", class_=_line_class(series)))
    if series.dots:
        shapes.append(_dot(9, 5, series.colour, ""))
    return el("svg", shapes, viewBox="0 0 18 10", class_="swatch", aria_hidden="true")
