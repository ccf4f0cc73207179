"""The form of a result file: five keys as in the seeds, and what we add under ``metadata``."""

import math
import re
import reprlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from agentmem_observe.errors import ResultFormatError

# Formats, newest first. A reader takes all of them and refuses newer ones.
# 1  metadata.format, and beside it what makes the numbers trustworthy (see docs/results.md).
# 0  Files of the seeds' system: without metadata.format; metadata has execution_time and params.
FORMAT = 1

TIMESTAMP_FORMAT = "%Y%m%d_%H%M%S"
"""Local time, as in the seeds."""
_TIMESTAMP = re.compile(r"\d{8}_\d{6}", re.ASCII)

STATUSES = ("ok", "skipped", "failed")

_KEYS = ("benchmark", "category", "timestamp", "results", "metadata")
_METADATA_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "execution_time": ((int, float), "a number of seconds"),
    "params": ((dict,), "an object"),
    "warnings": ((list,), "a list"),
    "validity": ((dict,), "an object"),
    "target": ((dict,), "an object"),
    "host": ((dict,), "an object"),
    "versions": ((dict,), "an object"),
    "vcs": ((dict,), "an object"),
}
"""What our own readers rely on; any of them may be missing or null."""

_AS_THEY_ARE = frozenset((int, str, bool, type(None)))
"""Types of what needs no copy and no place to be named by; most of a file is of these."""

_DEEPEST = 64
_MOST_UNDEFINED = 10


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of one benchmark found.

    Attributes:
        benchmark: Name of the benchmark, without ``benchmark_``.
        category: Its category.
        timestamp: Local time of the run's end, as `TIMESTAMP_FORMAT`.
        results: What the benchmark returned, as plain JSON values.
        metadata: What is known of the run, as plain JSON values.
    """

    benchmark: str
    category: str
    timestamp: str
    results: dict[str, Any]
    metadata: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the document as it stands in a file."""
        return {key: getattr(self, key) for key in _KEYS}


def validate_result(document: object, source: str) -> Result:
    """Check a document and return it as plain JSON values.

    A number that JSON does not have (nan, infinite) becomes None, and a warning in ``metadata``
    says where: one division by zero must not cost a long run its result.

    Args:
        document: From a file, or about to be written to one.
        source: The file; begins each line of an error.

    Raises:
        ResultFormatError: Naming source, key, value and cure, one line per problem.
    """
    if not isinstance(document, Mapping):
        raise ResultFormatError(
            f"{source}: expected an object, got {reprlib.repr(document)}; not a result file"
        )
    _refuse_newer(document.get("metadata"), source)
    _refuse(_problems(document), source)
    undefined: list[str] = []
    try:
        results = plain(document["results"], "results", undefined)
        metadata = plain(document["metadata"], "metadata", undefined)
    except ResultFormatError as error:
        raise ResultFormatError(f"{source}: {error}") from None
    _refuse(_metadata_problems(metadata), source)
    if undefined:
        metadata["warnings"] = [*(metadata.get("warnings") or []), *_undefined(undefined)]
    names = {key: document[key] for key in ("benchmark", "category", "timestamp")}
    return Result(**names, results=results, metadata=metadata)


def ended_at(document: Mapping[str, Any]) -> float:
    """Return when a run ended, in seconds since 1970.

    Results without ``metadata.ended_at`` know it to the second, and are taken to come from this
    machine's time zone.

    Args:
        document: A valid result.

    Raises:
        ResultFormatError: If the time cannot be read.
    """
    text = document["metadata"].get("ended_at")
    try:
        if text is not None:
            return datetime.fromisoformat(text).timestamp()
        return time.mktime(time.strptime(document["timestamp"], TIMESTAMP_FORMAT))
    except (TypeError, ValueError, OverflowError) as error:
        raise ResultFormatError(f"a result's time cannot be read: {error}") from error


def is_name(value: object) -> bool:
    """Return whether a benchmark or category can have this name: it becomes part of a path."""
    return (
        isinstance(value, str)
        and value.isprintable()
        and not value.startswith((".", " "))
        and not set(value) & {"/", "\\"}
        and value != ""
    )


def plain(value: object, path: str = "results", undefined: list[str] | None = None) -> Any:
    """Return a copy made of what JSON has: dict with string keys, list, str, number, bool, None.

    Numpy's scalars and arrays become numbers and lists, tuples become lists, and keys become the
    strings that JSON would make of them.

    Args:
        value: What a benchmark returned, say.
        path: Where it stands; begins the messages.
        undefined: If given, nan and infinite numbers become None, and where they stood is appended
            here. If None they stay.

    Raises:
        ResultFormatError: Naming the path of the value that is of another type, of two keys that
            would become the same string, or of what is nested too deeply.

    Examples:
        >>> plain({1: np.float64(0.5), "b": (np.arange(2), True)})
        {'1': 0.5, 'b': [[0, 1], True]}
        >>> plain({1, 2}, "r.a")
        Traceback (most recent call last):
            ...
        agentmem_observe.errors.ResultFormatError: r.a: cannot be written as JSON: <class 'set'>
    """
    return _Copier(undefined).copy(value, path, 0)


