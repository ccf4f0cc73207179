"""From values to places on an axis, and the ticks that fit there without touching each other."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from agentmem_observe.units import format_bytes, format_seconds

CHARACTER_WIDTH = 7.7
"""Of tick labels, in the units of a chart: DejaVu's digits at its size, the widest around."""

_GAP = 10.0
"""Between two labels."""
_PERCENTILES = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999)

Kind = Literal["linear", "log", "percentile"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a chart.

    Attributes:
        title: What it shows, with the unit, unless the labels have it.
        kind: How values are spread; ``percentile`` has each further nine as far on as the last.
        low: The value at its beginning; above 0 if ``log``.
        high: The value at its end; above ``low``, and below 100 if ``percentile``.
        show: Makes the label of a tick.
        named: Values to be labelled instead of round ones, if there are any.
    """

    title: str
    kind: Kind
    low: float
    high: float
    show: Callable[[float], str]
    named: Sequence[float] = ()

    def place(self, value: float) -> float:
        """Return where a value is: 0 at the beginning, 1 at the end; may lie outside.

        Examples:
            >>> Axis("load", "log", 1, 100, str).place(10)
            0.5
        """
        low, high = self._spread(self.low), self._spread(self.high)
        return (self._spread(value) - low) / (high - low)

    def draws(self, value: float) -> bool:
        """Return whether a value has a place, inside of the axis or outside."""
        if self.kind == "percentile" and value >= 100:
            return False
        return math.isfinite(value) and (self.kind != "log" or value > 0)

    def holds(self, value: float) -> bool:
        """Return whether a value has its place inside of the axis."""
        return self.draws(value) and self.low <= value <= self.high

    def ticks(self, length: float, *, across: bool) -> list[tuple[float, str]]:
        """Return values and labels of as many ticks as fit.

        Args:
            length: Of the axis, in the units of the chart.
            across: Whether labels stand side by side; else one above the other.
        """
        size = _size(across)
        labels = [(v, self.show(v)) for v in self._candidates() if self.holds(v)]
        if self.kind == "percentile" or self.named:
            return self._kept(labels, length, size)
        for step in range(1, len(labels) + 1):
            kept = labels[::step]
            if _apart([(self.place(v) * length, size(text)) for v, text in kept]):
                return kept
        return []

    def _kept(
        self, labels: list[tuple[float, str]], length: float, size: Callable[[str], float]
    ) -> list[tuple[float, str]]:
        """Return those that do not touch an earlier one: the ends first, the last next to them."""
        kept: list[tuple[float, str]] = []
        for one in [*labels[:1], *reversed(labels[1:])]:
            tried = sorted([*kept, one])
            if _apart([(self.place(v) * length, size(text)) for v, text in tried]):
                kept = tried
        return kept

    def _spread(self, value: float) -> float:
        match self.kind:
            case "log":
                return math.log10(value)
            case "percentile":
                return -math.log10(1 - value / 100)
        return value

    def _candidates(self) -> Iterable[float]:
        if self.named:
            return self.named
        match self.kind:
            case "log":
                return _log_ticks(self.low, self.high)
            case "percentile":
                return _PERCENTILES
        return _linear_ticks(self.low, self.high)


def around(values: Iterable[float], kind: Kind = "linear") -> tuple[float, float]:
    """Return an axis' ends for some values: round, and with the values inside.

    Args:
        values: What is to be shown; what has no place on such an axis is left out.
        kind: ``linear`` begins at 0 unless a value is below it; ``log`` ends on 1, 2 or 5 times a
            power of ten.

    Examples:
        >>> around([0.3, 8.2]), around([0.3, 8.2, -1.0], "log"), around([])
        ((0.0, 10.0), (0.2, 10.0), (0.0, 1.0))
    """
    finite = [v for v in values if math.isfinite(v) and (kind != "log" or v > 0)]
    if not finite:
        return (0.1, 1.0) if kind == "log" else (0.0, 1.0)
    low, high = min(finite), max(finite)
    if kind == "log":
        return _round_log(low, up=False), _round_log(high, up=True)
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return 0.0, 1.0
    step = _nice_step((high - low) / 4)
    return 0.0 - _up_to(-low, step), _up_to(high, step)  # and never -0.0


def _up_to(value: float, step: float) -> float:
    """Return the multiple of a step at or above a value, which may be one by a rounding error."""
    nearest = round(value / step) * step
    return nearest if nearest >= value else math.ceil(value / step) * step


def _round_log(value: float, *, up: bool) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    if up:
        return next((f * decade for f in (1, 2, 5, 10) if f * decade > value), 20 * decade)
    return next((f * decade for f in (5, 2, 1) if f * decade < value), decade / 2)


def _nice_step(least: float) -> float:
    decade = 10.0 ** math.floor(math.log10(least))
    return next((f * decade for f in (1, 2, 2.5, 5) if f * decade >= least), 10 * decade)


def _linear_ticks(low: float, high: float) -> list[float]:
    step = _nice_step((high - low) / 5)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if math.log10(high / low) > 2.5 else (1, 2, 5)
    return [factor * 10.0**decade for decade in decades for factor in factors]


def _size(across: bool) -> Callable[[str], float]:
    return (lambda text: len(text) * CHARACTER_WIDTH + _GAP) if across else (lambda _: 18.0)


def _apart(labels: Sequence[tuple[float, float]]) -> bool:
    """Return whether labels, as places and sizes, do not touch."""
    pairs = itertools.pairwise(labels)
    return all(b - a >= (size_a + size_b) / 2 for (a, size_a), (b, size_b) in pairs)


def tick(text: str) -> str:
    """Return a label without digits that say nothing.

    Examples:
        >>> tick("10.0 ms"), tick("2.50 KiB"), tick("100 ms")
        ('10 ms', '2.5 KiB', '100 ms')
    """
    number, space, unit = text.partition(" ")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return f"{number}{space}{unit}"


def seconds_tick(value: float) -> str:
    """Return the label of a duration in seconds."""
    return tick(format_seconds(value)) if value >= 0 else f"-{tick(format_seconds(-value))}"


def byte_axis(title: str, values: Sequence[float]) -> Axis:
    """Return an axis of bytes from 0, with ticks at round numbers of the unit that fits.

    Args:
        title: What it shows.
        values: What is to be shown, in bytes.
    """
    largest = max([abs(value) for value in values if math.isfinite(value)], default=1.0)
    unit = 1024.0 ** min(max(math.floor(math.log(max(largest, 1.0), 1024)), 0), 4)
    low, high = around([value / unit for value in values])
    marks = [mark * unit for mark in _linear_ticks(low, high)]
    return Axis(title, "linear", low * unit, high * unit, _bytes_tick, marks)


def _bytes_tick(value: float) -> str:
    return tick(format_bytes(value)) if value >= 0 else f"-{tick(format_bytes(-value))}"
