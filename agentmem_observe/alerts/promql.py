"""Pieces of PromQL that rules are put together from; metrics come from the catalog.

What Prometheus stores of a histogram is native, classic, or both, by its version and settings.
Every expression here works on either: it asks for the native one, ``or`` for the classic one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Final

from agentmem_observe.telemetry.catalog import OPERATION, RUN, VALIDITY, Kind, Metric

SOAK: Final = "soak"
"""Category of soaks: the only benchmarks whose load is steady, so that live figures compare."""

OF_DAEMON: Final = ("job", "instance")
OF_JOB: Final = (*OF_DAEMON, "job_name")
OF_RUN: Final = (*OF_DAEMON, *RUN)
BEYOND_RUN: Final = tuple(label for label in OPERATION if label not in RUN)
BEYOND_OPERATION: Final = ("tier", "outcome")

_UNITS = (("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
_LABEL_OF_MATCHER = re.compile(r"(\w+)(?:=~|!~|!=|=)\"[^\"]*\"")


def duration(seconds: float) -> str:
    """Return a length of time as Prometheus writes it.

    Args:
        seconds: >= 0; to the millisecond.

    Examples:
        >>> [duration(each) for each in (0, 0.5, 90, 3600, 604_800, 129_600)]
        ['0s', '500ms', '1m30s', '1h', '1w', '1d12h']
    """
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    text = ""
    for unit, size in _UNITS:
        count, whole = divmod(whole, size)
        text += f"{count}{unit}" if count else ""
    return text + (f"{milliseconds}ms" if milliseconds else "") or "0s"


def series(metric: Metric, *matchers: str, suffix: str = "") -> str:
    """Select series.

    Args:
        metric: Of the catalog.
        matchers: Such as ``verdict="void"``.
        suffix: Which series of a histogram: ``_bucket`` or ``_count``; "" for native ones.

    Raises:
        ValueError: If the metric has no such label, or no such series.

    Examples:
        >>> series(VALIDITY, 'verdict="void"')
        'agentmem_validity{verdict="void"}'
    """
    if suffix and metric.kind is not Kind.HISTOGRAM:
        raise ValueError(f"{metric.name} is no histogram and has no {suffix}")
    known = {*metric.labels, *OF_DAEMON, *(["le"] if suffix == "_bucket" else [])}
    for matcher in matchers:
        found = _LABEL_OF_MATCHER.fullmatch(matcher)
        if found is None or found[1] not in known:
            raise ValueError(f"{metric.name} has no label for {matcher!r}; it has {sorted(known)}")
    return f"{metric.name}{suffix}" + (f"{{{','.join(matchers)}}}" if matchers else "")


def on(labels: Sequence[str]) -> str:
    """Return the clause that matches two sides by these labels."""
    return f"on ({', '.join(labels)})"


def without(labels: Sequence[str]) -> str:
    """Return the aggregation that adds up over these labels."""
    return f"sum without ({', '.join(labels)})"


def block(expr: str) -> str:
    """Put an expression into parentheses, on lines of its own."""
    return f"(\n{indent(expr, '  ')}\n)"


def combined(left: str, operator: str, right: str) -> str:
    """Put an operator between two expressions, on a line of its own."""
    return f"{left}\n{operator}\n{right}"


def either(*exprs: str) -> str:
    """Return the expressions joined by ``or``: the first that has a series gives it."""
    return "\nor\n".join(exprs)


@dataclass(frozen=True, slots=True)
class Recent:
    """What of a counter's or histogram's past is looked at, and how finely.

    Attributes:
        beyond: Labels to add up over.
        window: Seconds to look at.
        offset: Seconds ago that they end.
    """

    beyond: Sequence[str]
    window: float
    offset: float

    def rate(self, selected: str, *further: str) -> str:
        """Return the per-second rate of some series.

        Args:
            selected: As by `series`.
            further: Labels to add up over as well.
        """
        ago = f" offset {duration(self.offset)}" if self.offset else ""
        return (
            f"{without((*self.beyond, *further))} (rate({selected}[{duration(self.window)}]{ago}))"
        )


def recent_rate(recent: Recent, metric: Metric, *matchers: str) -> str:
    """Return how fast a counter grows."""
    return recent.rate(series(metric, *matchers))


def count_rate(recent: Recent, metric: Metric, *matchers: str) -> str:
    """Return the values of a histogram per second."""
    return either(
        f"histogram_count({recent.rate(series(metric, *matchers))})",
        recent.rate(series(metric, *matchers, suffix="_count")),
    )


def fast_rate(recent: Recent, bound: float, metric: Metric, *matchers: str) -> str:
    """Return the values of a histogram per second that do not exceed a bound.

    Args:
        recent: What to look at.
        bound: One of `thresholds.OBJECTIVE_BOUNDS`, in seconds.
        metric: A histogram.
        matchers: Of what to count.
    """
    native = recent.rate(series(metric, *matchers))
    share = f"histogram_fraction(-Inf, {bound!r}, {native})"
    fast = combined(share, "*", f"histogram_count({native})")
    below = series(metric, *matchers, f'le="{bound!r}"', suffix="_bucket")
    # The share of nothing is NaN, which would spoil every sum over time; the comparison drops it.
    return either(f"{block(fast)} >= 0", recent.rate(below, "le"))


def quantile(recent: Recent, q: float, metric: Metric, *matchers: str) -> str:
    """Return a quantile of a histogram's recent values; none where there are no values."""
    both = (series(metric, *matchers, suffix=suffix) for suffix in ("", "_bucket"))
    return either(*(f"histogram_quantile({q}, {recent.rate(each)}) >= 0" for each in both))


def state(metric: Metric, value: str) -> str:
    """Return 1 for what is in a state, without the label that names it.

    Raises:
        ValueError: If the metric has no such state.
    """
    if value not in metric.states:
        raise ValueError(f"{metric.name} has the states {metric.states}, not {value!r}")
    label = metric.labels[-1]
    selected = series(metric, f'{label}="{value}"')
    return f"sum without ({label}) ({selected}) == 1"


def figure_of_state(figure: Metric, metric: Metric, value: str) -> str:
    """Return a figure while a state holds; 0 where the state has no figure."""
    holds = state(metric, value)
    known = combined(figure.name, f"and {on(OF_RUN)}", block(holds))
    return either(block(known), f"0 * ({holds})")


def trusted(expr: str) -> str:
    """Return an expression without what is about runs whose last verdict is void."""
    return combined(block(expr), f"unless {on(OF_RUN)}", block(state(VALIDITY, "void")))


def trusted_throughout(expr: str, seconds: float, *matchers: str) -> str:
    """Return an expression without what is about runs that were void at any time since.

    Args:
        expr: About runs, or kinds of operations of runs.
        seconds: How far to look back.
        matchers: Which runs to look at.
    """
    selected = series(VALIDITY, 'verdict="void"', *matchers)
    void = f"max_over_time({selected}[{duration(seconds)}]) == 1"
    return combined(block(expr), f"unless {on(OF_RUN)}", block(void))


def grew(metric: Metric, *matchers: str, window: float) -> str:
    """Return by how much counters grew; what first appears with a count has grown by that."""
    selected, length = series(metric, *matchers), duration(window)
    return either(
        f"increase({selected}[{length}]) > 0",
        f"({selected} > 0 unless {selected} offset {length})",
    )
