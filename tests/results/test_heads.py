"""What a list shows of a file is what loading it says, without loading it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results import heads
from agentmem_observe.results.heads import Head, read_head
from agentmem_observe.results.store import BenchmarkResults

SEEDS_FILE = next((Path(__file__).parents[1] / "fixtures/results").glob("seeds_*.json"))
GOOD: dict[str, Any] = {
    "benchmark": "read_latency",
    "category": "storage",
    "timestamp": "20250323_145623",
    "results": {"a": {"p99_seconds": 0.5}, "b": [1, 2]},
    "metadata": {
        "format": 1,
        "status": "ok",
        "validity": {"verdict": "degraded", "reasons": ["it rained"]},
        "execution_time": 1.5,
        "histograms": [{"counts": [1, 2, 3]}],
    },
}


def changed(**metadata: Any) -> dict[str, Any]:
    return GOOD | {"metadata": GOOD["metadata"] | metadata}


CASES = {
    "as we write it": json.dumps(GOOD),
    "of the AgentMemory system": SEEDS_FILE.read_text(),
    "null where there might be something": json.dumps(changed(validity=None, execution_time=None)),
    "a whole number of seconds": json.dumps(changed(execution_time=2)),
    "nothing but what must be": json.dumps(GOOD | {"metadata": {}}),
    "nan": json.dumps(GOOD | {"results": {"a": float("nan")}}),
    "infinite seconds": json.dumps(changed(execution_time=float("inf"))),
    "cut off": json.dumps(GOOD)[:-40],
    "empty": "",
    "not JSON": "read_latency: fast",
    "not an object": "[1, 2]",
    "a renamed key": json.dumps(GOOD).replace('"results"', '"figures"'),
    "a key too few": json.dumps({key: GOOD[key] for key in list(GOOD)[1:]}),
    "a key too many": json.dumps(GOOD | {"more": 1}),
    "a newer format": json.dumps(changed(format=99)),
    "no format": json.dumps(changed(format="1")),
    "an unknown status": json.dumps(changed(status="perfect")),
    "a time that is none": json.dumps(GOOD | {"timestamp": "20250230_145623"}),
    "a name that is none": json.dumps(GOOD | {"category": "a/b"}),
    "validity that is none": json.dumps(changed(validity="valid")),
}


def told(read: Callable[[], Head]) -> Head | str:
    """Return what was read, or what was wrong with it."""
    try:
        return read()
    except ResultFormatError as error:
        return str(error)


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_a_head_says_what_loading_the_whole_file_says(text: str, tmp_path: Path) -> None:
    path = tmp_path / "read_latency_20250323_145623.json"
    path.write_text(text)

    def loaded() -> Head:
        document = BenchmarkResults(tmp_path).load_result(path)
        metadata = document["metadata"]
        return Head(
            *(document[key] for key in ("benchmark", "category", "timestamp")),
            metadata.get("status"),
            (metadata.get("validity") or {}).get("verdict"),
            metadata.get("execution_time"),
        )

    assert told(lambda: read_head(str(path))) == told(loaded)


def test_a_file_that_is_gone_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(ResultFormatError, match=r"gone\.json: no such file"):
        read_head(str(tmp_path / "gone.json"))


def test_a_good_file_is_not_built_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is what makes a list of ten thousand take a second and not half a minute."""
    path = tmp_path / "a.json"
    path.write_text(CASES["as we write it"])

    def never(*arguments: object) -> None:
        raise AssertionError("the whole file was built")

    monkeypatch.setattr(heads, "read_json", never)

    assert read_head(str(path)).verdict == "degraded"
