"""What is deleted and what never is."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.daemon.state.database import Database
from agentmem_observe.daemon.state.directory import RunRow, State, WindowRow
from agentmem_observe.daemon.state.ledger import Ledger
from agentmem_observe.daemon.state.retention import Retention, prune

DAY = 86_400.0
RESULT = {
    "benchmark": "write_throughput",
    "category": "storage",
    "timestamp": "20250323_145623",
    "results": {"padding": "x" * 1_000},
    "metadata": {},
}


@pytest.fixture
def state(tmp_path: Path) -> Any:
    with State.open(tmp_path / "state") as state:
        yield state


def save_run(state: State, job: str = "nightly", days: float = 0.0) -> RunRow:
    """Save a run, with its result, that ended so many days after the beginning."""
    path = state.results(job).save_document(RESULT)
    at = days * DAY
    return state.save_run(
        RunRow(None, job, "storage", "write", "embedded", at, at, "ok", "", "", path, "valid", {})
    )


def save_window(state: State, job: str = "soak", days: float = 0.0, figures: str = "") -> None:
    at = days * DAY
    state.save_window(WindowRow(job, "server", 0, at, at, {"days": days, "text": figures}))


def kept(state: State) -> list[RunRow]:
    rows = state.runs(limit=1000)
    for row in rows:
        assert Path(row.path).exists()
    return rows


def days(state: State, job: str = "soak") -> list[float]:
    return [row.figures["days"] for row in state.windows(job, limit=1000)]


def files(state: State) -> int:
    return len(list((state.directory / "results").rglob("*.json")))


def test_runs_that_are_too_old_go_with_their_results(state: State):
    save_run(state, days=1)
    second = save_run(state, days=5)
    third = save_run(state, days=9)

    deleted = state.prune(10 * DAY, {}, 5 * DAY, None)

    assert deleted == 1
    assert kept(state) == [third, second]
    assert files(state) == 2


def test_the_last_run_of_each_job_stays_however_old(state: State):
    save_run(state, "a", days=1)
    last = [save_run(state, "a", days=2), save_run(state, "b", days=1)]

    assert state.prune(1_000 * DAY, {}, DAY, 0) == 1

    assert kept(state) == last[::-1]


def test_each_job_may_have_its_own_retention(state: State):
    for job in ("short", "long", "for_ever", "other"):
        save_run(state, job, days=1)
        save_run(state, job, days=10)

    state.prune(11 * DAY, {"short": 2 * DAY, "long": 20 * DAY, "for_ever": None}, 3 * DAY, None)

    assert sorted(row.job for row in kept(state) if row.ended_at == DAY) == ["for_ever", "long"]


def test_without_any_limit_everything_stays(state: State):
    save_run(state, days=1)
    save_run(state, days=2)
    save_window(state, days=1)

    assert state.prune(10_000 * DAY, {}, None, None) == 0


def test_results_that_are_too_many_go_oldest_first(state: State):
    rows = [save_run(state, job, days=9) for job in "abababab"]
    size = Path(rows[0].path).stat().st_size
    save_run(state, "c")  # the last of its job, and counted

    deleted = state.prune(10 * DAY, {}, None, 5 * size)

    assert deleted == 4
    assert kept(state)[1:] == rows[:3:-1]


def test_many_runs_are_deleted_in_several_transactions(state: State):
    for _ in range(450):
        state.save_run(RunRow(None, "a", "c", "b", "t", 0.0, 0.0, "ok", "", "", "", "", {}))

    assert state.prune(10 * DAY, {}, DAY, None) == 449
    assert len(state.runs(limit=1000)) == 1


def test_windows_that_are_too_old_go(state: State):
    for day in range(10):
        save_window(state, days=day)
        save_window(state, "other", days=day)

    deleted = state.prune(10 * DAY, {"soak": 3 * DAY}, None, None)

    assert deleted == 7
    assert days(state) == [7, 8, 9]
    assert len(days(state, "other")) == 10


def test_a_window_behind_one_of_a_clock_that_ran_ahead_waits_for_that_one(state: State):
    for day in (1, 50, 2):
        save_window(state, days=day)

    assert state.prune(40 * DAY, {}, 10 * DAY, None) == 1
    assert state.prune(90 * DAY, {}, 10 * DAY, None) == 2


def test_a_job_has_no_more_than_so_many_windows(state: State):
    ledger: Ledger = state._ledger
    for day in range(500):
        save_window(state, days=day)
    save_window(state, "other")

    deleted = prune(ledger, 0.0, Retention(None, most_windows=30))

    assert deleted == 470
    assert days(state) == list(range(470, 500))
    assert prune(ledger, 0.0, Retention(None, most_windows=30)) == 0
    assert days(state, "other") == [0.0]


def test_space_is_given_back_to_the_disk(state: State):
    before = state.health().bytes
    for day in range(1_000):
        save_window(state, days=day, figures="x" * 2_000)
    most = state.health().bytes

    state.prune(1_000 * DAY, {}, DAY, None)

    assert most > 2_000_000
    assert state.health().bytes < before + 200_000


def test_months_of_windows_take_no_more_than_one_retention(state: State):
    sizes = []
    for day in range(600):
        save_window(state, days=day, figures="x" * 2_000)
        if day % 30 == 29:
            state.prune(day * DAY, {}, 100 * DAY, None)
            sizes.append(state.health().bytes)

    assert max(sizes[10:]) <= 1.1 * max(sizes[:10])


def test_files_that_no_row_names_are_never_deleted(state: State, tmp_path: Path):
    outside = tmp_path / "mine.json"
    escape = state.directory / "results" / "../../mine.json"
    strangers = [
        state.directory / "notes.txt",
        state.directory / "results/storage/write_throughput_20200101_000000.json",
        state.directory / "results/storage/notes.txt",
        outside,
    ]
    (state.directory / "results/storage").mkdir(parents=True)
    for path in strangers:
        path.write_text("mine")
    for path in (outside, escape, state.directory / "notes.txt"):
        state.save_run(RunRow(None, "a", "c", "b", "t", 0.0, 0.0, "ok", "", "", str(path), "", {}))
    save_run(state, "a")
    save_run(state, "a", days=100)

    assert state.prune(100 * DAY, {}, DAY, 0) == 4

    assert [path for path in strangers if not path.exists()] == []
    assert files(state) == 2  # the stranger and the last


def test_a_row_whose_file_is_gone_already_goes_too(state: State):
    gone = save_run(state, days=1)
    save_run(state, days=9)
    Path(gone.path).unlink()

    assert state.prune(10 * DAY, {}, 2 * DAY, None) == 1


def test_a_run_killed_between_file_and_row_is_deleted_the_next_time(
    state: State, monkeypatch: pytest.MonkeyPatch
):
    save_run(state, days=1)
    save_run(state, days=9)
    with monkeypatch.context() as patched:
        patched.setattr(Database, "delete_runs", refuse)
        assert state.prune(10 * DAY, {}, 2 * DAY, None) == 0
    assert (files(state), len(state.runs())) == (1, 2)
    state.flush()

    assert state.prune(10 * DAY, {}, 2 * DAY, None) == 1
    assert len(state.runs()) == 1


def refuse(*arguments: object) -> None:
    raise sqlite3.OperationalError("disk I/O error")


def test_a_result_that_cannot_be_deleted_keeps_its_row_and_is_told(
    state: State, monkeypatch: pytest.MonkeyPatch
):
    save_run(state, days=1)
    save_run(state, days=9)

    def unlink(*arguments: object, **options: object) -> None:
        raise OSError(30, os.strerror(30))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", unlink)
        assert state.prune(10 * DAY, {}, 2 * DAY, None) == 0

    assert len(kept(state)) == 2
    assert state.health().problem == f"{state.directory}: it cannot be written; make it writable"
    state.flush()
    assert state.health().writable
    assert state.prune(10 * DAY, {}, 2 * DAY, None) == 1


def test_a_directory_that_is_gone_is_not_pruned(state: State, tmp_path: Path):
    save_run(state, days=1)
    save_run(state, days=9)
    state.directory.rename(tmp_path / "moved")

    assert state.prune(10 * DAY, {}, 2 * DAY, None) == 0

    assert not state.health().writable
    assert len(list((tmp_path / "moved/results").rglob("*.json"))) == 2


def test_what_waits_in_memory_does_not_count_as_old(state: State, monkeypatch: pytest.MonkeyPatch):
    save_run(state, days=1)
    with monkeypatch.context() as patched:
        patched.setattr(Database, "insert", refuse)
        last = save_run(state, days=2)

    assert state.prune(100 * DAY, {}, DAY, None) == 0
    state.flush()
    assert state.prune(100 * DAY, {}, DAY, None) == 1
    assert kept(state) == [last]
