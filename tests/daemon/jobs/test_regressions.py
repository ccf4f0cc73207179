"""A job's own past: judged after each run by real workers, and again after a restart."""

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.analysis.changes import judge_history
from agentmem_observe.analysis.validity import Validity
from agentmem_observe.bench import document
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.daemon.jobs import regressions
from agentmem_observe.daemon.jobs.backoff import Backoff
from agentmem_observe.daemon.jobs.confirming import Confirmation, Confirming
from agentmem_observe.daemon.jobs.loop import Services
from agentmem_observe.daemon.jobs.scheduled import ScheduledLoop
from agentmem_observe.daemon.schedule import Once
from agentmem_observe.daemon.settings.values import BenchmarkJob
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import JOB, RunRow
from agentmem_observe.results.figures import Figure
from agentmem_observe.results.history import PastRun
from agentmem_observe.results.identity import RunIdentity
from agentmem_observe.results.trends import Trend
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.runs import RunKey, RunMetrics
from tests.nights import SUITE, TARGET, remember

PATIENCE_SECONDS = 60
FIGURE = "mine.reading.service_time_p50_seconds"


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust every run, however busy this host is."""
    monkeypatch.setattr(document, "judge", lambda evidence: Validity("valid", ()))


@pytest.fixture
def said() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def services(tmp_path: Path, said: list[tuple[str, str]]) -> Iterator[Services]:
    def say(event: str, message: str, *, level: int = 0, **fields: Any) -> None:
        said.append((event, message))

    with State.open(tmp_path / "state") as state:
        yield Services(RunMetrics(MetricRegistry()), state, say, backoff=Backoff(0.01, 0.02))


@pytest.fixture
def takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that says how long the target takes from now on."""
    seconds = tmp_path / "seconds"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scripted.py").write_text(TARGET.format(seconds=str(seconds)))
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "mine.py").write_text(SUITE)

    def take(value: float) -> None:
        seconds.write_text(str(value))

    take(0.002)
    return take


@pytest.fixture
def job(tmp_path: Path, takes: Callable[[float], None]) -> BenchmarkJob:
    return BenchmarkJob(
        name="nightly",
        target="scripted:make",
        retention_seconds=None,
        operation_timeout_seconds=30,
        seed=1,
        category="mine",
        benchmark="reading",
        suites=(tmp_path / "suite",),
        profile="quick",
        config_file=None,
        config=BenchmarkConfig(),
        params={},
        schedule=Once(),
        timeout_seconds=60,
        beside_others=True,
        retries=0,
    )


def run(loop: ScheduledLoop, times: int) -> None:
    """Have the job run, by real workers, and wait for it."""
    for _ in range(times):
        before = loop.view()["runs"]["ok"]
        until(lambda: loop.ask().name == "QUEUED", loop)
        until(lambda before=before: loop.view()["runs"]["ok"] > before, loop)
        until(lambda: loop.view()["state"] == "finished", loop)


def until(condition: Callable[[], object], loop: ScheduledLoop) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, loop.view()
        threading.Event().wait(0.02)


def ended(loop: ScheduledLoop) -> None:
    loop.end()
    assert loop.join(PATIENCE_SECONDS), loop.view()


def repeat(services: Services, times: int, spread: float = 0.02) -> None:
    """Keep the newest run so many times more, as of the nights before."""
    remember(services.state, "nightly", times, spread=spread, vcs={"commit": "a" * 40})


def metrics(services: Services) -> dict[str, Any]:
    """Return what is exported of verdicts, by name and last label."""
    return {
        (family.metric.name.removeprefix("agentmem_"), sample.labels[-1]): sample.value
        for family in services.metrics.registry.collect()
        if "regression" in family.metric.name
        for sample in family.samples
    }


def test_the_first_runs_are_too_few_to_be_judged(job: BenchmarkJob, services: Services) -> None:
    loop = ScheduledLoop(job, services)
    loop.start()

    until(lambda: loop.view()["state"] == "finished", loop)
    ended(loop)

    view = loop.view()["regression"]
    assert view is not None
    assert view["verdict"] == "inconclusive"
    assert view["reasons"] == ["too few runs: 1 (limit 13, and 18 for small changes); run more"]
    assert metrics(services)["regression", "inconclusive"] == 1


