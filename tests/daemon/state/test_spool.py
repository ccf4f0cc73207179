"""A disk that is full, read-only, failing or gone: what waits, what is said, and what is lost."""

import errno
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.daemon.state import ledger
from agentmem_observe.daemon.state.database import Database
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import RunRow, SizedRun, WindowRow
from agentmem_observe.daemon.state.spool import Document, Spool
from agentmem_observe.errors import ConfigError, ResultFormatError
from agentmem_observe.results import store

FULL = "the disk is full; free some space"
GONE = "it is gone or replaced; put it back, or make an empty directory in its place"


def run_row(path: str = "", at: float = 0.0) -> RunRow:
    return RunRow(None, "nightly", "c", "b", "t", at, at, "ok", "", "", path, "valid", {})


def window_row(number: int = 0) -> WindowRow:
    return WindowRow("soak", "server", number, 0.0, 60.0, {"operations": number})


def result(benchmark: str = "write", padding: int = 0) -> dict[str, Any]:
    return {
        "benchmark": benchmark,
        "category": "storage",
        "timestamp": "20250323_145623",
        "results": {"padding": "x" * padding},
        "metadata": {},
    }


def numbers(state: State) -> list[int]:
    return [row.number for row in state.windows("soak", limit=10_000)]


def written(state: State) -> list[str]:
    return sorted(str(path) for path in (state.directory / "results").rglob("*.json"))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State.open(tmp_path / "state") as state:
        yield state


def sqlite_error(message: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


@contextmanager
def failing(error: Exception) -> Iterator[None]:
    """Let neither the database nor files be written."""

    def fail(*arguments: object, **options: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "insert", fail)
        patch.setattr(store, "create_file", fail)
        yield


FAILURES = [
    (OSError(errno.ENOSPC, "No space left on device"), FULL),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), FULL),
    (OSError(errno.EROFS, "Read-only file system"), "it cannot be written; make it writable"),
    (OSError(errno.EIO, "Input/output error"), "the disk fails; look at the system's log"),
    (OSError(errno.ENOLCK, "No locks"), "No locks; make it a directory that can be written"),
]


@pytest.mark.parametrize(("error", "reason"), FAILURES)
def test_what_the_disk_does_not_take_waits_and_is_written_later(
    state: State, error: OSError, reason: str
):
    state.save_window(window_row(0))
    with failing(error):
        path = state.results("nightly").save_document(result())
        run = state.save_run(run_row(path))
        state.save_window(window_row(1))
        state.flush()

        health = state.health()
        assert (health.writable, health.pending, health.lost) == (False, 3, 0)
        assert health.problem == f"{state.directory}: {reason}"
        assert state.runs() == [run]
        assert state.run(run.id or 0) == run
        assert numbers(state) == [0, 1]
        assert (state.result(run) or {})["metadata"]["job"] == "nightly"
        assert written(state) == []

    state.flush()

    health = state.health()
    assert (health.writable, health.problem, health.pending) == (True, "", 0)
    assert written(state) == [path]
    assert state.runs() == [run]
    assert numbers(state) == [0, 1]
    assert state.health().bytes > os.stat(path).st_size


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (sqlite3.SQLITE_FULL, FULL),
        (sqlite3.SQLITE_READONLY, "it cannot be written; make it writable"),
        (sqlite3.SQLITE_IOERR | 3 << 8, "the disk fails; look at the system's log"),
        (sqlite3.SQLITE_BUSY, "another program holds the database; end it"),
        (sqlite3.SQLITE_CANTOPEN, "it cannot be written; make it writable"),
        (sqlite3.SQLITE_NOLFS, "what SQLite says"),
    ],
)
def test_each_error_of_sqlite_is_told_with_its_cure(state: State, code: int, reason: str):
    with failing(sqlite_error("what SQLite says", code)):
        state.save_window(window_row())

    assert state.health().problem == f"{state.directory}: {reason}"


