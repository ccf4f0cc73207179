"""A daemon that sees a regression and a leak, Prometheus, Alertmanager: the right messages arrive.

The rules are those that are made, with short times. Their histograms are native here where this
Prometheus has them, and classic in a second one.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from agentmem_observe.alerts.build import ALERTMANAGER_FILE, RULE_FILES, build_files
from agentmem_observe.alerts.recording import (
    ANSWERED_RATE,
    DISPATCH_DELAY,
    FAST_RATE,
    service_time,
    slow_ratio,
)
from agentmem_observe.alerts.thresholds import Thresholds
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.endpoint import MetricsEndpoint
from agentmem_observe.telemetry.registry import MetricRegistry
from tests.daemons import Daemon, Daemons, job_table
from tests.nights import SUITE, TARGET, remember

pytestmark = pytest.mark.server

NIGHTS = 30

LEAKING = {
    "soak": True,
    "target": "fake?leaks_one_in=1",
    "rate": 200,
    "records": 500,
    "window": "1s",
    "leak_windows": 10,
}
NIGHTLY = {
    "target": "scripted:make",
    "suites": ["suite"],
    "category": "mine",
    "benchmark": "reading",
    "beside_others": True,
}

TRUSTING = """
from agentmem_observe.analysis import validity

validity.judge = lambda evidence: validity.Validity("valid")
"""
"""Imported by every Python of the daemon as it starts: a busy host must not spoil the test."""

SHORT = {
    "evaluation_interval": "1s",
    "judged_within": "0s",
    "verdict_for": "0s",
    "expected_jobs": ["leaking", "nightly"],
    "group_wait": "1s",
    "group_interval": "1s",
    "watchdog_interval": "1s",
    # This host is as noisy as it is, and has as much memory.
    "noise_cpu_pressure_ratio": 1,
    "noise_steal_ratio": 1,
    "noise_foreign_cpu_ratio": 1,
    "noise_run_queue_ratio": 1000,
    "exhaustion": "1m",
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Return a daemon whose job ``nightly`` takes as long as its file ``seconds`` says."""
    directory = tmp_path / "daemon1"
    (directory / "suite").mkdir(parents=True)
    (directory / "suite" / "mine.py").write_text(SUITE)
    (directory / "scripted.py").write_text(TARGET.format(seconds=str(directory / "seconds")))
    (directory / "sitecustomize.py").write_text(TRUSTING)
    paths = [str(directory), os.environ.get("PYTHONPATH", "")]
    daemons = Daemons(tmp_path, {"PYTHONPATH": os.pathsep.join(filter(None, paths))})
    try:
        yield daemons(job_table("nightly", NIGHTLY | {"once": True}))
    finally:
        daemons.end()


def written(directory: Path, thresholds: Thresholds) -> list[str]:
    """Write all files; return the paths of the rules."""
    for path, text in build_files(thresholds).items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    return [str(directory / file) for file in RULE_FILES]


def scraping(url: str) -> dict[str, Any]:
    """Return how Prometheus scrapes a daemon."""
    targets = [urlsplit(url).netloc]
    return {"job_name": "agentmem", "static_configs": [{"targets": targets}]}


