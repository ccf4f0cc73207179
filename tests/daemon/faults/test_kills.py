"""SIGKILL of the daemon, at any moment: at the most the window in flight is lost."""

import random
from collections.abc import Callable
from typing import Any

import pytest

KILLS = 8
LONGEST_LIFE = 25  # moments
EVERY_SECONDS = 3600.0


@pytest.fixture
def settings(soak: Callable[..., str], benchmark: Callable[..., str]) -> str:
    # The endless one looks at no pipe: it ends with the daemon only if the kernel sees to it.
    endless = benchmark("endless", "endless", every="1s")
    hourly = benchmark("hourly", every=EVERY_SECONDS)
    return 'shutdown = "1s"\n' + soak() + benchmark(every="1s") + hourly + endless


def test_nothing_that_was_shown_is_lost_whenever_the_daemon_is_killed(
    new_daemon: Callable[..., Any], settings: str
) -> None:
    chance = random.Random(7)
    daemon = new_daemon(settings)
    windows: dict[tuple[str, int], Any] = {}
    runs: dict[int, Any] = {}
    due_at = set()

    daemon.start()
    daemon.until("a run", lambda: daemon.runs("hourly"))
    daemon.until("its end", lambda: daemon.job("hourly")["state"] == "idle")
    for _ in range(KILLS):
        for _ in daemon.moments(chance.randint(0, LONGEST_LIFE)):
            _look(daemon, windows, runs)
        due_at.add(daemon.job("hourly")["next_due_at"])
        daemon.kill()
        daemon.no_process_is_left()
        daemon.start()

    left_windows, left_runs = daemon.windows("steady"), daemon.runs()
    assert [window for window in windows.values() if window not in left_windows] == []
    assert [run for run in runs.values() if run not in left_runs] == []
    assert all(daemon.json(f"runs/{run}")["result"] for run in runs)
    assert len(daemon.runs("hourly")) == 1, "it ran again after a start"
    assert max(due_at) - min(due_at) < EVERY_SECONDS / 2, "its hour began anew"
    assert windows
    assert {run["job"] for run in runs.values()} == {"often", "hourly"}
    assert daemon.status()["disk"]["problem"] == ""
    assert daemon.stop() == 0


def _look(daemon: Any, windows: dict[Any, Any], runs: dict[int, Any]) -> None:
    windows |= {_key(window): window for window in daemon.windows("steady")}
    runs |= {run["id"]: run for run in daemon.runs()}


def _key(window: dict[str, Any]) -> tuple[str, int]:
    return window["soak"], window["number"]
