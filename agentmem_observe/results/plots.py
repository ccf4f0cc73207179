"""Plots by matplotlib, for slides and papers; only loaded with the extra ``report``."""

import io
import math
import time
from collections.abc import Sequence
from pathlib import PurePath

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from agentmem_observe.errors import UsageError
from agentmem_observe.results.figures import unit_of
from agentmem_observe.results.lines import TIMESTAMP, Line, Sample, lines_of
from agentmem_observe.results.report.scales import byte_axis
from agentmem_observe.results.schema import Result
from agentmem_observe.results.shown import heading, show

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333")
"""Okabe and Ito's, which the colour-blind can tell apart."""
_STYLES = ("-", "--", ":", "-.")
"""Each time round the colours."""
_WIDE_RANGE = 30
"""Of the largest to the smallest value: beyond that an axis is logarithmic."""
_MOST_LABELLED = 8
"""Places of an axis that are labelled each, instead of round numbers."""
_DOUBTS = {"degraded": "hollow: degraded", "void": "cross: void, not to be used"}
_MOST_LINES = len(_COLOURS) * len(_STYLES)
_UNITS = {
    "seconds": "time",
    "milliseconds": "time",
    "nanoseconds": "time",
    "mebibytes": "bytes",
    "per_second": "per second",
    "percent": "%",
    "ratio": "ratio, 1 is all",
}
"""As an axis has them; others as they are called."""
_LONG_NAME = 44
"""Characters of a name that is too long to stand beside another."""
_HASH_SALT = "agentmem-observe"
"""The same plot is the same file."""


def plot_results(results: Sequence[Result], metric: str, x_axis: str) -> Figure:
    """Return a chart of a figure of some results over an axis.

    Args:
        results: The results, oldest first.
        metric: Name of the figure.
        x_axis: Name of the axis, as `lines_of` takes it.

    Raises:
        UsageError: If they have no such figure, or not on that axis, or too many lines of it.
    """
    return plot(lines_of(results, metric, x_axis), metric, x_axis)


def plot(lines: Sequence[Line], metric: str, x_axis: str) -> Figure:
    """Return a chart of lines: each joins the medians, and each run is a dot.

    Args:
        lines: As `lines_of` makes them, at least one.
        metric: The figure, for the axis upwards.
        x_axis: For the axis across.

    Raises:
        UsageError: If there are more lines than can be told apart.
    """
    if len(lines) > _MOST_LINES:
        raise UsageError(
            f"{metric!r} has {len(lines)} lines, and {_MOST_LINES} can be told apart; name fewer "
            "results"
        )
    columns = 1 if max(len(_named(line)) for line in lines) > _LONG_NAME else 2
    below = math.ceil((len(lines) + len(_DOUBTS)) / columns)
    figure = Figure(figsize=(8, 4.4 + 0.2 * below), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, line in enumerate(lines):
        _draw(axes, line, number)
    samples = [sample for line in lines for sample in line.samples]
    if _is_wide([sample.y for sample in samples]):
        axes.set_yscale("log")
    elif unit_of(metric) == "bytes":
        axes.set_yticks(byte_axis("", [sample.y for sample in samples]).named)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: show(value, [metric])))
    _lay_out_across(axes, sorted({sample.x for sample in samples}), x_axis)
    axes.set_title(heading(metric), loc="left", fontsize=12, fontweight="bold")
    axes.set_ylabel(_with_unit(metric))
    axes.set_xlabel("end of the run, local time" if x_axis == TIMESTAMP else _with_unit(x_axis))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    _explain(axes, samples)
    figure.legend(loc="outside lower left", ncols=columns, frameon=False, fontsize=8)
    return figure


def encode(figure: Figure, name: str) -> bytes:
    """Return a plot as a file of the format that a name ends in.

    Args:
        figure: Any of matplotlib's.
        name: Of a file, such as ``a.svg``.

    Raises:
        UsageError: If there is no such format.
    """
    suffix = PurePath(name).suffix.removeprefix(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if suffix not in known:
        raise UsageError(
            f"{name!r}: a plot's name ends in .png, .svg or .pdf, which says what it becomes"
        )
    stream = io.BytesIO()
    metadata = {"Date": None} if suffix == "svg" else None
    with mpl.rc_context({"svg.hashsalt": _HASH_SALT, "svg.fonttype": "none"}):
        figure.savefig(stream, format=suffix, metadata=metadata)
    return stream.getvalue()


def _draw(axes: Axes, line: Line, number: int) -> None:
    colour = _COLOURS[number % len(_COLOURS)]
    style = _STYLES[number // len(_COLOURS)]
    medians = line.medians()
    xs, ys = [x for x, _ in medians], [y for _, y in medians]
    axes.plot(xs, ys, style, color=colour, linewidth=1.8, label=_named(line))
    for sample in line.samples:
        _mark(axes, [sample.x], [sample.y], colour, _doubt(sample))


def _mark(axes: Axes, xs: list[float], ys: list[float], colour: str, doubt: str) -> PathCollection:
    """Draw dots, hollow if degraded, crosses if void."""
    if doubt == "void":
        return axes.scatter(xs, ys, s=26, color=colour, marker="x", zorder=3)
    face = "white" if doubt == "degraded" else colour
    return axes.scatter(xs, ys, s=26, facecolors=face, edgecolors=colour, zorder=3)


def _named(line: Line) -> str:
    most = max(sum(one.x == x for one in line.samples) for x in {s.x for s in line.samples})
    return f"{line.name} (median of {most} runs)" if most > 1 else line.name


def _doubt(sample: Sample) -> str:
    return sample.validity if sample.validity in ("degraded", "void") else ""


def _explain(axes: Axes, samples: Sequence[Sample]) -> None:
    doubts = {_doubt(sample) for sample in samples}
    for doubt, words in _DOUBTS.items():
        if doubt in doubts:
            _mark(axes, [], [], "#666666", doubt).set_label(words)


def _is_wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > _WIDE_RANGE


def _lay_out_across(axes: Axes, xs: Sequence[float], x_axis: str) -> None:
    if x_axis == TIMESTAMP:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _time(value)))
        return
    if _is_wide(xs):
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: show(value, [x_axis])))
    if len(xs) <= _MOST_LABELLED:
        axes.set_xticks(list(xs))
        axes.xaxis.set_minor_formatter(NullFormatter())


def _with_unit(name: str) -> str:
    unit = unit_of(name)
    words = heading(name)
    return f"{words} ({_UNITS.get(unit, unit)})" if unit else words


def _time(seconds: float) -> str:
    return time.strftime("%m-%d %H:%M", time.localtime(seconds))
