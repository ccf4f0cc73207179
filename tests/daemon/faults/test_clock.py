"""The wall clock is set by hours, forth and back, while jobs run on schedule."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

HOUR = 3600.0
WHILE_RUNS = 4  # of the job that runs every second: by then a storm would be seen
LIBRARY = "libfaketimeMT.so.1"


@pytest.fixture
def faketime() -> str:
    """Return the library that shows a program another wall clock."""
    found = sorted(Path("/usr/lib").glob(f"*/faketime/{LIBRARY}"))
    if not found:
        pytest.skip("libfaketime is not installed")
    return str(found[0])


class Clock:
    """The wall clock that a daemon sees: so many seconds ahead."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set(0.0)

    def set(self, ahead_seconds: float) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(f"{ahead_seconds:+.0f}")
        new.rename(self.file)  # at once: half a number would be another step


@pytest.mark.server
def test_steps_of_the_wall_clock_make_no_storm_and_run_nothing_twice(
    new_daemon: Callable[..., Any],
    soak: Callable[..., str],
    benchmark: Callable[..., str],
    faketime: str,
    tmp_path: Path,
) -> None:
    clock = Clock(tmp_path / "clock")
    in_an_hour = datetime.fromtimestamp(time.time() + HOUR, UTC)
    daemon = new_daemon(
        soak()
        + benchmark("often", every="1s")
        + benchmark("minutely", every=None, cron="* * * * *")
        + benchmark("daily", every=None, cron=f"{in_an_hour:%-M %-H} * * *"),
        environment={
            "LD_PRELOAD": faketime,
            "FAKETIME_TIMESTAMP_FILE": str(clock.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": str(Path(__file__).parent / "alone_in_time"),
            "TZ": "UTC",
        },
    ).start()
    counts = [_counts_after_a_while(daemon)]
    for ahead in (3 * HOUR, 0.0, 3.1 * HOUR):
        clock.set(ahead)
        counts.append(_counts_after_a_while(daemon))
        if ahead == 0.0:
            held_back = daemon.job("minutely")["next_due_at"] - daemon.status()["now"]
    start, forth, back, forth_again = counts

    # A minute may begin before any step, and then one more has come due.
    assert start["daily"] == 0
    assert [each["daily"] for each in (forth, back, forth_again)] == [1, 1, 1]
    assert 1 <= forth["minutely"] - start["minutely"] <= 2
    assert 0 <= back["minutely"] - forth["minutely"] <= 1
    assert 1 <= forth_again["minutely"] - back["minutely"] <= 2
    minutes = [run["started_at"] // 60 for run in daemon.runs("minutely")]
    assert len(set(minutes)) == len(minutes), "a minute ran twice"
    assert held_back <= 61, "a job of every minute stood still for the hours of the step"
    assert 180 + 186 - 4 <= sum(daemon.job("minutely")["skipped"].values()) <= 180 + 186
    # A busy host wakes it a second late now and then; a step of hours would be 10,000 times.
    assert daemon.job("often")["skipped"]["missed"] < 10
    assert {run["status"] for run in daemon.runs()} == {"ok"}
    assert len({window["soak"] for window in daemon.windows("steady")}) == 1
    assert daemon.stop() == 0


def _counts_after_a_while(daemon: Any) -> dict[str, int]:
    """Return how often each job ran, when the one on the monotonic clock ran a few times more."""
    before = len(daemon.runs("often"))
    daemon.until_windows("steady")
    daemon.until("runs", lambda: len(daemon.runs("often")) >= before + WHILE_RUNS)
    return {job: len(daemon.runs(job)) for job in ("often", "minutely", "daily")}
