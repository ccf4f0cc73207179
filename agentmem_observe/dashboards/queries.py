"""Pieces of PromQL; names of metrics and labels come from the catalog."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agentmem_observe.telemetry.catalog import EXPORTER_SERIES, RUN, Metric

INTERVAL: Final = "$__rate_interval"
"""What Grafana makes of the step and the scrape interval, so that a rate has samples enough."""

HISTOGRAMS: Final = "histograms"
"""The variable that chooses native or classic histograms: what a name ends in, see `histogram`."""

NOT_OK: Final = 'outcome!="ok"'

_SOURCE: Final = ("job", "instance")

INSTANCE_RUN: Final = (*_SOURCE, *RUN)
"""The labels that tell runs apart, also those of the same benchmark on several instances."""


def select(metric: Metric | str, *more: str, **equal: str) -> str:
    """Return the series of a metric that the variables on top of a dashboard choose.

    Args:
        metric: Of the catalog, or a name such as ``up``.
        more: Further matchers, such as `NOT_OK`.
        equal: Values of further labels.

    Examples:
        >>> select("up", version="3")
        'up{job=~"$job",instance=~"$instance",version="3"}'
    """
    labels = () if isinstance(metric, str) else metric.labels
    return _select(metric, [*_SOURCE, *(label for label in RUN if label in labels)], more, equal)


def select_all(metric: Metric, *more: str, **equal: str) -> str:
    """Return the series of a metric for all targets and benchmarks of the instances chosen.

    Args:
        metric: Of the catalog.
        more: Further matchers.
        equal: Values of further labels.
    """
    return _select(metric, _SOURCE, more, equal)


def _select(
    metric: Metric | str, variables: Iterable[str], more: Iterable[str], equal: Mapping[str, str]
) -> str:
    name = metric if isinstance(metric, str) else metric.name
    chosen = (f'{label}=~"${label}"' for label in variables)
    fixed = (f'{label}="{value}"' for label, value in equal.items())
    return f"{name}{{{','.join((*chosen, *more, *fixed))}}}"


def rate(metric: Metric, *more: str, by: Iterable[str] = (), **equal: str) -> str:
    """Return how fast counters grow per second, added up but for some labels."""
    return f"sum by ({', '.join(by)}) (rate({select(metric, *more, **equal)}[{INTERVAL}]))"


def histogram(metric: Metric, *more: str, **equal: str) -> str:
    """Return the rates of a histogram's buckets, native or classic as the variable says.

    Native ones have the bare name, ``agentmem_operation_latency_seconds``, classic ones end in
    ``_bucket``; all our histograms are of seconds, so the variable is ``seconds`` or
    ``seconds_bucket``.
    """
    name = f"{metric.name.removesuffix('seconds')}${{{HISTOGRAMS}}}"
    matchers = select(metric, *more, **equal).removeprefix(metric.name)
    return f"rate({name}{matchers}[{INTERVAL}])"


def buckets(metric: Metric, *more: str, **equal: str) -> str:
    """Return all of a histogram in one, for a heatmap."""
    return f"sum by (le) ({histogram(metric, *more, **equal)})"


def quantile(
    share: float, metric: Metric, *more: str, by: Sequence[str] = (), **equal: str
) -> str:
    """Return a quantile of a histogram, for each combination of some labels.

    Native histograms have no label ``le``: naming it changes nothing for them.
    """
    kept = ", ".join(("le", *by))
    return f"histogram_quantile({share:g}, sum by ({kept}) ({histogram(metric, *more, **equal)}))"


def state_code(metric: Metric, states: Sequence[str], *, by: Sequence[str]) -> str:
    """Return which of some states holds, as its place among them; of several, the last one.

    Args:
        metric: A state of the catalog.
        states: All of its states; the first one is 0.
        by: Labels to keep.
    """
    label = metric.labels[-1]
    numbered = " or ".join(
        f"{number} * {select(metric, **{label: state})}"
        for number, state in enumerate(states)
        if number
    )
    return f"max by ({', '.join(by)}) ({numbered})"


def up() -> str:
    """Return which of our instances can be scraped: those that had our metrics within a day.

    A Prometheus scrapes others too, and ``All`` stands for whatever job there is.
    """
    ours = f"max_over_time({select(EXPORTER_SERIES)}[1d])"
    return f"({select('up')} and on (job, instance) {ours})"


def count_of(expression: str) -> str:
    """Return how many series there are, 0 for none."""
    return f"count({expression}) or vector(0)"


def any_of(problems: Mapping[str, str]) -> str:
    """Return series of several kinds, each with a label ``problem`` that names its kind.

    Args:
        problems: Expressions by name.
    """
    return " or ".join(
        f'label_replace({expression}, "problem", "{name}", "", "")'
        for name, expression in problems.items()
    )
