"""Every recording rule and every alert, evaluated by real servers that scraped a real daemon."""

import re
import time
from collections.abc import Iterator
from typing import Any

import promql_parser as promql
import pytest

from tests.prometheus import Prometheus

pytestmark = pytest.mark.server

EMPTY = {
    "operation:agentmem_operation_service_time_seconds:p50_baseline": "the servers are new",
    "operation:agentmem_operation_service_time_seconds:p50_over_baseline": "the servers are new",
    "operation:agentmem_operation_service_time_seconds:p99_baseline": "the servers are new",
    "operation:agentmem_operation_service_time_seconds:p99_over_baseline": "the servers are new",
    "agentmem_drift_ratio": "a soak's drift takes half an hour",
    "agentmem_exporter_refused_samples_total": "nobody had too many series",
}
"""Series that may not be there, and why."""

FIRING = {
    "AgentMemRegression",
    "AgentMemLeak",
    "AgentMemErrors",
    "AgentMemJobFailing",
    "AgentMemExportsFailing",
    "AgentMemWatchdog",
}
"""What the daemon gives cause for; most are pending until they have lasted."""

_PATIENCE_SECONDS = 150.0
_LOOK_EVERY_SECONDS = 2.0


def rules(server: Prometheus, kind: str) -> list[dict[str, Any]]:
    groups = server.get("/api/v1/rules")["groups"]
    return [rule for group in groups for rule in group["rules"] if rule["type"] == kind]


def until_none_left(server: Prometheus, names: set[str]) -> set[str]:
    """Return which series are not there however long one waits."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        names = {name for name in names if not server.query(name)}
        if not names - EMPTY.keys() or time.monotonic() > deadline:
            return names
        time.sleep(_LOOK_EVERY_SECONDS)


def names_in(expression: str) -> Iterator[str]:
    """Yield the names of the series that an expression is about."""
    promql.parse(expression)
    without_values = re.sub(r'"[^"]*"', "", expression)
    return (name for name in re.findall(r"[\w:]+", without_values) if "agentmem" in name)


def test_every_recording_rule_records_something(server: Prometheus) -> None:
    recorded = {rule["name"] for rule in rules(server, "recording")}

    missing = until_none_left(server, recorded)

    assert missing - EMPTY.keys() == set()
    assert [rule for rule in rules(server, "recording") if rule["health"] == "err"] == []


def test_every_series_that_an_alert_is_about_is_there(server: Prometheus) -> None:
    alerts = rules(server, "alerting")
    names = {name for rule in alerts for name in names_in(rule["query"])}

    missing = until_none_left(server, names)

    assert missing - EMPTY.keys() == set()


def test_what_there_is_cause_for_fires(server: Prometheus) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    waiting = FIRING
    while waiting and time.monotonic() < deadline:
        alerts = rules(server, "alerting")
        waiting = FIRING - {rule["name"] for rule in alerts if rule["state"] != "inactive"}
        if waiting:
            time.sleep(_LOOK_EVERY_SECONDS)

    assert waiting == set()
    assert [rule["name"] for rule in rules(server, "alerting") if rule["health"] == "err"] == []
