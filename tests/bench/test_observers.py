"""What a publisher keeps up to date."""

from pathlib import Path
from typing import Any

from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.document import document
from agentmem_observe.bench.messages import Finished, Request
from agentmem_observe.bench.observers import Publisher
from agentmem_observe.bench.supervisor import WorkerRun
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.runs import RunMetrics

BENCHMARK = Benchmark("own", "it", Path("own.py"), "", {}, True, False)


def result_of(commit: str) -> dict[str, Any]:
    request = Request("own.py", "it", {}, "fake", "", 1, 30.0)
    run = WorkerRun(Finished("ok", "", {}, {}))
    return document(BENCHMARK, request, run, working_copy={"commit": commit})


def test_the_commit_is_that_of_the_newest_run_in_a_process_that_outlives_it() -> None:
    registry = MetricRegistry()
    publisher = Publisher(RunMetrics(registry), "fake")

    for commit in ("first", "second"):
        publisher.started(BENCHMARK)
        publisher.ended(BENCHMARK, "a.json", result_of(commit))

    (told,) = [each for each in registry.collect() if each.metric.name == "agentmem_run_info"]
    (sample,) = told.samples
    assert dict(zip(told.metric.labels, sample.labels, strict=True))["commit"] == "second"
