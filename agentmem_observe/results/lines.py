"""A figure of some results as lines over an axis, whatever says where on that axis it is."""

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeGuard

from agentmem_observe.errors import UsageError, did_you_mean
from agentmem_observe.results.schema import Result, ended_at

TIMESTAMP = "timestamp"
"""The axis of time: when each run ended, in seconds since 1970."""

_LEVELS = ("tiers", "operations")
"""Keys that say what kind of keys follow: of no use in a name."""
_NUMBERED = re.compile(r"(?:(?P<name>.*?)_)?(?P<number>\d+(?:\.\d+)?)", re.ASCII)


class Sample(NamedTuple):
    """One number of one run.

    Attributes:
        x: Where it is on the axis.
        y: The number.
        validity: What is said of it: "", ``valid``, ``degraded`` or ``void``.
    """

    x: float
    y: float
    validity: str


@dataclass(frozen=True, slots=True)
class Line:
    """What belongs together: a figure of one case, of one benchmark on one target.

    Attributes:
        name: What tells it from the other lines.
        samples: All its numbers, in the order of the axis; rounds have several at one place.
    """

    name: str
    samples: list[Sample]

    def medians(self) -> list[tuple[float, float]]:
        """Return the median of each place of the axis, of what is not void if there is any."""
        together: dict[float, list[Sample]] = {}
        for sample in self.samples:
            together.setdefault(sample.x, []).append(sample)
        return [(x, statistics.median(_usable(found))) for x, found in together.items()]


def _usable(samples: Sequence[Sample]) -> list[float]:
    return [one.y for one in samples if one.validity != "void"] or [one.y for one in samples]


class _Place(NamedTuple):
    """Where a figure stands."""

    keys: tuple[str, ...]
    beside: Mapping[str, Any]
    validity: str


def lines_of(results: Sequence[Result], metric: str, x_axis: str) -> list[Line]:
    """Return a figure of all results over an axis.

    Of a number it is looked for in this order: a key above it with the axis' name and a number,
    such as ``batch_100`` for ``batch_size`` or ``batch``; a key that is a number, where the
    run's parameter of the axis' name, or its plural, has that number; a figure beside it; a
    parameter that is a number.

    Args:
        results: The results, oldest first.
        metric: Name of the figure.
        x_axis: Name of the axis; `TIMESTAMP` for the time of the runs.

    Raises:
        UsageError: If no result has the figure, or none of them has the axis; names what there is.
    """
    found: dict[tuple[str, ...], list[Sample]] = {}
    has_metric = False
    for result in results:
        for place in _places(result, metric):
            has_metric = True
            located = _locate(place, result, x_axis)
            if located is not None:
                x, rest = located
                name = (_name(result), *rest)
                sample = Sample(x, float(place.beside[metric]), place.validity)
                found.setdefault(name, []).append(sample)
    if not has_metric:
        known = {leaf for result in results for leaf in _leaves(result.results)}
        raise UsageError(f"no result has a number {metric!r}; {did_you_mean(metric, known)}")
    if not found:
        axes = {axis for result in results for axis in _axes(result, metric)}
        raise UsageError(
            f"no number {metric!r} is placed on an axis {x_axis!r}; "
            f"{did_you_mean(x_axis, {*axes, TIMESTAMP})}"
        )
    return [Line(name, sorted(samples)) for name, samples in _named(found)]


def _named(
    found: Mapping[tuple[str, ...], list[Sample]],
) -> Iterator[tuple[str, list[Sample]]]:
    """Yield lines with the parts of their names that differ."""
    titles = {title for title, *_ in found}
    for (title, *keys), samples in found.items():
        rest = " ".join(key for key in keys if key not in _LEVELS)
        parts = [*([title] if len(titles) > 1 or not rest else []), *([rest] if rest else [])]
        yield ": ".join(parts).replace("_", " "), samples


def _name(result: Result) -> str:
    target = result.metadata.get("target") or {}
    spec = target.get("spec") if isinstance(target, Mapping) else None
    return f"{result.benchmark}, {spec}" if isinstance(spec, str) else result.benchmark


def _places(result: Result, metric: str) -> Iterator[_Place]:
    verdict = (result.metadata.get("validity") or {}).get("verdict", "")
    yield from _places_in(result.results, metric, (), verdict if isinstance(verdict, str) else "")


def _places_in(
    figures: Mapping[str, Any], metric: str, keys: tuple[str, ...], validity: str
) -> Iterator[_Place]:
    own = figures.get("validity")
    said = own if isinstance(own, str) else validity
    in_tiers = any(_is_number(mapping.get(metric)) for mapping in _objects(figures.get("tiers")))
    if _is_number(figures.get(metric)) and not in_tiers:  # else it follows, tier by tier
        yield _Place(keys, figures, said)
    for key, value in figures.items():
        if isinstance(value, Mapping):
            yield from _places_in(value, metric, (*keys, key), said)


def _locate(place: _Place, result: Result, x_axis: str) -> tuple[float, tuple[str, ...]] | None:
    """Return where a figure is on an axis, and the keys that do not say so; None if nowhere."""
    if x_axis == TIMESTAMP:
        return ended_at(result.to_dict()), place.keys
    params = result.metadata.get("params") or {}
    for index, key in enumerate(place.keys):
        match = _NUMBERED.fullmatch(key)
        above = place.keys[index - 1] if index else ""
        if match and _is_named(match, above, x_axis, params):
            return float(match["number"]), place.keys[:index] + place.keys[index + 1 :]
    for value in (place.beside.get(x_axis), params.get(x_axis)):
        if _is_number(value):
            return float(value), place.keys
    return None


def _is_named(match: re.Match[str], above: str, x_axis: str, params: Mapping[str, Any]) -> bool:
    """Return whether a numbered key, below another, is a place on the axis."""
    if name := match["name"]:
        return name in (x_axis, x_axis.removesuffix("s")) or x_axis.startswith(f"{name}_")
    names = (x_axis, f"{x_axis}s")
    if above in params and above not in names:
        return False  # it is a value of that parameter
    values = [params.get(one) for one in names]
    return any(isinstance(one, list) and float(match["number"]) in one for one in values)


def _leaves(figures: Mapping[str, Any]) -> Iterator[str]:
    for key, value in figures.items():
        if _is_number(value):
            yield key
        elif isinstance(value, Mapping):
            yield from _leaves(value)


def _axes(result: Result, metric: str) -> Iterator[str]:
    """Yield names of axes that a figure has a place on."""
    places = [*_places(result, metric)]
    for place in places:
        for key in place.keys:
            if (match := _NUMBERED.fullmatch(key)) and match["name"]:
                yield match["name"]
        yield from (name for name, value in place.beside.items() if _is_number(value))
    if places:
        params = result.metadata.get("params") or {}
        yield from (name for name, value in params.items() if _is_number(value))


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield from (one for one in value.values() if isinstance(one, Mapping))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
