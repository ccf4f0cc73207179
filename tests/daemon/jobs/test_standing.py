"""How a job stands: states with their times, counts, and the metrics of the same."""

from typing import Any

import pytest

from agentmem_observe.daemon.jobs.standing import Standing
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.registry import MetricRegistry


class Now:
    """A wall clock that tests set."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def run(status: str, cause: str = "") -> Any:
    return {"status": status, "cause": cause, "ended_at": 123.0}


def values(registry: MetricRegistry, metric: catalog.Metric) -> dict[tuple[str, ...], Any]:
    families = {family.metric: family for family in registry.collect()}
    return {sample.labels: sample.value for sample in families[metric].samples}


def test_a_new_job_is_idle_and_its_counters_are_there_from_the_start() -> None:
    registry = MetricRegistry()

    standing = Standing("nightly", registry, now=Now())

    assert standing.view()["state"] == "idle"
    assert values(registry, catalog.JOB_RUNS) == {
        ("nightly", status): 0 for status in ("failed", "ok", "skipped")
    }
    assert values(registry, catalog.JOB_STATE)["nightly", "idle"] == 1


def test_the_time_of_a_state_is_when_it_was_entered_not_when_it_was_said_again() -> None:
    now = Now()
    standing = Standing("nightly", MetricRegistry(), now=now)

    now.seconds = 200.0
    standing.enter("backing_off", "redis is away")
    now.seconds = 300.0
    standing.enter("backing_off", "redis is still away")

    view = standing.view()
    assert (view["state_since"], view["problem"]) == (200.0, "redis is still away")


def test_what_a_run_was_doing_is_gone_with_it() -> None:
    standing = Standing("nightly", MetricRegistry(), now=Now())

    standing.enter("running")
    standing.progressed(0.5, "half way")
    standing.enter("idle")

    view = standing.view()
    assert (view["progress"], view["phase"]) == (None, "")


def test_failures_in_a_row_are_counted_until_a_good_run() -> None:
    registry = MetricRegistry()
    standing = Standing("nightly", registry, now=Now())

    standing.ended(run("failed", "killed"))
    standing.ended(run("failed", "hung"))
    assert standing.failures_in_a_row == 2
    assert values(registry, catalog.JOB_FAILURES_IN_A_ROW) == {("nightly",): 2}
    standing.ended(run("ok"))

    assert standing.failures_in_a_row == 0
    assert values(registry, catalog.JOB_FAILURES_IN_A_ROW) == {("nightly",): 0}
    assert values(registry, catalog.JOB_FAILURES) == {
        ("nightly", "hung"): 1,
        ("nightly", "killed"): 1,
    }
    assert values(registry, catalog.JOB_LAST_SUCCESS) == {("nightly",): 123.0}
    assert standing.view()["runs"] == {"ok": 1, "failed": 2, "skipped": 0}


def test_a_skipped_run_is_neither_a_failure_nor_a_success() -> None:
    registry = MetricRegistry()
    standing = Standing("nightly", registry, now=Now())

    standing.ended(run("failed", "error"))
    standing.ended(run("skipped"))

    assert standing.failures_in_a_row == 1
    with pytest.raises(KeyError):
        values(registry, catalog.JOB_LAST_SUCCESS)


def test_what_was_known_before_the_daemon_started_is_shown_and_not_counted_again() -> None:
    registry = MetricRegistry()
    standing = Standing("nightly", registry, now=Now())

    standing.recall(run("ok"))

    assert standing.view()["last_run"] == run("ok")
    assert standing.view()["runs"]["ok"] == 0
    assert values(registry, catalog.JOB_LAST_SUCCESS) == {("nightly",): 123.0}


def test_a_job_that_is_no_more_leaves_no_metrics() -> None:
    registry = MetricRegistry()
    standing = Standing("nightly", registry, now=Now())
    other = Standing("hourly", registry, now=Now())
    standing.skipped("overlap", 3)

    standing.forget()

    assert {labels[0] for labels in values(registry, catalog.JOB_SKIPPED)} == {"hourly"}
    assert other.view()["state"] == "idle"


def test_a_job_that_is_never_due_again_has_no_next_run() -> None:
    registry = MetricRegistry()
    standing = Standing("once", registry, now=Now())

    standing.due(500.0)
    before = values(registry, catalog.JOB_NEXT_RUN)
    standing.due(None)

    assert before == {("once",): 500.0}
    assert catalog.JOB_NEXT_RUN not in {family.metric for family in registry.collect()}
