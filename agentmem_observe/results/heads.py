"""What a list shows of a result file, read without building all that is in it."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.files import read_json
from agentmem_observe.results.schema import FORMAT, STATUSES, Result, is_stamped, validate_result


class Head(NamedTuple):
    """What a result is, and how it went.

    Attributes:
        benchmark: Its name.
        category: Of the benchmark.
        timestamp: Local time of the run's end.
        status: ``ok``, ``skipped`` or ``failed``; None of a file of the AgentMemory system.
        verdict: Whether the measurement can be trusted; None where it was not asked.
        execution_time: Seconds that the benchmark took; None if unknown.
    """

    benchmark: str
    category: str
    timestamp: str
    status: str | None
    verdict: str | None
    execution_time: float | None


class _Validity(msgspec.Struct):
    verdict: str | None = None


class _Metadata(msgspec.Struct):
    format: int = 0
    status: str | None = None
    validity: _Validity | None = None
    execution_time: float | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    benchmark: str
    category: str
    timestamp: str
    results: msgspec.Raw
    metadata: _Metadata


_DECODER = msgspec.json.Decoder(_Document)


def read_head(path: str) -> Head:
    """Read what a list shows of a result file.

    The whole file is parsed, so one that is cut off is found out; but of its numbers and of the
    rest of its metadata nothing is kept or checked. A file with anything unusual is loaded as a
    whole, so that what is wrong with it is told as always.

    Args:
        path: The file.

    Raises:
        ResultFormatError: If it is not a result of a format that we know.
    """
    try:
        with open(path, "rb") as file:
            document = _DECODER.decode(file.read())
    except (OSError, msgspec.MsgspecError):
        return _whole(path)
    metadata = document.metadata
    known = metadata.format in range(FORMAT + 1) and metadata.status in (None, *STATUSES)
    if not known or not is_stamped(document.category, document.benchmark, document.timestamp):
        return _whole(path)
    verdict = metadata.validity.verdict if metadata.validity else None
    return Head(
        document.benchmark,
        document.category,
        document.timestamp,
        metadata.status,
        verdict,
        metadata.execution_time,
    )


def _whole(path: str) -> Head:
    result: Result = validate_result(read_json(Path(path), ResultFormatError), path)
    metadata = result.metadata
    return Head(
        result.benchmark,
        result.category,
        result.timestamp,
        metadata.get("status"),
        (metadata.get("validity") or {}).get("verdict"),
        metadata.get("execution_time"),
    )
