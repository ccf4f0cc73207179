"""The histograms in ``metadata.histograms`` of a result, from and to what was measured."""

import reprlib
from collections.abc import Mapping
from typing import Any

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.measure.recorder import Aggregate, SeriesKey


def histograms_of(aggregate: Aggregate) -> list[dict[str, Any]]:
    """Return what was measured as a result holds it: an object for each series.

    Examples:
        >>> histograms_of(Aggregate())
        []
    """
    return [
        {
            "operation": key.operation,
            "tier": key.tier,
            "outcome": key.outcome,
            **{
                name: histogram.to_dict()
                for name, histogram in series.histograms().items()
                if histogram.count
            },
        }
        for key, series in aggregate
    ]


def aggregate_of(metadata: Mapping[str, Any]) -> Aggregate:
    """Return what a result's histograms were made from; nothing if it has none.

    Args:
        metadata: Of a valid result.

    Raises:
        ResultFormatError: If one of them is no histogram, or contradicts itself.

    Examples:
        >>> aggregate_of({"histograms": [{"operation": "create_memory"}]})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        agentmem_observe.errors.ResultFormatError: metadata.histograms[0]: expected an object ...
    """
    aggregate = Aggregate()
    for number, each in enumerate(metadata.get("histograms") or []):
        try:
            key = SeriesKey(*(str(each[name]) for name in SeriesKey._fields))
        except (KeyError, TypeError) as error:
            raise ResultFormatError(
                f"metadata.histograms[{number}]: expected an object with "
                f"{', '.join(SeriesKey._fields)}, got {reprlib.repr(each)}"
            ) from error
        for name, histogram in aggregate.series(key).histograms().items():
            if name in each:
                histogram.merge(Histogram.from_dict(each[name]))
    return aggregate