def test_a_regression_and_a_leak_arrive_and_noise_holds_back_only_the_regression(
    tmp_path, daemon, start_alertmanager, start_prometheus, receiver
):
    rule_files = written(tmp_path, Thresholds(**SHORT, webhook_url=receiver.url))
    alertmanager = start_alertmanager(tmp_path / ALERTMANAGER_FILE)
    (daemon.directory / "seconds").write_text("0.002")
    daemon.start()
    daemon.until("a run", daemon.runs)
    daemon.stop()
    with State.open(daemon.state) as state:
        remember(state, "nightly", NIGHTS)

    (daemon.directory / "seconds").write_text("0.01")
    nightly = job_table("nightly", NIGHTLY | {"every": "4s"})
    daemon.configure(job_table("leaking", LEAKING) + nightly)
    daemon.start()
    alerting = {"static_configs": [{"targets": [urlsplit(alertmanager.url).netloc]}]}
    prometheus = start_prometheus(
        scraping(daemon.url),
        features=["native-histograms"],
        flags=["--rules.alert.resend-delay=1s"],  # it meets Alertmanager some seconds later
        rule_files=rule_files,
        alerting={"alertmanagers": [alerting]},
    )
    for name in ("AgentMemWatchdog", "AgentMemLeak", "AgentMemRegression"):
        daemon.until(name, lambda name=name: receiver.alerts(name))
    host = {"job": "agentmem", "instance": urlsplit(daemon.url).netloc}
    noisy = {**host, "alertname": "AgentMemHostNoisy", "area": "noise", "severity": "info"}
    alertmanager.post({"labels": noisy})
    held_back = daemon.until("what is held back", lambda: inhibited(alertmanager))
    rules = prometheus.get("/api/v1/rules")["groups"]
    recorded = {
        name: prometheus.query(f'{name}{{benchmark="leaking"}}')
        for name in (FAST_RATE, ANSWERED_RATE, service_time("p50", "now"))
    }

    regression = receiver.alerts("AgentMemRegression")[0]
    assert regression["labels"] == {
        **host,
        "alertname": "AgentMemRegression",
        "target": "scripted:make",
        "category": "mine",
        "benchmark": "reading",
        "severity": "warning",
        "area": "performance",
    }
    assert regression["annotations"]["summary"] == "mine.reading on scripted:make became worse"
    assert "times worse." in regression["annotations"]["description"]
    leak = receiver.alerts("AgentMemLeak")[0]
    assert leak["labels"]["benchmark"] == "leaking"
    assert leak["annotations"]["runbook_url"].endswith("/docs/runbooks/AgentMemLeak.md")
    told = {alert["labels"]["alertname"] for alert in receiver.alerts()}
    assert told - {"AgentMemHostNoisy"} == {
        "AgentMemWatchdog",
        "AgentMemLeak",
        "AgentMemRegression",
    }
    assert held_back == {"AgentMemRegression"}
    assert [rule for group in rules for rule in group["rules"] if rule["health"] == "err"] == []
    assert [name for name, found in recorded.items() if not found] == []


def inhibited(alertmanager: Any) -> set[str]:
    """Return the names of the alerts that are held back."""
    return {
        alert["labels"]["alertname"]
        for alert in alertmanager.alerts()
        if alert["status"]["inhibitedBy"]
    }


# Native and classic histograms

LABELS = {
    "target": "fake",
    "category": "soak",
    "benchmark": "steady",
    "operation": "search_memory",
    "tier": "stm",
    "outcome": "ok",
}
RECORDED = (
    slow_ratio(3600),
    service_time("p50", "5m"),
    service_time("p99", "5m"),
    DISPATCH_DELAY,
)


def test_native_and_classic_histograms_say_the_same(tmp_path, start_prometheus):
    """Of a batch, which comes again and again, 90 % keep the promise."""
    rule_files = written(tmp_path, Thresholds(**SHORT))
    registry, batch = MetricRegistry(), Histogram()
    batch.record(np.concatenate([np.linspace(1e6, 2e6, 900), np.full(100, 4e8)]).astype(np.int64))
    for metric in (
        catalog.OPERATION_LATENCY,
        catalog.OPERATION_SERVICE_TIME,
        catalog.OPERATION_DISPATCH_DELAY,
    ):
        registry.on_collect(lambda metric=metric: registry.merge(metric, LABELS, batch))

    with MetricsEndpoint(registry) as endpoint:
        servers = {
            kind: start_prometheus(
                scraping(endpoint.url), features=features, rule_files=rule_files
            )
            for kind, features in (("native", ["native-histograms"]), ("classic", []))
        }
        found = {
            kind: {
                name: server.until(lambda server=server, name=name: server.query(name))
                for name in RECORDED
            }
            for kind, server in servers.items()
        }
        buckets = {
            kind: server.query("agentmem_operation_latency_seconds_bucket")
            for kind, server in servers.items()
        }

    assert buckets["classic"]
    assert not buckets["native"], "this Prometheus keeps both; then one of them proves nothing"
    for kind, recorded in found.items():
        ((labels, share),) = recorded[slow_ratio(3600)]
        assert share == pytest.approx(0.1, abs=0.005), kind
        assert labels["benchmark"] == "steady"
        assert labels.keys() & {"operation", "le"} == set()
        ((labels, median),) = recorded[service_time("p50", "5m")]
        assert labels["operation"] == "search_memory"
        assert median == pytest.approx(1.5e-3, rel=0.3), kind
        ((_, tail),) = recorded[service_time("p99", "5m")]
        assert 0.25 < tail <= 0.5, kind
        ((_, late),) = recorded[DISPATCH_DELAY]
        assert 0.25 < late <= 0.5, kind