class _Copier:
    def __init__(self, undefined: list[str] | None) -> None:
        self._undefined = undefined

    def copy(self, value: object, path: str, depth: int) -> Any:
        # The constructors strip subclasses such as numpy's or an enum's: what is checked here is
        # then exactly what a reader of the file gets.
        match value:
            case None | bool():
                return value
            case str():
                return str.__str__(value)
            case np.bool_():
                return bool(value)
            case int() | np.integer():
                return int(value)
            case float() | np.floating():
                return self._number(float(value), path)
        if depth == _DEEPEST:
            raise ResultFormatError(f"{path}: nested deeper than {_DEEPEST} levels")
        match value:
            case Mapping():
                return self._object(value, path, depth + 1)
            case list() | tuple():
                return [
                    item
                    if type(item) in _AS_THEY_ARE
                    else self.copy(item, f"{path}[{index}]", depth + 1)
                    for index, item in enumerate(value)
                ]
            case np.ndarray():
                return self.copy(value.tolist(), path, depth)
        raise ResultFormatError(f"{path}: cannot be written as JSON: {type(value)}")

    def _number(self, value: float, path: str) -> float | None:
        if math.isfinite(value) or self._undefined is None:
            return value
        self._undefined.append(f"{path} ({value})")
        return None

    def _object(self, value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        copied: dict[str, Any] = {}
        for key, item in value.items():
            text = key if type(key) is str else _key(key, path)
            if text in copied:
                raise ResultFormatError(f"{path}: two keys would be written as {text!r}")
            copied[text] = (
                item if type(item) in _AS_THEY_ARE else self.copy(item, f"{path}.{text}", depth)
            )
        return copied


def _key(key: object, path: str) -> str:
    match key:
        case str():
            return str.__str__(key)
        case None:
            return "null"
        case bool() | np.bool_():
            return "true" if key else "false"
        case int() | np.integer():
            return str(int(key))
        case float() | np.floating() if math.isfinite(key):
            return repr(float(key))
    raise ResultFormatError(f"{path}: key {key!r} cannot be written as JSON: {type(key)}")


def _undefined(places: list[str]) -> Iterator[str]:
    for place in places[:_MOST_UNDEFINED]:
        yield f"not a number in JSON, written as null: {place}"
    if (rest := len(places) - _MOST_UNDEFINED) > 0:
        yield f"not a number in JSON, written as null: {rest:,} more"


def _refuse_newer(metadata: object, source: str) -> None:
    """Go first: of a newer format nothing else can be said."""
    found = metadata.get("format") if isinstance(metadata, Mapping) else None
    if type(found) is int and found > FORMAT:
        raise ResultFormatError(
            f"{source}: format {found} is newer than {FORMAT}; upgrade agentmem-observe"
        )


def _refuse(problems: Iterable[str], source: str) -> None:
    if lines := [f"{source}: {problem}" for problem in problems]:
        raise ResultFormatError("\n".join(lines))


def _problems(document: Mapping[Any, Any]) -> Iterator[str]:
    for key in document:
        if key not in _KEYS:
            yield f"{key}: not one of {', '.join(_KEYS)}; put it under metadata"
    for key in _KEYS:
        if key not in document:
            yield f"{key}: missing; a result has {', '.join(_KEYS)}"
        elif expected := _expected(key, document[key]):
            yield f"{key}: expected {expected}, got {reprlib.repr(document[key])}"


def _expected(key: str, value: object) -> str:
    """Return what one of the five keys should have been, or "" if it is."""
    match key:
        case "benchmark" | "category":
            return "" if is_name(value) else "a name without / or \\ or a leading dot"
        case "timestamp":
            return "" if _is_timestamp(value) else "a time such as 20250323_145623"
    return "" if isinstance(value, Mapping) else "an object"


def is_stamped(category: object, benchmark: object, timestamp: object) -> bool:
    """Return whether a result's names and time are as they must be.

    Args:
        category: Of the benchmark.
        benchmark: Its name.
        timestamp: Local time of the run's end.
    """
    return is_name(category) and is_name(benchmark) and _is_timestamp(timestamp)


def _is_timestamp(value: object) -> bool:
    # Not by strptime: it takes a month of one digit too, where names are to sort by time, and for
    # a list of thousands of files it takes longer than reading them.
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        return False
    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:8]))
    except ValueError:
        return False
    return value[9:11] < "24" and value[11:13] < "60" and value[13:] < "62"  # leap seconds


def _metadata_problems(metadata: Mapping[str, Any]) -> Iterator[str]:
    found = metadata.get("format", 0)
    if type(found) is not int or found < 0:
        yield f"metadata.format: expected an integer from 0 to {FORMAT}, got {found!r}"
    status = metadata.get("status", "ok")
    if status not in STATUSES:
        yield f"metadata.status: expected one of {', '.join(STATUSES)}, got {status!r}"
    for key, (types, expected) in _METADATA_TYPES.items():
        value = metadata.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, types)):
            yield f"metadata.{key}: expected {expected}, got {reprlib.repr(value)}"
