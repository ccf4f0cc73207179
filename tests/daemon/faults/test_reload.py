"""Settings that change, well or badly, while the daemon runs."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_settings_with_an_error_change_nothing(
    new_daemon: Callable[..., Any], soak: Callable[..., str]
) -> None:
    daemon = new_daemon(soak()).start()
    (worker,) = daemon.until("a worker", daemon.workers)
    loaded_at = daemon.status()["settings"]["loaded_at"]

    daemon.configure(soak(rate=-1) + "[jobs.nightly]\nevery = true\n")
    refused = daemon.post("/-/reload")
    daemon.signal(signal.SIGHUP)
    daemon.until("two refusals", lambda: len(daemon.said("settings_refused")) == 2)
    daemon.until_windows("steady", more=2)
    settings = daemon.status()["settings"]

    assert refused.status_code == 400
    for text in (refused.json()["error"], settings["problem"]):
        assert "daemon.toml: jobs.steady.rate: expected a number above 0" in text
        assert "daemon.toml: jobs.nightly" in text
    assert settings["loaded_at"] == loaded_at
    assert daemon.metrics()("daemon_settings_last_reload_success") == 0
    assert [job["name"] for job in daemon.status()["jobs"]] == ["steady"]
    assert list(daemon.workers()) == [worker]


def test_good_settings_restart_only_the_jobs_that_they_change(
    new_daemon: Callable[..., Any], soak: Callable[..., str], benchmark: Callable[..., str]
) -> None:
    daemon = new_daemon(soak("stays") + soak("changes") + soak("goes")).start()
    for job in ("stays", "changes", "goes"):
        daemon.until_windows(job)
    before = set(daemon.workers())
    daemon.configure("not even TOML")
    daemon.signal(signal.SIGHUP)
    daemon.until("a refusal", lambda: daemon.status()["settings"]["problem"])

    daemon.configure(soak("stays") + soak("changes", rate=30) + benchmark("comes"))
    daemon.signal(signal.SIGHUP)
    daemon.until("a run of the new job", lambda: daemon.said("job_ended", job="comes"))
    daemon.until("the other rate", lambda: "30 op" in daemon.job("changes")["what"])
    daemon.until_windows("changes")
    daemon.until("two workers", lambda: len(daemon.workers()) == 2)
    metrics = daemon.metrics()

    assert daemon.status()["settings"]["problem"] == ""
    assert metrics("daemon_settings_last_reload_success") == 1
    assert len(before & set(daemon.workers())) == 1
    assert len({window["soak"] for window in daemon.windows("stays")}) == 1
    assert len({window["soak"] for window in daemon.windows("changes")}) == 2
    assert [run["status"] for run in daemon.runs("goes")] == ["ok"]
    assert daemon.get("/api/v1/jobs/goes").status_code == 404
    assert metrics.names(job_name="goes") == set()
    assert metrics.names(benchmark="goes") == set()
    assert metrics.names(job_name="stays") != set()
    assert metrics.names(benchmark="stays") != set()


def test_a_job_that_is_put_back_before_it_has_gone_goes_on(
    new_daemon: Callable[..., Any],
    soak: Callable[..., str],
    benchmark: Callable[..., str],
    tmp_path: Path,
) -> None:
    under_way = benchmark("slow", "endless", params={"until": str(tmp_path / "over")})
    daemon = new_daemon(soak() + soak("goes") + under_way).start()
    daemon.until_windows("goes")
    daemon.until("a run", lambda: daemon.job("slow")["state"] == "running")

    daemon.configure(soak())
    assert daemon.post("/-/reload").status_code == 200
    daemon.until("only two workers", lambda: len(daemon.workers()) == 2)
    daemon.configure(soak() + under_way)
    assert daemon.post("/-/reload").status_code == 200
    (tmp_path / "over").touch()
    daemon.until("its run's end", lambda: daemon.job("slow")["state"] == "idle")
    assert daemon.post("/api/v1/jobs/slow/run").status_code == 202
    daemon.until("another run", lambda: len(daemon.runs("slow")) == 2)

    assert {run["status"] for run in daemon.runs("slow")} == {"ok"}
    assert len({window["soak"] for window in daemon.windows("steady")}) == 1
