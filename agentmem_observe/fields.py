"""What people write into configuration: types of plain values, and lines that say what is wrong.

A model's field is one line: a name, one of these types, and a default. What a model refuses
becomes one line per problem, with the key, what was expected, what stands there.
"""

import math
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, Field, PlainValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from agentmem_observe.errors import did_you_mean
from agentmem_observe.units import format_period, parse_period

_LEAF = "leaf"
_REFUSAL = "refusal"
_MOST_SECONDS = 100 * 365 * 86_400.0  # what waits for much longer overflows


def leaf(expected: str, accepts: Callable[[Any], bool]) -> PlainValidator:
    """Make the check of one plain value; nothing is converted, so 10 and "10" stay apart.

    Args:
        expected: What the value has to be, to follow the word "expected".
        accepts: Whether it is.
    """

    def check(value: Any) -> Any:
        if not accepts(value):
            raise _unexpected(expected)
        return value

    return PlainValidator(check)


def converted(expected: str, convert: Callable[[Any], Any]) -> PlainValidator:
    """Make the type of a value that is written in one way and used in another.

    Args:
        expected: What has to be written, to follow the word "expected".
        convert: Returns the value to use; raises ValueError for what is not as expected.
    """

    def check(value: Any) -> Any:
        try:
            return convert(value)
        except ValueError:
            raise _unexpected(expected) from None

    return PlainValidator(check)


def read_by(expected: str, read: Callable[[str], Any]) -> PlainValidator:
    """Make the type of a text whose reader says itself what is wrong with it.

    Args:
        expected: What has to be written, for what is no text at all.
        read: Returns the value to use; raises ValueError with all there is to say after the key,
            in which lines become problems of their own.
    """

    def check(value: Any) -> Any:
        if not isinstance(value, str):
            raise _unexpected(expected)
        try:
            return read(value)
        except ValueError as error:
            raise refusal(str(error)) from None

    return PlainValidator(check)


def one_of(*names: str) -> PlainValidator:
    """Make the check of a word out of a few."""
    listed = ", ".join(repr(name) for name in names)
    return leaf(f"one of {listed}", lambda value: isinstance(value, str) and value in names)


def period(least_seconds: float) -> PlainValidator:
    """Make the type of a length of time, which becomes seconds.

    Args:
        least_seconds: The shortest that is accepted.
    """

    def read(value: Any) -> float:
        seconds = parse_period(value) if isinstance(value, str) else value
        if not is_number(seconds) or not least_seconds <= seconds <= _MOST_SECONDS:
            raise ValueError
        return float(seconds)

    bounds = f"{format_period(least_seconds)} to 100 years"
    return converted(f'a period such as "90s" or "1h30m", or seconds; {bounds}', read)


def is_number(value: Any) -> bool:
    """Return whether a value is a finite int or float; a bool is neither."""
    return type(value) is int or (type(value) is float and math.isfinite(value))


def is_json(value: Any) -> bool:
    """Return whether a value can stand in a JSON file as it is."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_json, value))
    return value is None or isinstance(value, str | bool) or is_number(value)


PositiveInt: TypeAlias = Annotated[
    int, leaf("a positive integer", lambda value: type(value) is int and value > 0)
]
PositiveNumber: TypeAlias = Annotated[
    float, leaf("a positive number", lambda value: is_number(value) and value > 0)
]
Fraction: TypeAlias = Annotated[
    float, leaf("a number from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1)
]
Name: TypeAlias = Annotated[
    str, leaf("a non-empty string", lambda value: isinstance(value, str) and value != "")
]
Json: TypeAlias = Annotated[Any, leaf("a JSON value", is_json)]

some = Field(min_length=1, strict=True)
"""Of a list or dict: at least one item."""


def refusal(text: str) -> PydanticCustomError:
    """Make the error of a validator that says all there is to say after the key.

    Args:
        text: What is wrong and what to do; lines become problems of their own.
    """
    return PydanticCustomError(_REFUSAL, "{text}", {"text": text})


@dataclass(frozen=True, slots=True)
class Wording:
    """How a kind of file is spoken about.

    Attributes:
        table: What it calls values by name.
        shown: Makes a value fit to be seen by others; it may hold secrets.
    """

    table: str = "an object"
    shown: Callable[[Any], Any] = lambda value: value


JSON = Wording()


def problems(
    model: type[BaseModel], error: ValidationError, prefix: str = "", wording: Wording = JSON
) -> Iterator[str]:
    """Yield a line for each problem: ``storage.batch_sizes: expected a list, got 'ten'``.

    Args:
        model: What was to be made.
        error: What came of it.
        prefix: Where the model stands: the path of its table, "" for a whole file.
        wording: How the file is spoken about.
    """
    for details in error.errors(include_url=False):
        # pydantic marks a refused key of a dict with a pseudo-key of its own.
        location = [part for part in details["loc"] if part != "[key]"]
        for what in _what(model, location, details, wording):
            yield f"{dotted(prefix, location)}: {what}"


def dotted(prefix: str, location: Sequence[str | int]) -> str:
    """Return the path of a value, as people write it.

    Examples:
        >>> dotted("storage", ["batch_sizes", 1])
        'storage.batch_sizes[1]'
    """
    path = prefix
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".")


def keys(model: Any) -> Mapping[str, FieldInfo]:
    """Return the fields of a model by the keys they have in a file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _unexpected(expected: str) -> PydanticCustomError:
    return PydanticCustomError(_LEAF, "{expected}", {"expected": expected})


def _what(
    model: type[BaseModel],
    location: Sequence[str | int],
    details: ErrorDetails,
    wording: Wording,
) -> Sequence[str]:
    kind = details["type"]
    if kind == "extra_forbidden":
        known = keys(model)
        for part in location[:-1]:
            known = keys(known[str(part)].annotation)
        return [f"unknown key; {did_you_mean(str(location[-1]), known)}"]
    if kind == _REFUSAL:
        return details["msg"].splitlines()
    expected = wording.table if kind in _NO_TABLE else _EXPECTED.get(kind, details["msg"])
    return [f"expected {expected}, got {reprlib.repr(wording.shown(details['input']))}"]


_NO_TABLE = ("dict_type", "model_type")
_EXPECTED = {
    "list_type": "a list",
    "too_short": "at least one item",
    "string_type": "a string",
}
"""What pydantic's own error types mean in our words."""
