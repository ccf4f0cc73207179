"""A result shows no credentials, whoever repeats them."""

import json
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.document import document
from agentmem_observe.bench.messages import Finished, Request
from agentmem_observe.bench.supervisor import WorkerRun

BENCHMARK = Benchmark("own", "it", Path("own.py"), "", {}, True, False)
SECRET = "s3cr/et"
SPECS = ["mine://user:s3cr%2Fet@host", "mine://host?password=s3cr%2fet", "mine?url=x://s3cr/et@h"]


def made_of(spec: str, finished: Finished, log_tail: str = "") -> dict[str, Any]:
    request = Request("own.py", "it", {}, spec, "", 1, 30.0)
    return document(BENCHMARK, request, WorkerRun(finished, log_tail=log_tail))


@pytest.mark.parametrize("spec", SPECS)
def test_a_failed_result_shows_no_credentials_anywhere(spec: str) -> None:
    said = f"cannot log in: {ConnectionError(spec, SECRET)!r}"
    facts = {
        "params": {"url": spec},
        "warnings": [said],
        "validities": [{"verdict": "void", "reasons": [said], "elapsed_seconds": 1.0}],
        "target": {"name": said, "notes": {"url": spec}},
    }
    finished = Finished("failed", said, {"last": [said]}, facts, f"Traceback: {said}")

    result = made_of(spec, finished, log_tail=f"3cr/et was refused\n{said}")

    assert SECRET not in json.dumps(result)
    assert "s3cr%2" not in json.dumps(result)
    metadata = result["metadata"]
    assert metadata["log_tail"].startswith("*** was refused\ncannot log in: ConnectionError(")
    for text in (metadata["reason"], metadata["traceback"], result["results"]["last"][0]):
        assert "cannot log in: " in text
        assert "***" in text


def test_a_skipped_result_and_the_doubts_of_a_good_one_show_none_either() -> None:
    loop = {"verdict": "void", "reasons": [f"{SECRET} is slow"], "elapsed_seconds": 1.0}

    skipped = made_of(SPECS[0], Finished("skipped", f"{SECRET} cannot search", {}, {}))
    good = made_of(SPECS[0], Finished("ok", "", {}, {"validities": [loop]}))

    assert skipped["metadata"]["reason"] == "*** cannot search"
    assert good["metadata"]["validity"]["reasons"] == ["*** is slow"]
    assert good["metadata"]["warnings"] == ["void: *** is slow"]
