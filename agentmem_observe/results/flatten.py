"""Nested results as a flat list of numbers, each with a path."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple


class Leaf(NamedTuple):
    """One number of a result.

    Attributes:
        parameter: Path of the object it stands in, such as ``complexity_1.batch_100``; may be "".
        metric: Its name there, such as ``throughput_ops_per_second`` or ``rates[0]``.
        value: The number.
    """

    parameter: str
    metric: str
    value: float


def flatten(results: Mapping[str, object]) -> dict[str, float]:
    """Return all numbers of nested results by dotted path.

    Text, null and true or false are left out: they cannot be compared as numbers. A key that has
    a dot or bracket of its own is quoted, so no two numbers share a path.

    Args:
        results: Plain JSON values, as loaded from a result file.

    Examples:
        >>> flatten({"batch_10": {"p99_seconds": 0.5, "tier": "stm"}, "rss_bytes": [1, 2]})
        {'batch_10.p99_seconds': 0.5, 'rss_bytes[0]': 1, 'rss_bytes[1]': 2}
        >>> flatten({"threshold_0.7": {"recall": 0.98}})
        {'"threshold_0.7".recall': 0.98}
    """
    return {_join(leaf.parameter, leaf.metric): leaf.value for leaf in leaves(results)}


def leaves(value: object, parameter: str = "", metric: str = "") -> Iterator[Leaf]:
    """Yield all numbers of nested results in their order.

    Args:
        value: Plain JSON values, as loaded from a result file.
        parameter: Path of the object that ``value`` stands in.
        metric: The key of ``value`` there.
    """
    if isinstance(value, Mapping):
        inside = _join(parameter, metric)
        for key, item in value.items():
            yield from leaves(item, inside, _quoted(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, parameter, f"{metric}[{index}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield Leaf(parameter, metric, value)


def path_of(keys: Iterable[str]) -> str:
    """Return the path of keys, as `flatten` writes it.

    Examples:
        >>> path_of(["threshold_0.7", "recall"])
        '"threshold_0.7".recall'
    """
    return ".".join(map(_quoted, keys))


def _join(parameter: str, metric: str) -> str:
    return f"{parameter}.{metric}" if parameter else metric


def _quoted(key: str) -> str:
    plain = key and not set(key) & set('."[]')
    return key if plain else json.dumps(key, ensure_ascii=False)