def test_a_target_that_becomes_slower_is_called_after_three_runs_and_after_a_restart(
    job: BenchmarkJob,
    services: Services,
    said: list[tuple[str, str]],
    takes: Callable[[float], None],
) -> None:
    loop = ScheduledLoop(job, services)
    loop.start()
    until(lambda: loop.view()["state"] == "finished", loop)
    repeat(services, times=30)

    takes(0.01)
    run(loop, times=3)
    ended(loop)

    view = loop.view()["regression"]
    assert view is not None
    assert (view["verdict"], view["figure"]) == ("worse", FIGURE)
    assert view["ratio"] is not None
    assert view["ratio"] > 2
    assert view["reasons"][0].startswith(f"{FIGURE}: worse, +")
    assert [event for event, _ in said].count("regression") == 1
    exported = metrics(services)
    assert exported["regression", "worse"] == 1
    assert exported["regression_ratio", "reading"] == view["ratio"]
    assert exported["regression_change_timestamp_seconds", "reading"] == view["changed_at"]
    (change,) = loop.changes()
    assert (change["figure"], change["direction"], change["at"]) == (
        FIGURE,
        "worse",
        view["changed_at"],
    )

    again = ScheduledLoop(job, replace(services, metrics=RunMetrics(MetricRegistry())))
    again.start()
    until(lambda: again.view()["regression"] is not None, again)
    ended(again)

    assert again.view()["regression"] == view


def test_a_job_that_is_no_more_calls_nobody(job: BenchmarkJob, services: Services) -> None:
    loop = ScheduledLoop(job, services)
    loop.start()
    until(lambda: loop.view()["regression"] is not None, loop)
    ended(loop)

    loop.forget()

    assert metrics(services) == {}
    assert loop.view()["regression"] is None


def test_a_void_run_is_not_judged(
    job: BenchmarkJob, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "judge", lambda evidence: Validity("void", ("busy",)))
    loop = ScheduledLoop(job, services)

    loop.start()
    until(lambda: loop.view()["state"] == "finished", loop)
    ended(loop)

    assert [row.validity for row in services.state.runs()] == ["void"]
    assert loop.view()["regression"] is None
    assert metrics(services) == {}


