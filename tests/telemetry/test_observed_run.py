"""A run as a user would watch it: command line, real Prometheus, and the result file agree."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry.buckets import bucket_of

pytestmark = pytest.mark.server

NAME = "agentmem_operation_service_time_seconds"
OPERATIONS = 50_000
RECORDS = 7
SUITE = f"""
import os
from dataclasses import replace
import numpy as np
from agentmem_observe.clock import SYSTEM_CLOCK, FakeClock
from agentmem_observe.workload.operations import Operation, repeat

def benchmark_watched(bench):
    with bench.target() as target:
        bench.fill(target, bench.records({RECORDS}))
    clock = FakeClock(SYSTEM_CLOCK.now_ns())
    durations = (np.random.default_rng(4).lognormal(-8, 0.8, {OPERATIONS}) * 1e9).astype(int)
    bench.driver = replace(bench.driver, clock=clock)
    waiting = Operation("search_memory", lambda number: clock.advance(durations[number] * 1e-9))
    measured = bench.closed_loop([repeat(waiting, {OPERATIONS})])
    bench.phase("waiting to be scraped")
    with open(os.environ["GO_ON"]) as signal:
        signal.read()
    return measured.summary()
"""
"""Durations are scripted: the middle of a bucket of few is not where they lie in it."""


@dataclass(frozen=True)
class Watched:
    """Two servers that scraped the run before it ended, its result, and its spans' ids.

    Once a target is gone its series are stale: what is asked for is how they were at a time.
    """

    native: Any
    classic: Any
    result: dict[str, Any]
    spans: set[tuple[str, str]]
    at_seconds: float

    def native_value(self, promql: str) -> float:
        return self._only(self.native, promql)

    def classic_value(self, promql: str) -> float:
        return self._only(self.classic, promql)

    def _only(self, server: Any, promql: str) -> float:
        ((_, value),) = server.query(promql, time=self.at_seconds)
        return value

    @property
    def histogram(self) -> Histogram:
        (series,) = self.result["metadata"]["histograms"]
        return Histogram.from_dict(series["service_time"])


@pytest.fixture(scope="module")
def watched(start_prometheus, tmp_path_factory) -> Watched:
    directory: Path = tmp_path_factory.mktemp("watched")
    (directory / "suite").mkdir()
    (directory / "suite" / "mine.py").write_text(SUITE)
    go_on, spans, results = (directory / name for name in ("go_on", "spans.jsonl", "results"))
    os.mkfifo(go_on)
    command = [sys.executable, "-m", "agentmem_observe", "run", "--suite", directory / "suite"]
    command += ["--output-dir", results, "--otlp-file", spans]
    command += ["--web.listen-address", "127.0.0.1:0", "--export", "json"]
    environ = {name: text for name, text in os.environ.items() if "OTEL" not in name}
    with subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ | {"GO_ON": str(go_on)},
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        address = urlsplit(process.stderr.readline().split()[-1]).netloc
        job = {"job_name": "run", "static_configs": [{"targets": [address]}]}
        with open(go_on, "w"):  # the benchmark has opened it too, and waits for it to be closed
            native = start_prometheus(job, features=["native-histograms", "exemplar-storage"])
            classic = start_prometheus(job, features=["exemplar-storage"])
            for server in (native, classic):
                all_told = f"agentmem_operations_total == {OPERATIONS}"
                server.until(lambda server=server, query=all_told: server.query(query))
            at_seconds = time.time()
        (result,) = json.loads(process.stdout.read())
        process.stderr.read()
    assert process.returncode == 0
    return Watched(native, classic, result, span_ids(spans), at_seconds)


def span_ids(file: Path) -> set[tuple[str, str]]:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return {
        (span["traceId"], span["spanId"])
        for line in lines
        for resource in line.get("resourceSpans", [])
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }


@pytest.mark.parametrize("percentile", ["p50", "p95", "p99"])
def test_a_native_quantile_is_the_percentile_of_the_result(watched, percentile):
    quantile = int(percentile.removeprefix("p")) / 100

    found = watched.native_value(f"histogram_quantile({quantile}, {NAME})")

    expected = watched.result["results"][f"service_time_{percentile}_seconds"]
    assert found == pytest.approx(expected, rel=0.011)


@pytest.mark.parametrize("percentile", ["p50", "p95", "p99"])
def test_a_classic_quantile_is_in_the_bucket_of_the_percentile(watched, percentile):
    quantile = int(percentile.removeprefix("p")) / 100

    found = watched.classic_value(f"histogram_quantile({quantile}, {NAME}_bucket)")

    expected = watched.result["results"][f"service_time_{percentile}_seconds"]
    assert bucket_of(found) == bucket_of(expected)


def test_counts_and_sums_are_those_of_the_result(watched):
    assert watched.histogram.count == OPERATIONS
    assert watched.native_value(f"histogram_count({NAME})") == OPERATIONS
    assert watched.native_value(f"histogram_sum({NAME})") == watched.histogram.sum_seconds
    assert watched.classic_value(f"{NAME}_count") == OPERATIONS
    assert watched.classic_value(f"{NAME}_sum") == watched.histogram.sum_seconds


def test_the_trace_of_an_exemplar_was_exported(watched):
    found = watched.classic.get(
        "/api/v1/query_exemplars", query=f"{NAME}_bucket", start="0", end="9999999999"
    )

    labels = [exemplar["labels"] for series in found for exemplar in series["exemplars"]]
    assert labels
    assert {(each["trace_id"], each["span_id"]) for each in labels} <= watched.spans
    assert {each["trace_id"] for each in labels} == {watched.result["metadata"]["trace_id"]}


def test_the_run_shows_its_process_and_progress(watched):
    assert watched.classic_value("agentmem_benchmark_running") == 1
    assert watched.classic_value('agentmem_run_info{target="embedded",host!="",version!=""}') == 1
    assert watched.classic_value("agentmem_process_resident_memory_bytes") > 10_000_000
    assert watched.classic_value('sum(agentmem_memory_records{target="embedded"})') == RECORDS
