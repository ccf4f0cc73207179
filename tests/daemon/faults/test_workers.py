"""Workers that are killed, stopped or starved: the daemon counts, waits and replaces them."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_killed_workers_are_counted_and_replaced(
    new_daemon: Callable[..., Any],
    soak: Callable[..., str],
    benchmark: Callable[..., str],
    tmp_path: Path,
) -> None:
    endless = benchmark("stuck", "endless", params={"until": str(tmp_path / "over")})
    daemon = new_daemon(soak() + benchmark("done") + endless).start()
    daemon.until("a result", lambda: daemon.runs("done"))
    windows = daemon.until_windows("steady")
    workers = daemon.until("only two workers", lambda: _so_many(2, daemon.workers()))

    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    jobs = daemon.until("both back off", lambda: _so_many(2, _in_state("backing_off", daemon)))
    failures = daemon.metrics()
    (tmp_path / "over").touch()
    after = daemon.until_windows("steady")
    daemon.until("a good run", lambda: daemon.runs("stuck")[-1]["status"] == "ok")

    assert all("SIGKILL" in job["problem"] for job in jobs)
    for job in ("steady", "stuck"):
        assert failures("job_failures_total", cause="killed", job_name=job) == 1
        assert failures("job_consecutive_failures", job_name=job) == 1
        assert daemon.metrics()("job_consecutive_failures", job_name=job) == 0
    assert [run["cause"] for run in daemon.runs("stuck")] == ["killed", ""]
    assert [run["cause"] for run in daemon.runs("steady")] == ["killed"]
    assert all(daemon.json(f"runs/{run['id']}")["result"] for run in daemon.runs())
    assert after[: len(windows)] == windows
    assert len({window["soak"] for window in after}) == 2
    assert daemon.stop() == 0


def test_a_stopped_worker_of_a_soak_is_replaced(
    new_daemon: Callable[..., Any], soak: Callable[..., str]
) -> None:
    daemon = new_daemon(soak(hang="5s")).start()
    daemon.until_windows("steady")
    (worker,) = daemon.workers()

    os.kill(worker, signal.SIGSTOP)
    (run,) = daemon.until("its end", lambda: daemon.runs("steady"))
    after = daemon.until_windows("steady")

    assert (run["status"], run["cause"]) == ("failed", "hung")
    assert "said nothing for 5.00 s" in run["reason"]
    assert daemon.metrics()("job_failures_total", cause="hung", job_name="steady") == 1
    assert worker not in daemon.processes()
    assert len({window["soak"] for window in after}) == 2


def test_a_daemon_that_was_stopped_blames_nobody(
    new_daemon: Callable[..., Any], soak: Callable[..., str], benchmark: Callable[..., str]
) -> None:
    # The other one's windows tell the time.
    settings = soak(hang="5s") + benchmark(every="2s")
    daemon, other = new_daemon(settings).start(), new_daemon(soak()).start()
    daemon.until_windows("steady")
    daemon.until("a run", lambda: daemon.runs("often"))
    runs = len(daemon.runs("often"))

    daemon.signal(signal.SIGSTOP)
    other.until_windows("steady", more=7)
    daemon.signal(signal.SIGCONT)
    windows = daemon.until_windows("steady", more=2)
    daemon.until("two more runs", lambda: len(daemon.runs("often")) > runs + 1)

    assert daemon.runs("steady") == []
    assert len({window["soak"] for window in windows}) == 1
    assert sum(daemon.job("often")["skipped"].values()) >= 1
    assert {run["status"] for run in daemon.runs("often")} == {"ok"}


def test_what_runs_out_of_memory_says_so(
    new_daemon: Callable[..., Any], benchmark: Callable[..., str]
) -> None:
    hungry = benchmark("hungry", "hungry", retries=0) + benchmark(
        "slaughtered", "slaughtered", retries=0
    )
    daemon = new_daemon(hungry).start()

    daemon.until("both runs", lambda: _so_many(2, daemon.runs()))

    assert {run["job"]: run["cause"] for run in daemon.runs()} == {
        "hungry": "out_of_memory",
        "slaughtered": "killed",
    }
    assert "the kernel does that when memory runs out" in daemon.runs("slaughtered")[0]["reason"]
    metrics = daemon.metrics()
    assert metrics("job_failures_total", cause="out_of_memory", job_name="hungry") == 1
    assert metrics("job_failures_total", cause="killed", job_name="slaughtered") == 1
    assert {job["state"] for job in daemon.status()["jobs"]} == {"idle"}


def test_a_suite_that_is_away_for_a_while_costs_the_runs_of_that_while(
    new_daemon: Callable[..., Any], benchmark: Callable[..., str], tmp_path: Path
) -> None:
    suite, away = tmp_path / "suite", tmp_path / "away"
    suite.mkdir()
    (suite / "faulty.py").write_text("def benchmark_quick():\n    return {'fine': True}\n")
    daemon = new_daemon(benchmark(suites=[str(suite)], every="1s")).start()
    daemon.until("a run", lambda: daemon.runs("often"))

    suite.rename(away)
    daemon.until("a failure", lambda: daemon.runs("often")[-1]["status"] == "failed")
    failed = daemon.runs("often")[-1]
    away.rename(suite)
    daemon.until("a good run", lambda: daemon.runs("often")[-1]["status"] == "ok")

    assert failed["reason"].startswith(f"no such suite directory: {str(suite)!r}")
    assert daemon.metrics()("job_failures_total", cause="error", job_name="often") >= 1
    assert daemon.said("job_broken") == []


def _so_many(count: int, found: Any) -> Any:
    return found if len(found) == count else None


def _in_state(state: str, daemon: Any) -> list[dict[str, Any]]:
    return [job for job in daemon.status()["jobs"] if job["state"] == state]