def test_a_defect_in_judging_costs_a_verdict_and_no_run(
    job: BenchmarkJob,
    services: Services,
    said: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(regressions, "read_history", broken)
    loop = ScheduledLoop(job, services)

    loop.start()
    until(lambda: loop.view()["state"] == "finished", loop)
    ended(loop)

    assert [row.status for row in services.state.runs()] == ["ok"]
    assert loop.view()["failures_in_a_row"] == 0
    assert any(event == "judging_broken" and "a defect" in text for event, text in said)


def test_only_so_many_results_are_read_again(
    job: BenchmarkJob, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = ScheduledLoop(job, services)
    loop.start()
    until(lambda: loop.view()["state"] == "finished", loop)
    ended(loop)
    repeat(services, times=30)
    read: list[object] = []
    load = State.result

    def counted(self: State, row: RunRow) -> dict[str, Any] | None:
        read.append(row)
        return load(self, row)

    monkeypatch.setattr(regressions, "MOST_RUNS", 20)
    monkeypatch.setattr(State, "result", counted)

    judging = regressions.Regressions("nightly", loop.target, services.state, services.metrics)
    judging.judge("mine", "reading")

    assert len(read) == 20


def test_what_a_job_once_ran_with_other_parameters_is_not_judged(
    job: BenchmarkJob, services: Services
) -> None:
    loop = ScheduledLoop(job, services)
    loop.start()
    until(lambda: loop.view()["state"] == "finished", loop)
    ended(loop)
    (row,) = services.state.runs("nightly")
    result = services.state.result(row)
    assert result is not None
    result["metadata"] |= {"params": {"size": 9}, JOB: "nightly"}
    path = services.state.results("nightly").save_document(result)
    services.state.save_run(replace(row, path=path))

    judging = regressions.Regressions("nightly", loop.target, services.state, services.metrics)
    judging.judge("mine", "reading")

    view = judging.view()
    assert view is not None
    assert view["reasons"][0].startswith("too few runs: 1 ")


# A confirming duel


def same_code(job: BenchmarkJob) -> BenchmarkJob:
    """Return a job whose last good version is the very one that runs."""
    return replace(job, confirm_python=sys.executable)


def slower(services: Services) -> Trend:
    """Return how the figure of thirty nights stands after a step."""
    levels = [math.log(0.002) + 0.01 * ((night + 2) % 5) for night in range(30)]
    runs = [PastRun(f"{n}", float(n), "", {}, {FIGURE: 1.0}) for n in range(36)]
    judgement = judge_history([*levels, *[level + 0.3 for level in levels[:6]]], "lower")
    identity = RunIdentity("mine", "reading", "scripted:make", "{}")
    figure = Figure("service_time_<p>_seconds", "seconds", "lower")
    return Trend(identity, FIGURE, figure, tuple(runs), (), judgement, (), 0.05)


@pytest.mark.parametrize(
    ("confirmation", "verdict"),
    [
        (None, "worse"),
        (Confirmation(True, "a duel says worse"), "worse"),
        (Confirmation(None, "no duel could be fought"), "worse"),
        (Confirmation(False, "a duel says same"), "inconclusive"),
    ],
    ids=["not asked", "confirmed", "not fought", "not confirmed"],
)
def test_what_a_duel_does_not_confirm_is_not_called_worse(
    services: Services, confirmation: Confirmation | None, verdict: str
) -> None:
    asked: list[float] = []

    def confirm(run: RunKey, changed_at: float) -> Confirmation | None:
        asked.append(changed_at)
        return confirmation

    judging = regressions.Regressions(
        "nightly", "scripted:make", services.state, services.metrics, confirm
    )
    (trend,) = judging._confirmed(RunKey("scripted:make", "mine", "reading"), [slower(services)])

    assert asked == [30.0]
    assert trend.verdict == verdict
    if confirmation is not None:
        assert trend.judgement.reason.endswith(f"; {confirmation.reason}")


def test_a_duel_of_equals_is_fought_once_and_kept_over_a_restart(
    job: BenchmarkJob, services: Services, takes: Callable[[float], None]
) -> None:
    takes(0.0001)
    run = RunKey("scripted:make", "mine", "reading")

    first = Confirming(same_code(job), services.state, threading.Event()).confirm(run, 1.0)
    again = Confirming(same_code(job), services.state, threading.Event()).confirm(run, 1.0)

    assert first is not None
    assert first.confirmed is False
    assert f"against {sys.executable} says " in first.reason
    assert again == first
    (row,) = services.state.runs("nightly")
    assert (row.category, row.benchmark, row.status) == ("duel", "duel", "ok")
    kept = services.state.result(row)
    assert kept is not None
    assert kept["metadata"]["confirms"] == run._asdict()


def test_a_duel_that_cannot_be_fought_silences_nobody(
    job: BenchmarkJob, services: Services, takes: Callable[[float], None]
) -> None:
    broken = replace(job, confirm_python="/nowhere/python")

    found = Confirming(broken, services.state, threading.Event()).confirm(
        RunKey("scripted:make", "mine", "reading"), 1.0
    )

    assert found is not None
    assert found.confirmed is None
    assert found.reason.startswith("no duel could be fought to confirm it: ")
    assert services.state.runs() == []


def test_a_job_that_is_to_end_gives_its_duel_up(
    job: BenchmarkJob, services: Services, takes: Callable[[float], None]
) -> None:
    ending = threading.Event()
    ending.set()

    found = Confirming(same_code(job), services.state, ending).confirm(
        RunKey("scripted:make", "mine", "reading"), 1.0
    )

    assert found is not None
    assert found.reason.endswith("the job was about to end")
    assert services.state.runs() == []
