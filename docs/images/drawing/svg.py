"""Axes, ticks and marks, in SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

CHARACTER = 6.8  # pixels, of the font below at 12 pixels
MUTED = "#9fa3ab"
GRID = "rgba(204,204,220,0.09)"
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)


@dataclass(frozen=True)
class Scale:
    """From values to pixels.

    Attributes:
        low: Value at ``start``.
        high: Value at ``end``.
        start: In pixels.
        end: In pixels; above ``start`` for a vertical axis.
        log: Whether each step multiplies.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return where a value is."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = (math.log10(max(each, 1e-12)) for each in (value, low, high))
        return self.start + (value - low) / ((high - low) or 1) * (self.end - self.start)


def text(x: float, y: float, words: str, anchor: str = "start", fill: str = MUTED) -> str:
    """Return words at a place."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" '
        f'font-size="12">{escape(words)}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, stroke: str = GRID, more: str = "") -> str:
    """Return a straight line."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" {more}/>'
    )


def rect(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    """Return a filled rectangle."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0, width):.1f}" '
        f'height="{max(0, height):.1f}" fill="{fill}" {more}/>'
    )


def drawing(width: float, height: float, parts: Sequence[str]) -> str:
    """Return the parts as one picture."""
    inner = "".join(parts)
    return f'<svg width="{width:.0f}" height="{height:.0f}" role="img">{inner}</svg>'


def step_of(span: float, count: int, base: int = 10) -> float:
    """Return a round distance that fits into a span about so often; bytes are round in base 2."""
    raw = (span or 1) / max(1, count)
    if base == 2 and raw >= 1:
        unit = 1024.0 ** math.floor(math.log(raw, 1024))
        return unit * float(2 ** math.ceil(math.log2(raw / unit)))
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= raw * 0.999)


def ticks(low: float, high: float, step: float) -> list[float]:
    """Return the multiples of a step between two values."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * n for n in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return the powers of ten between two."""
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    return [10.0**power for power in powers]


def time_ticks(start: float, end: float, count: int) -> list[tuple[float, str]]:
    """Return round times, about so many, and how they are written; UTC."""
    step = next((s for s in TIME_STEPS if (end - start) / s <= count), 86400)
    while (end - start) / step > count:
        step *= 2
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 43200 else "%m-%d"
    first = math.ceil(start / step) * step
    return [
        (time, datetime.fromtimestamp(time, UTC).strftime(form))
        for time in (first + step * n for n in range(int((end - first) / step) + 1))
    ]


def width_of(words: str) -> float:
    """Return about how many pixels words take."""
    return len(words) * CHARACTER


def cut(words: str, pixels: float) -> str:
    """Return words, or their beginning with an ellipsis where they do not fit."""
    most = max(3, int(pixels / CHARACTER + 0.01))
    return words if len(words) <= most else words[: most - 1] + "…"
