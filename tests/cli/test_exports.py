"""Where metrics and spans of a run go, from the command line to the wire."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import click
import pytest

from agentmem_observe.cli.addresses import listen_address

NOBODY = "127.0.0.1:9"  # the discard service, which nobody runs
MOST_SCRAPES = 500  # of some milliseconds each, until the supervisor has heard of the operations
OPTION = click.Option(["--web.listen-address", "listen"])


def parse(value: str | None):
    return listen_address(click.Context(click.Command("run")), OPTION, value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:9464", ("::1", 9464)),
        (None, None),
    ],
)
def test_an_address_is_a_host_and_a_port(value, expected):
    assert parse(value) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("9464", "is not HOST:PORT; try 127.0.0.1:9464"),
        (":9464", "would serve everybody; try 127.0.0.1:9464"),
        ("127.0.0.1:", "'' is no port"),
        ("127.0.0.1:http", "'http' is no port"),
        ("127.0.0.1:65536", "is no port from 0 to 65535"),
        ("127.0.0.1:²", "is no port"),
    ],
)
def test_what_is_no_address_is_refused_with_the_cure(value, said):
    with pytest.raises(click.BadParameter, match=said):
        parse(value)


SUITE = """
import os
from agentmem_observe.workload.operations import Operation, repeat
def benchmark_asking(bench, operations=500):
    with bench.target() as target:
        bench.phase("storing")
        bench.store(target, bench.records(operations))
    return {"pid": os.getpid()}
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "mine.py").write_text(SUITE)
    return folder


def environment(**further: str) -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if "OTEL" not in name} | further


def run(suite: Path, *options: object, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agentmem_observe", "run", "--suite", suite]
    command += ["--output-dir", suite.parent / "results", "--export", "json", *options]
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment(**environ),
    )


def scrape(url: str) -> str:
    with urllib.request.urlopen(url) as page:
        return page.read().decode()


def attributes(of: dict) -> dict:
    return {each["key"]: next(iter(each["value"].values())) for each in of["attributes"]}


def test_json_and_otlp_of_one_run_have_the_same_counts_sums_and_trace(suite, tmp_path):
    file = tmp_path / "otlp.jsonl"

    ran = run(suite, "--otlp-file", file)

    (result,) = json.loads(ran.stdout)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    spans = [
        span
        for line in lines
        for resource in line.get("resourceSpans", [])
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    last_page = next(line for line in reversed(lines) if "resourceMetrics" in line)
    metrics = {
        metric["name"]: metric
        for scope in last_page["resourceMetrics"][0]["scopeMetrics"]
        for metric in scope["metrics"]
    }
    (point,) = metrics["agentmem.operation.service_time"]["exponentialHistogram"]["dataPoints"]
    (expected,) = (each["service_time"] for each in result["metadata"]["histograms"])
    names = {span["name"] for span in spans}
    assert f"Wrote {file}" in ran.stderr
    assert int(point["count"]) == expected["count"] == 500
    assert point["sum"] == expected["sum_ns"] / 1e9
    assert attributes(point)["gen_ai.operation.name"] == "create_memory"
    assert {"run", "mine/asking", "phase", "create_memory"} <= names
    assert {span["traceId"] for span in spans} == {result["metadata"]["trace_id"]}
    traced = {span["spanId"] for span in spans}
    assert {exemplar["spanId"] for exemplar in point["exemplars"]} <= traced
    assert point["exemplars"]


def test_metrics_are_served_while_it_runs_and_not_after(suite):
    go_on = suite / "go_on"
    os.mkfifo(go_on)
    waiting = 'bench.phase("waiting"); open(os.environ["GO_ON"]).read()'
    (suite / "mine.py").write_text(SUITE.replace("    return", f"    {waiting}\n    return"))
    command = [sys.executable, "-m", "agentmem_observe", "run", "--suite", suite]
    command += ["--output-dir", suite.parent / "r", "--web.listen-address", "127.0.0.1:0"]
    series = "agentmem_operations_total{"
    page = ""

    with subprocess.Popen(
        [str(part) for part in command],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment(GO_ON=str(go_on)),
    ) as process:
        assert process.stderr is not None
        url = process.stderr.readline().removeprefix("Serving ").strip()
        with open(go_on, "w"):  # once the benchmark opens it too, which then waits for its end
            for _ in range(MOST_SCRAPES):
                page = scrape(url)
                if series in page:
                    break
        said = process.stderr.read()

    lines = page.splitlines()
    run = 'benchmark="asking",category="mine",target="embedded"'
    assert process.returncode == 0, said
    running = [line for line in lines if line.startswith("agentmem_benchmark_running{")]
    assert running == [f"agentmem_benchmark_running{{{run}}} 1.0"]
    (count,) = (line.split()[-1] for line in lines if line.startswith(series))
    assert float(count) == 500
    with pytest.raises(OSError, match="refused"):
        scrape(url)


def test_what_otlp_lost_is_in_the_metrics_that_are_written_last(suite, tmp_path):
    file = tmp_path / "metrics.prom"

    ran = run(
        suite, "--export", f"prometheus={file}", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{NOBODY}"
    )

    ends = 'exporter="otlp_spans"'
    lines = [line for line in file.read_text().splitlines() if ends in line]
    lost = sum(float(line.split()[-1]) for line in lines if 'result="sent"' not in line)
    (told,) = re.findall(r"otlp_spans: ([0-9,]+) of", ran.stderr)
    assert ran.returncode == 0
    assert lost == int(told.replace(",", "")) > 0


def test_what_was_lost_is_an_event_with_counts_in_the_json_log(suite):
    ran = run(suite, "--log-format", "json", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{NOBODY}")

    events = [json.loads(line) for line in ran.stderr.splitlines()]
    lost = [each for each in events if each["event"] == "export_lost"]
    assert {each["exporter"] for each in lost} == {"otlp_spans", "otlp_metrics"}
    assert all(each["failed"] + each["dropped"] > 0 for each in lost)
    assert {each["destination"] for each in lost} == {f"http://{NOBODY}"}


def test_two_destinations_that_fail_are_both_told(suite, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    (suite / "mine.py").write_text(f"""
import os
def benchmark_removing(**kwargs):
    os.rmdir({str(gone)!r})
    return {{}}
""")

    ran = run(
        suite, "--push-gateway", f"http://{NOBODY}", "--export", f"prometheus={gone}/metrics.prom"
    )

    (result,) = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert result["metadata"]["status"] == "ok"
    assert f"{gone}/metrics.prom" in ran.stderr
    assert f"{NOBODY} did not take the metrics" in ran.stderr


def test_an_address_for_others_is_refused_before_anything_runs(suite):
    ran = run(suite, "--web.listen-address", "0.0.0.0:0")

    assert ran.returncode == 1
    assert "cannot serve on '0.0.0.0'" in ran.stderr
    assert not (suite.parent / "results" / "mine").exists()


def test_without_an_endpoint_no_trace_is_made(suite):
    ran = run(suite)

    (result,) = json.loads(ran.stdout)
    assert "trace_id" not in result["metadata"]
    assert "Traceback" not in ran.stderr
