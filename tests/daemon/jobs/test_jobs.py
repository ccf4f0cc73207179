"""Job threads with real workers: due, asked for, failing, retried, judged, ended."""

import contextlib
import errno
import io
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.cli.logs import Log
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.daemon.controls import Asked
from agentmem_observe.daemon.jobs.backoff import Backoff
from agentmem_observe.daemon.jobs.loop import JobLoop, Services
from agentmem_observe.daemon.jobs.scheduled import ScheduledLoop
from agentmem_observe.daemon.jobs.soaks import SoakLoop
from agentmem_observe.daemon.schedule import Once, Trigger
from agentmem_observe.daemon.settings.values import BenchmarkJob, SoakJob
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.runs import RunMetrics

PATIENCE_SECONDS = 60
SUITE = """
from pathlib import Path

def benchmark_counted(fails: int = 0, marks: str = ""):
    mark = Path(marks) / "runs"
    runs = mark.read_text() + "x" if mark.exists() else "x"
    mark.write_text(runs)
    if len(runs) <= fails:
        raise RuntimeError("secret record")
    return {"runs": len(runs)}

def benchmark_other():
    return {"fine": True}
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def services(tmp_path: Path, said: list[str]) -> Iterator[Services]:
    def say(event: str, message: str, *, level: int = 0, **fields: Any) -> None:
        said.append(message)

    with State.open(tmp_path / "state") as state:
        yield Services(RunMetrics(MetricRegistry()), state, say, backoff=Backoff(0.01, 0.02))


class Due(Trigger):
    """Is due as often as it is told, and had passed so many times unseen."""

    def __init__(self, times: int, *, missed: int = 0, during: int = 0) -> None:
        self.times, self.missed, self.during = times, missed, during

    @property
    def next_due_at(self) -> float | None:
        return time.time() if self.times else None

    def wait_seconds(self) -> float:
        return 0.0 if self.times else math.inf

    def take(self) -> int:
        self.times -= 1
        return self.missed

    def skip(self) -> int:
        return self.during


def benchmark_job(tmp_path: Path, **changes: Any) -> BenchmarkJob:
    suite = tmp_path / "suite"
    suite.mkdir(exist_ok=True)
    (suite / "mine.py").write_text(SUITE)
    job = BenchmarkJob(
        name="nightly",
        target="fake",
        retention_seconds=None,
        operation_timeout_seconds=30,
        seed=1,
        category="mine",
        benchmark="counted",
        suites=(suite,),
        profile="quick",
        config_file=None,
        config=BenchmarkConfig(),
        params={"marks": str(tmp_path)},
        schedule=Once(),
        timeout_seconds=60,
        beside_others=False,
        retries=2,
    )
    return replace(job, **changes)


def soak_job(**changes: Any) -> SoakJob:
    job = SoakJob(
        name="checkout",
        target="fake",
        retention_seconds=None,
        operation_timeout_seconds=30,
        seed=1,
        rate=200,
        window_seconds=0.2,
        workers=1,
        records=20,
        mix={"create_memory": 1, "retrieve_memory": 1, "search_memory": 1},
        leak_windows=10,
        hang_seconds=30,
    )
    return replace(job, **changes)


def until(condition: Callable[[], object], loop: JobLoop) -> None:
    """Wait for a condition; fail with what is known of the job if it never comes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, loop.view()
        threading.Event().wait(0.02)


def ended(loop: JobLoop) -> None:
    """End a job and wait for its thread."""
    loop.end()
    assert loop.join(PATIENCE_SECONDS), loop.view()


def test_a_job_that_is_due_runs_and_leaves_its_result_its_row_and_its_standing(
    tmp_path: Path, services: Services
) -> None:
    loop = ScheduledLoop(benchmark_job(tmp_path), services, Due(1, missed=2))

    loop.start()
    until(lambda: loop.view()["state"] == "finished", loop)
    ended(loop)

    (row,) = services.state.runs()
    assert (row.job, row.category, row.benchmark, row.status) == (
        "nightly",
        "mine",
        "counted",
        "ok",
    )
    result = services.state.result(row)
    assert result is not None
    assert result["results"] == {"runs": 1}
    view = loop.view()
    assert view["last_run"] is not None
    assert view["last_run"]["id"] == row.id
    assert view["validity"] == {
        "verdict": row.validity,
        "reasons": result["metadata"]["validity"]["reasons"],
    }
    assert view["skipped"] == {"missed": 2, "overlap": 0}


