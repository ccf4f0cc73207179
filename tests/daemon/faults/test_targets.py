"""Targets that die, freeze, leak or only look like it."""

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

REDIS_SERVER = shutil.which("redis-server")


@contextmanager
def redis(port: int, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [str(REDIS_SERVER), "--port", str(port), "--save", "", "--dir", str(directory)],
        stdout=subprocess.DEVNULL,
    ) as server:
        try:
            yield server
        finally:
            server.kill()


@pytest.mark.server
@pytest.mark.skipif(not REDIS_SERVER, reason="redis-server is not installed")
def test_a_redis_that_was_killed_is_soaked_again_when_it_is_back(
    new_daemon: Callable[..., Any],
    soak: Callable[..., str],
    benchmark: Callable[..., str],
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    target = f"redis://127.0.0.1:{port}/0"
    settings = soak(target=target) + benchmark(
        "asks", "asks", target=target, every="2s", retries=0
    )
    daemon = new_daemon(settings)

    with redis(port, tmp_path) as server:
        daemon.start()
        before = daemon.until_windows("steady", more=2)
        daemon.until("a run", lambda: daemon.runs("asks"))
        server.kill()
        daemon.until("two failures", lambda: daemon.job("steady")["failures_in_a_row"] >= 2)
        daemon.until("another", lambda: daemon.runs("asks")[-1]["status"] == "failed")
        away = daemon.job("steady")
    with redis(port, tmp_path):
        daemon.until(
            "a window", lambda: daemon.windows("steady")[-1]["soak"] != before[-1]["soak"]
        )
        after = daemon.until_windows("steady", more=2)
        daemon.until("a run", lambda: daemon.runs("asks")[-1]["status"] == "ok")
        back = daemon.job("steady")

    assert away["state"] in ("backing_off", "running")
    assert re.search(
        r"none of \d+ operations|cannot be stored|no Redis answers",
        daemon.runs("steady")[0]["reason"],
    )
    assert {run["cause"] for run in daemon.runs("steady")} == {"target"}
    assert {run["cause"] for run in daemon.runs("asks")} == {"target", ""}
    assert (back["failures_in_a_row"], back["problem"]) == (0, "")
    for window in (before[0], after[-1]):
        assert window["figures"]["failed_operations"] == 0
        assert window["figures"]["stored_records"] == 50
        assert window["figures"]["server_rss_bytes"] > 0
    assert after[: len(before)] == before
    assert back["leak"]["verdict"] in ("unknown", "none")


def test_a_freeze_of_the_target_shows_in_the_latency_and_restarts_nothing(
    new_daemon: Callable[..., Any], soak: Callable[..., str]
) -> None:
    # Windows begin anew when a freeze ends: 7.4 s later the eighth is not half over.
    frozen = "fake?freeze_every_seconds=11.4&freeze_for_seconds=4&freeze_first_seconds=5"
    daemon = new_daemon(soak(target=frozen, hang="5s")).start()

    # Not in the first one perhaps: that may come between two windows.
    frozen_windows = daemon.until("a freeze", lambda: _frozen(daemon.windows("steady")))
    (worker,) = daemon.workers()
    daemon.until_windows("steady", more=2)
    metrics = daemon.metrics()

    assert frozen_windows[0]["figures"]["failed_operations"] == 0
    assert daemon.runs("steady") == []
    assert list(daemon.workers()) == [worker]
    assert len({window["soak"] for window in daemon.windows("steady")}) == 1
    assert metrics("job_consecutive_failures", job_name="steady") == 0


def _frozen(windows: list[Any]) -> list[Any]:
    """Return the windows of which most operations waited in line, and some for seconds.

    To look at what they took once they were sent would hide the freeze.
    """
    return [
        window
        for window in windows
        if window["figures"]["latency_max_seconds"] >= 2.0
        and window["figures"]["service_time_p50_seconds"]
        < window["figures"]["latency_p50_seconds"] / 2
    ]


def test_a_leak_is_told_from_a_cache_that_fills(
    new_daemon: Callable[..., Any], soak: Callable[..., str]
) -> None:
    load = {"rate": 200, "records": 500}
    leaking = soak("leaking", target="fake?leaks_one_in=1", leak_windows=10, **load)
    filling = soak("filling", target="fault_targets:filling_cache", leak_windows=20, **load)
    daemon = new_daemon(leaking + filling).start()

    verdicts = {
        "leaking": ("leak", 0),
        "filling": ("none", 24),
    }
    for job, (verdict, fewest) in verdicts.items():
        daemon.until(
            f"{job}: {verdict}",
            lambda job=job, verdict=verdict, fewest=fewest: (
                len(daemon.windows(job)) >= fewest
                and (daemon.job(job)["leak"] or {}).get("verdict") == verdict
            ),
        )
    metrics = daemon.metrics()

    leak = daemon.job("leaking")["leak"]
    assert leak["bytes_per_operation"] > 0
    assert metrics("leak", benchmark="leaking", verdict="leak") == 1
    assert metrics("leak", benchmark="filling", verdict="none") == 1
    on_the_way = {window["figures"]["leak"] for window in daemon.windows("filling")}
    assert on_the_way <= {"unknown", "suspected", "none"}
    blocks = [window["figures"]["blocks"] for window in daemon.windows("filling")]
    third = len(blocks) // 3
    filled, after = blocks[third] - blocks[1], max(blocks[third:]) - min(blocks[third:])
    assert filled > 4 * after, "the cache did not fill while it was looked at"
