"""A daemon of which tests say what it shows, and a server in front of it."""

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from agentmem_observe.daemon.api import daemon_app
from agentmem_observe.daemon.controls import (
    Asked,
    JobView,
    LivePoint,
    LiveView,
    RunView,
    Status,
    TrendPoint,
    TrendView,
)
from agentmem_observe.telemetry.endpoint import HttpServer
from agentmem_observe.telemetry.registry import MetricRegistry

NOW = 1_763_000_000.0
"""When the scripted daemon's clock stands still; 2025-11-13 02:13:20 UTC."""


def point(at: float, **changes: Any) -> LivePoint:
    figures: dict[str, Any] = {
        "ok_per_second": 50.0,
        "failed_per_second": 0.0,
        "latency_p50_seconds": 0.000412,
        "latency_p99_seconds": 0.00187,
        "latency_max_seconds": 0.0042,
        "rss_bytes": 125_829_120.0,
    }
    return LivePoint(at=at, **(figures | changes))


def trend_point(at: float, **changes: Any) -> TrendPoint:
    took_seconds = changes.pop("took_seconds", None)
    return TrendPoint(**point(at, **changes), took_seconds=took_seconds)


def run(id: int, job: str = "nightly", **changes: Any) -> RunView:
    started = NOW - 600.0 + id
    view: dict[str, Any] = {
        "id": id,
        "job": job,
        "category": "storage",
        "benchmark": "write_throughput",
        "target": "embedded",
        "started_at": started,
        "ended_at": started + 43.5,
        "status": "ok",
        "cause": "",
        "reason": "",
        "validity": "valid",
        "figures": {"throughput_ops_per_second": 18250.0, "latency_p99_seconds": 0.00021},
        "path": "results/storage/write_throughput_20251113_030403.json",
    }
    return RunView(**(view | changes))  # type: ignore[typeddict-item]  # **: mypy cannot follow


def benchmark(name: str = "nightly", **changes: Any) -> JobView:
    view: dict[str, Any] = {
        "name": name,
        "kind": "benchmark",
        "target": "embedded",
        "what": "storage/write_throughput",
        "state": "idle",
        "state_since": NOW - 552.5,
        "schedule": "every 6 h, up to 5 min later",
        "next_due_at": NOW + 21_000.0,
        "progress": None,
        "phase": "",
        "problem": "",
        "failures_in_a_row": 0,
        "runs": {"ok": 4, "failed": 0, "skipped": 0},
        "skipped": {"missed": 1, "overlap": 0},
        "last_run": run(4, name),
        "validity": {"verdict": "valid", "reasons": []},
        "leak": None,
        "drift": None,
        "regression": {
            "verdict": "same",
            "ratio": None,
            "changed_at": None,
            "figure": "",
            "reasons": ["36 of 36 figures unchanged"],
        },
        "live": {"every_seconds": 5.0, "points": []},
    }
    return JobView(**(view | changes))  # type: ignore[typeddict-item]  # **: mypy cannot follow


def soak(name: str = "checkout", **changes: Any) -> JobView:
    view: dict[str, Any] = {
        "kind": "soak",
        "target": "redis://127.0.0.1:6379/0",
        "what": "50 operations a second",
        "state": "running",
        "state_since": NOW - 86_400.0,
        "schedule": "always",
        "next_due_at": None,
        "phase": "window 1440",
        "runs": {"ok": 0, "failed": 0, "skipped": 0},
        "skipped": {"missed": 0, "overlap": 0},
        "last_run": None,
        "leak": {
            "verdict": "none",
            "reasons": [],
            "bytes_per_operation": None,
            "slope_bytes_per_second": None,
        },
        "drift": {"verdict": "none", "ratio": 1.01, "reasons": []},
        "regression": None,
        "live": {"every_seconds": 5.0, "points": [point(NOW - 5.0), point(NOW)]},
    }
    return benchmark(name, **(view | changes))