def test_times_that_pass_during_a_run_are_skipped_and_counted(
    tmp_path: Path, services: Services
) -> None:
    loop = ScheduledLoop(benchmark_job(tmp_path), services, Due(1, during=3))

    loop.start()
    until(lambda: loop.view()["state"] == "finished", loop)
    ended(loop)

    assert len(services.state.runs()) == 1
    assert loop.view()["skipped"] == {"missed": 0, "overlap": 3}


def test_a_benchmark_that_fails_is_run_again_and_those_that_did_not_are_not(
    tmp_path: Path, services: Services, said: list[str]
) -> None:
    job = benchmark_job(tmp_path, benchmark=None, params={"marks": str(tmp_path), "fails": 2})
    loop = ScheduledLoop(job, services, Due(1))

    loop.start()
    until(lambda: loop.view()["state"] == "finished", loop)
    ended(loop)

    rows = [(row.benchmark, row.status, row.cause) for row in reversed(services.state.runs())]
    assert rows == [
        ("counted", "failed", "error"),
        ("other", "ok", ""),
        ("counted", "failed", "error"),
        ("counted", "ok", ""),
    ]
    assert not any("secret record" in sentence for sentence in said)


def test_a_job_that_goes_on_failing_waits_for_its_next_time(
    tmp_path: Path, services: Services
) -> None:
    job = benchmark_job(tmp_path, params={"marks": str(tmp_path), "fails": 99}, retries=1)
    loop = ScheduledLoop(job, services, Due(1))

    loop.start()
    until(lambda: loop.view()["state"] == "finished", loop)
    ended(loop)

    assert [row.status for row in services.state.runs()] == ["failed", "failed"]
    assert loop.view()["failures_in_a_row"] == 2


def test_a_job_may_be_asked_for_also_when_it_is_never_due(
    tmp_path: Path, services: Services
) -> None:
    loop = ScheduledLoop(benchmark_job(tmp_path), services, Due(0))
    loop.start()
    until(lambda: loop.view()["state"] == "finished", loop)

    assert loop.ask() is Asked.QUEUED
    until(lambda: services.state.runs(), loop)
    ended(loop)

    assert loop.ask() is Asked.ENDING


def test_a_job_that_is_to_end_starts_no_further_benchmark(
    tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = benchmark_job(tmp_path, benchmark=None)
    loop = ScheduledLoop(job, services, Due(1))
    keep = State.save_run

    def ends_with_the_first(self: State, row: Any) -> Any:
        loop.end()
        return keep(self, row)

    monkeypatch.setattr(State, "save_run", ends_with_the_first)

    loop.start()
    assert loop.join(PATIENCE_SECONDS)

    assert [row.benchmark for row in services.state.runs()] == ["counted"]


def test_a_run_that_was_interrupted_is_due_again(tmp_path: Path, services: Services) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "slow.py").write_text(
        "import time\n\ndef benchmark_endless():\n    time.sleep(3600)\n"
    )
    job = benchmark_job(tmp_path, category="slow", benchmark="endless", params={})
    loop = ScheduledLoop(job, services)

    loop.start()
    until(lambda: loop.view()["state"] == "running", loop)
    loop.abandon()
    assert loop.join(PATIENCE_SECONDS)

    assert [row.cause for row in services.state.runs()] == ["interrupted"]
    assert services.state.last_started("nightly") is None


def test_a_job_that_is_due_again_makes_way_for_its_next_run(
    tmp_path: Path, services: Services
) -> None:
    job = benchmark_job(tmp_path, params={"marks": str(tmp_path), "fails": 1}, retries=99)
    loop = ScheduledLoop(job, services, Due(2))

    loop.start()
    until(lambda: loop.view()["state"] == "finished", loop)
    ended(loop)

    statuses = [row.status for row in reversed(services.state.runs())]
    assert statuses == ["failed", "ok"]
    assert loop.view()["skipped"] == {"missed": 0, "overlap": 0}


