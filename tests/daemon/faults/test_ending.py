"""SIGTERM at awkward moments, and two daemons on one state directory."""

import signal
from collections.abc import Callable
from typing import Any

GRACE = 'shutdown = "3s"\n'


def test_it_ends_well_whatever_it_is_at(
    new_daemon: Callable[..., Any], soak: Callable[..., str], benchmark: Callable[..., str]
) -> None:
    frozen = "fake?freeze_every_seconds=3600&freeze_for_seconds=1800&freeze_first_seconds=2"
    at_work = {
        "starting": new_daemon(GRACE + soak()).spawn(),
        "in a window": new_daemon(GRACE + soak(window="60s")).start(),
        "in a frozen window": new_daemon(GRACE + soak(window="60s", target=frozen)).start(),
        "in a benchmark": new_daemon(GRACE + benchmark("stuck", "endless")).start(),
        "backing off": new_daemon(
            GRACE + soak(target="redis://127.0.0.1:1/0") + benchmark("bad", "slaughtered")
        ).start(),
        "reloading": new_daemon(GRACE + soak()).start(),
    }
    _until_awkward(at_work)

    for daemon in at_work.values():
        daemon.signal(signal.SIGTERM)
    codes = {name: daemon.wait() for name, daemon in at_work.items()}

    # Before it can answer for anything, it ends as any program does.
    assert codes.pop("starting") in (0, -signal.SIGTERM)
    assert set(codes.values()) == {0}, codes
    for name, daemon in at_work.items():
        daemon.no_process_is_left()
        assert not (daemon.state / "endpoint.json").exists(), name
        assert daemon.said("job_broken") == [], name
    ended = {name: _ended(daemon) for name, daemon in at_work.items()}
    assert ended["in a window"] == [("steady", "ok", "")]
    assert ended["in a frozen window"] == [("steady", "failed", "interrupted")]
    assert ended["in a benchmark"] == [("stuck", "failed", "interrupted")]
    assert {job: cause for job, _, cause in ended["backing off"]} == {
        "steady": "target",
        "bad": "killed",
    }


def _until_awkward(at_work: dict[str, Any]) -> None:
    for name, job in {"in a window": "steady", "in a frozen window": "steady"}.items():
        at_work[name].until("operations", lambda name=name, job=job: _measures(at_work[name], job))
    benchmark = at_work["in a benchmark"]
    benchmark.until("a run", lambda: benchmark.job("stuck")["state"] == "running")
    failing = at_work["backing off"]
    failing.until(
        "both back off",
        lambda: {job["state"] for job in failing.status()["jobs"]} == {"backing_off"},
    )
    changing = at_work["reloading"]
    changing.until_windows("steady")
    changing.signal(signal.SIGHUP)


def _measures(daemon: Any, job: str) -> bool:
    return any(point["ok_per_second"] for point in daemon.job(job)["live"]["points"])


def _ended(daemon: Any) -> list[tuple[str, str, str]]:
    return [(each["job"], each["status"], each["cause"]) for each in daemon.said("job_ended")]


def test_what_was_measured_until_the_end_can_be_read_by_the_next_daemon(
    new_daemon: Callable[..., Any], soak: Callable[..., str], benchmark: Callable[..., str]
) -> None:
    daemon = new_daemon(GRACE + soak() + benchmark("stuck", "endless")).start()
    windows = daemon.until_windows("steady")
    daemon.until("a run", lambda: daemon.job("stuck")["state"] == "running")

    assert daemon.stop() == 0
    daemon.start()

    assert daemon.windows("steady")[: len(windows)] == windows
    runs = daemon.runs("steady") + daemon.runs("stuck")
    assert [run["cause"] for run in runs] == ["", "interrupted"]
    assert all(daemon.json(f"runs/{run['id']}")["result"] for run in runs)


def test_a_second_signal_ends_it_without_waiting(
    new_daemon: Callable[..., Any], benchmark: Callable[..., str]
) -> None:
    daemon = new_daemon('shutdown = "1h"\n' + benchmark("stuck", "endless")).start()
    daemon.until("a run", lambda: daemon.job("stuck")["state"] == "running")

    daemon.signal(signal.SIGTERM)
    daemon.until("it takes leave", lambda: daemon.get("/readyz").status_code == 503)
    daemon.signal(signal.SIGTERM)
    code = daemon.wait()

    assert code == 0
    daemon.no_process_is_left()
    assert not (daemon.state / "endpoint.json").exists()
    assert _ended(daemon) == [("stuck", "failed", "interrupted")]


def test_a_second_daemon_on_the_same_state_is_refused(
    new_daemon: Callable[..., Any], soak: Callable[..., str]
) -> None:
    first = new_daemon(soak()).start()
    first.until_windows("steady")
    endpoint = (first.state / "endpoint.json").read_bytes()
    second = new_daemon(soak())
    second.state = first.state

    code = second.spawn().wait()

    assert code == 1
    (refusal,) = second.said("command_failed")
    assert f"another daemon uses it, process {first.pid}; end it" in refusal["message"]
    assert "--state-dir" in refusal["message"]
    assert (first.state / "endpoint.json").read_bytes() == endpoint
    first.until_windows("steady")
    assert len({window["soak"] for window in first.windows("steady")}) == 1
    assert first.stop() == 0