def status(*jobs: JobView, **changes: Any) -> Status:
    view: dict[str, Any] = {
        "version": "0.1.0",
        "host": "bench-03",
        "pid": 4242,
        "started_at": NOW - 86_460.0,
        "now": NOW,
        "settings": {"file": "daemon.toml", "loaded_at": NOW - 86_460.0, "problem": ""},
        "disk": {
            "writable": True,
            "problem": "",
            "pending": 0,
            "lost": 0,
            "bytes": 18_350_080,
            "warnings": [],
        },
        "process": {"rss_bytes": 62_914_560, "cpu_ratio": 0.0031},
        "jobs": list(jobs),
    }
    return Status(**(view | changes))  # type: ignore[typeddict-item]  # **: mypy cannot follow


def newer(live: LiveView, since: float) -> LiveView:
    return {**live, "points": [point for point in live["points"] if point["at"] >= since]}


class ScriptedControls:
    """Implements `Controls`: shows what it was given, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.shown = status(soak(), benchmark())
        self.kept = [run(id) for id in range(1, 5)]
        self.windows: list[dict[str, Any]] = []
        self.trends = {"checkout": [trend_point(NOW - 900.0), trend_point(NOW - 300.0)]}
        self.changes: list[dict[str, Any]] = []
        self.answer = Asked.QUEUED
        self.problem = ""
        self.missing = ""
        self.asked: list[object] = []

    def status(self, since: float = 0.0) -> Status:
        jobs = [{**job, "live": newer(job["live"], since)} for job in self.shown["jobs"]]
        return {**self.shown, "jobs": jobs}  # type: ignore[typeddict-item]  # {**}: likewise

    def job(self, name: str) -> Any:
        named = [job for job in self.shown["jobs"] if job["name"] == name]
        return {**named[0], "windows": self.windows, "changes": self.changes} if named else None

    def trend(self, name: str, seconds: int) -> TrendView | None:
        self.asked.append((name, seconds))
        if name not in {job["name"] for job in self.shown["jobs"]}:
            return None
        points = self.trends.get(name, [])
        every = seconds / 500
        return TrendView(job=name, until=NOW, seconds=seconds, every_seconds=every, points=points)

    def runs(self, job: str | None, limit: int, before: int | None) -> list[RunView]:
        self.asked.append((job, limit, before))
        wanted = (
            run
            for run in sorted(self.kept, key=lambda run: -run["id"])
            if job in (None, run["job"]) and (before is None or run["id"] < before)
        )
        return list(wanted)[:limit]

    def run(self, id: int) -> Any:
        found = [run for run in self.kept if run["id"] == id]
        result = {"benchmark": "write_throughput", "results": {"batch_10": {"ops": 18250.0}}}
        return {**found[0], "result": result} if found else None

    def run_now(self, name: str) -> Asked:
        self.asked.append(name)
        return self.answer

    def reload(self) -> str:
        self.asked.append("reload")
        return self.problem

    def ready(self) -> str:
        return self.missing


@pytest.fixture
def controls() -> ScriptedControls:
    """A soak that runs and a benchmark that ran four times."""
    return ScriptedControls()


@pytest.fixture
def registry() -> MetricRegistry:
    return MetricRegistry(now=lambda: NOW)


@pytest.fixture
def url(controls: ScriptedControls, registry: MetricRegistry) -> Iterator[str]:
    """Where the scripted daemon answers."""
    with HttpServer(daemon_app(controls, registry)) as server:
        yield server.url


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)


@pytest.fixture
def ask(url):
    def ask(path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=names)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    return ask


Views = dict[str, Callable[..., Any]]


@pytest.fixture
def make() -> Views:
    """What builds the views: ``make["soak"](leak=...)``."""
    return {
        "status": status,
        "soak": soak,
        "benchmark": benchmark,
        "run": run,
        "point": point,
        "trend_point": trend_point,
    }