def test_while_the_disk_fails_only_a_flush_tries_again(state: State):
    tries = []

    def fail(*arguments: object) -> None:
        tries.append(arguments)
        raise OSError(errno.EIO, "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "insert", fail)
        for number in range(5):
            state.save_window(window_row(number))
        assert len(tries) == 1
        state.flush()

    assert len(tries) == 2


def test_what_came_later_is_not_written_before_what_waits(state: State):
    with failing(OSError(errno.EIO, "")):
        paths = [state.results("a").save_document(result()) for _ in range(2)]
        state.save_window(window_row(0))
    paths.append(state.results("b").save_document(result()))
    state.save_window(window_row(1))
    assert written(state) == []

    state.flush()

    assert numbers(state) == [0, 1]
    assert [Path(path).name for path in paths] == [
        "write_20250323_145623.json",
        "write_20250323_145623_2.json",
        "write_20250323_145623_3.json",
    ]
    assert written(state) == sorted(paths)


def test_a_name_that_somebody_takes_meanwhile_costs_nothing(
    state: State, caplog: pytest.LogCaptureFixture
):
    with failing(OSError(errno.EIO, "")):
        path = Path(state.results("a").save_document(result()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("somebody's")

    state.flush()

    other = path.with_stem(f"{path.stem}_2")
    assert path.read_text() == "somebody's"
    assert json.loads(other.read_text())["metadata"]["job"] == "a"
    assert f"{path}: the name was taken, written as {other}" in caplog.text


def test_trouble_is_told_once_when_it_begins_and_once_when_it_is_over(
    state: State, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    with failing(OSError(errno.ENOSPC, "")):
        for number in range(5):
            state.save_window(window_row(number))
            state.flush()
    state.flush()
    state.flush()

    assert [record.getMessage() for record in caplog.records] == [
        f"{state.directory}: rows cannot be written: {FULL}; they wait in memory",
        f"{state.directory}: rows are written again",
    ]


def test_what_json_cannot_have_is_refused_on_a_full_disk_too(state: State):
    with failing(OSError(errno.ENOSPC, "")), pytest.raises(ResultFormatError, match="JSON"):
        state.results("a").save_document(result() | {"results": {"x": object()}})

    assert state.health().pending == 0


def test_what_still_waits_at_the_end_is_written_or_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with State.open(tmp_path) as state, failing(OSError(errno.EIO, "")):
        state.save_window(window_row(0))
    with State.open(tmp_path) as state:
        assert numbers(state) == [0]
        with failing(OSError(errno.EIO, "")):
            state.save_window(window_row(1))
            state.close()

    assert f"{tmp_path}: 1 rows and results are lost" in caplog.text


def test_memory_is_bounded_and_windows_go_first_then_results_then_runs():
    spool = Spool(most_items=6)
    for number in range(2):
        spool.add_run(SizedRun(run_row(at=number), 0))
        spool.add_document(Document(Path(str(number)), "", ""))
        spool.add_window(window_row(number))

    def left() -> tuple[list[int], list[str], list[float]]:
        return (
            [kept.item.number for kept in spool.windows()],
            [str(kept.item.path) for kept in spool.documents()],
            [kept.item.row.started_at for kept in spool.runs()],
        )

    assert (left(), spool.lost) == (([0, 1], ["0", "1"], [0, 1]), 0)
    for number in range(2, 5):
        spool.add_run(SizedRun(run_row(at=number), 0))
    assert (left(), spool.lost) == (([], ["1"], [0, 1, 2, 3, 4]), 3)
    spool.add_window(window_row(2))
    assert (left(), spool.lost) == (([], ["1"], [0, 1, 2, 3, 4]), 4)
    for number in range(5, 8):
        spool.add_run(SizedRun(run_row(at=number), 0))
    assert (left(), spool.lost, len(spool)) == (([], [], [2, 3, 4, 5, 6, 7]), 7, 6)


def test_memory_is_bounded_in_bytes_too():
    spool = Spool(most_bytes=50_000)

    for number in range(30):
        spool.add_window(window_row(number))
        spool.add_document(Document(Path(str(number)), "", "x" * 10_000))

    assert [str(kept.item.path) for kept in spool.documents()] == ["25", "26", "27", "28", "29"]
    assert (len(spool), spool.lost) == (5, 55)


@pytest.mark.parametrize("bounds", [{"most_items": 3}, {"most_bytes": 4_000}])
def test_room_in_memory_comes_back_with_what_is_written(tmp_path: Path, bounds: dict[str, int]):
    with State.open(tmp_path, spool=Spool(**bounds)) as state:
        for _ in range(3):
            with failing(OSError(errno.EIO, "")):
                for number in range(3):
                    state.save_window(window_row(number))
            state.flush()

        assert numbers(state) == [0, 1, 2] * 3
        assert state.health().lost == 0


def test_a_directory_that_is_gone_is_told_and_one_in_its_place_taken(state: State, tmp_path: Path):
    state.save_window(window_row(0))
    first = state.save_run(run_row(state.results("nightly").save_document(result())))
    shutil.rmtree(state.directory)
    state.save_window(window_row(1))
    path = state.results("nightly").save_document(result("later"))
    second = state.save_run(run_row(path))

    state.flush()
    assert state.health().problem == f"{state.directory}: {GONE}"
    assert state.runs() == [second]
    assert not state.directory.exists()

    state.directory.mkdir()
    state.flush()
    assert state.health().writable
    assert numbers(state) == [1]
    assert [row.path for row in state.runs()] == [path] == written(state)
    with pytest.raises(ConfigError, match="another daemon uses it"):
        State.open(state.directory)
    assert first.id is not None


def test_a_directory_that_comes_back_still_has_all(state: State, tmp_path: Path):
    run = state.save_run(run_row())
    state.directory.rename(tmp_path / "away")
    state.flush()
    assert not state.health().writable
    (tmp_path / "away").rename(state.directory)

    later = state.save_run(run_row())
    state.flush()

    assert state.runs() == [later, run]
    assert state.health().writable


def test_ids_stay_apart_when_a_directory_with_runs_takes_the_place(state: State, tmp_path: Path):
    with State.open(tmp_path / "backup") as backup:
        saved = [backup.save_run(run_row()) for _ in range(5)]
        path = backup.results("nightly").save_document(result())
    state.save_run(run_row())
    state.directory.rename(tmp_path / "away")
    waiting = state.save_run(run_row(at=7.0))
    (tmp_path / "backup").rename(state.directory)

    state.flush()

    assert waiting.id == 2
    ids = [(row.id, Path(row.path).name, row.started_at == 7.0) for row in state.runs()]
    assert ids[0] == (7, "", True)
    assert ids[1][:2] == (6, Path(path).name)
    assert [row[0] for row in ids[2:]] == [row.id for row in saved[::-1]]
    assert state.save_run(run_row()).id == 8


def test_a_directory_that_another_daemon_took_is_left_to_it(state: State):
    shutil.rmtree(state.directory)
    with State.open(state.directory) as other:
        state.save_window(window_row())
        state.flush()
        assert state.health().problem.startswith(f"{state.directory}: another daemon uses it")
        assert numbers(other) == []

    state.flush()

    assert state.health().writable


def test_a_database_damaged_meanwhile_is_moved_aside_once(
    state: State, monkeypatch: pytest.MonkeyPatch
):
    path = state.results("nightly").save_document(result())
    state.save_run(run_row(path))
    damage = sqlite_error("database disk image is malformed", sqlite3.SQLITE_CORRUPT)

    with failing(damage):
        state.save_window(window_row(1))
    assert state.health().problem.endswith("will be made anew; look at the disk")
    state.flush()
    assert [row.path for row in state.runs()] == [path]
    assert numbers(state) == [1]
    assert len(state.health().warnings) == 1
    assert state.health().writable

    with failing(damage):
        state.save_window(window_row(2))
    state.flush()
    assert "is damaged again (database disk image is malformed); look at the disk" in (
        state.health().problem
    )
    assert len(list(state.directory.glob("*.damaged-*"))) == 1
    assert numbers(state)[-1] == 2  # it waits

    monkeypatch.setattr(ledger, "_DAMAGE_PAUSE_SECONDS", 0.0)
    state.flush()
    assert state.health().writable
    assert numbers(state) == [2]


def test_what_cannot_be_read_is_not_an_error_of_the_reader(state: State):
    state.save_window(window_row(0))

    def fail(*arguments: object) -> None:
        raise sqlite_error("disk I/O error", sqlite3.SQLITE_IOERR)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "windows", fail)
        assert state.windows("soak") == []
    assert state.health().problem.endswith("the disk fails; look at the system's log")

    state.flush()

    assert state.health().writable
    assert numbers(state) == [0]


def test_a_daemon_starts_though_its_database_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with State.open(tmp_path) as state:
        state.save_run(run_row())

    def fail(*arguments: object, **options: object) -> None:
        raise sqlite_error("database or disk is full", sqlite3.SQLITE_FULL)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "Database", fail)
        with State.open(tmp_path) as state:
            assert state.health().problem == f"{tmp_path}: {FULL}"
            assert state.save_run(run_row()).id == 1
            state.flush()
            assert not state.health().writable

            patch.undo()
            state.flush()
            assert [row.id for row in state.runs()] == [2, 1]
            assert state.health().writable


MOUNT = "mount -t tmpfs -o size={size} tmpfs {where}"
NAMESPACE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]


def in_namespace(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where mounts are seen by it alone, and end with it."""
    return subprocess.run(
        [*NAMESPACE, "sh", "-ec", command], capture_output=True, text=True, check=False
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    where = tmp_path / "disk"
    where.mkdir()
    try:
        tried = in_namespace(MOUNT.format(size="64k", where=where))
    except FileNotFoundError:
        pytest.skip("there is no unshare program to mount a small disk with")
    if tried.returncode:
        pytest.skip(f"no small disk can be mounted here: {tried.stderr.strip()}")
    return where


@pytest.mark.parametrize(
    "scenario", ["fills", "starts_full", "pruned", "turns_read_only", "is_read_only"]
)
def test_a_real_small_disk(small_disk: Path, scenario: str):
    script = Path(__file__).with_name("small_disk.py")

    ran = in_namespace(
        f"{MOUNT.format(size='1m', where=small_disk)}\n"
        f"exec {sys.executable} -W error {script} {scenario} {small_disk}"
    )

    assert (ran.stdout, ran.stderr, ran.returncode) == ("as expected", "", 0)
    assert list(small_disk.iterdir()) == []