def test_what_is_said_to_nobody_costs_no_run(tmp_path: Path, services: Services) -> None:
    class Nobody(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    log = Log()
    with contextlib.redirect_stderr(Nobody()):
        loop = ScheduledLoop(benchmark_job(tmp_path), replace(services, say=log.say), Due(1))
        loop.start()
        until(lambda: loop.view()["state"] == "finished", loop)
        ended(loop)

    assert [row.status for row in services.state.runs()] == ["ok"]
    assert log.unsaid == 1


def test_a_job_waits_while_a_soak_is_in_a_window_and_ends_without_having_run(
    tmp_path: Path, services: Services
) -> None:
    services.host.share("a soak")
    loop = ScheduledLoop(benchmark_job(tmp_path), services, Due(1))

    loop.start()
    until(lambda: loop.view()["state"] == "waiting", loop)
    assert loop.ask() is Asked.ALREADY
    ended(loop)

    assert services.state.runs() == []


def test_a_job_beside_others_does_not_wait(tmp_path: Path, services: Services) -> None:
    services.host.share("a soak")
    loop = ScheduledLoop(benchmark_job(tmp_path, beside_others=True), services, Due(1))

    loop.start()
    until(lambda: services.state.runs(), loop)
    ended(loop)


def test_a_defect_of_ours_is_told_and_the_job_goes_on(
    tmp_path: Path, services: Services, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = State.save_run
    broken = iter([True])

    def breaks_once(self: State, row: Any) -> Any:
        if next(broken, False):
            raise RuntimeError("a defect")
        return keep(self, row)

    monkeypatch.setattr(State, "save_run", breaks_once)
    loop = ScheduledLoop(benchmark_job(tmp_path), services, Due(2))

    loop.start()
    until(lambda: services.state.runs(), loop)
    ended(loop)

    assert any("a defect of agentmem-observe" in sentence for sentence in said)


def test_a_soak_keeps_and_judges_its_windows_until_it_is_ended(services: Services) -> None:
    loop = SoakLoop(soak_job(), services)

    loop.start()
    until(lambda: len(services.state.windows("checkout")) >= 3, loop)
    ended(loop)

    windows = services.state.windows("checkout")
    assert [window.number for window in windows][:3] == [1, 2, 3]
    assert len({window.soak for window in windows}) == 1
    assert windows[0].figures["operations"] >= 40
    assert windows[0].figures["failed_operations"] == 0
    assert windows[0].figures["latency_p50_seconds"] > 0
    view = loop.view()
    assert view["leak"] is not None
    assert view["leak"]["verdict"] == "unknown"
    (row,) = services.state.runs()
    assert (row.category, row.benchmark, row.status) == ("soak", "checkout", "ok")


def test_a_soak_lets_a_benchmark_have_the_host_between_two_windows(
    tmp_path: Path, services: Services
) -> None:
    soak = SoakLoop(soak_job(), services)
    benchmark = ScheduledLoop(benchmark_job(tmp_path), services, Due(1))

    soak.start()
    until(lambda: services.state.windows("checkout"), soak)
    benchmark.start()
    until(lambda: services.state.runs("nightly"), benchmark)
    before = len(services.state.windows("checkout"))
    until(lambda: len(services.state.windows("checkout")) > before + 1, soak)
    ended(benchmark)
    ended(soak)

    (row,) = services.state.runs("nightly")
    windows = services.state.windows("checkout")
    assert not any(
        window.started_at < row.ended_at and row.started_at < window.ended_at for window in windows
    ), "a window and the benchmark ran at the same time"
    assert len({window.soak for window in windows}) == 1, "its worker was kept"


def test_a_soak_whose_worker_fails_starts_another_one(services: Services) -> None:
    loop = SoakLoop(soak_job(target="fake?dies_at=400"), services)

    loop.start()
    until(lambda: len({w.soak for w in services.state.windows("checkout")}) >= 2, loop)
    ended(loop)

    causes = {row.cause for row in services.state.runs() if row.status == "failed"}
    assert causes == {"killed"}


def test_a_soak_that_leaks_is_found_out(services: Services) -> None:
    job = soak_job(target="fake?leaks_one_in=20", rate=400, window_seconds=0.5)
    loop = SoakLoop(job, services)

    loop.start()
    until(lambda: loop.leak is not None and loop.leak.verdict == "leak", loop)
    ended(loop)

    view = loop.view()
    assert view["leak"] is not None
    assert view["leak"]["reasons"]


def test_a_soak_cannot_be_asked_for(services: Services) -> None:
    assert SoakLoop(soak_job(), services).ask() is Asked.NOT_POSSIBLE
