"""What a daemon remembers, and how it finds it again."""

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmem_observe.daemon.state.database import APPLICATION_ID, MIGRATIONS, Database
from agentmem_observe.daemon.state.directory import RunRow, State, WindowRow
from agentmem_observe.errors import ConfigError, ResultFormatError
from agentmem_observe.measure.recorder import Aggregate, SeriesKey
from agentmem_observe.results.histograms import histograms_of
from agentmem_observe.results.store import BenchmarkResults


def run_row(job: str = "nightly", at: float = 1_000.0, **changes: Any) -> RunRow:
    values: dict[str, Any] = {
        "id": None,
        "job": job,
        "category": "storage",
        "benchmark": "write_throughput",
        "target": "redis://***@127.0.0.1:6379/0",
        "started_at": at,
        "ended_at": at + 60.0,
        "status": "ok",
        "cause": "",
        "reason": "",
        "path": "",
        "validity": "valid",
        "figures": {"operations": 9},
    }
    return RunRow(**(values | changes))


def window_row(number: int = 0, job: str = "soak", **changes: Any) -> WindowRow:
    at = 1_000.0 + 60.0 * number
    values: dict[str, Any] = {
        "job": job,
        "soak": "server 1",
        "number": number,
        "started_at": at,
        "ended_at": at + 60.0,
        "figures": {"operations": number},
    }
    return WindowRow(**(values | changes))


def measured(**counts: int) -> Aggregate:
    """Return so many operations of a second each, by outcome."""
    aggregate = Aggregate()
    for outcome, count in counts.items():
        series = aggregate.series(SeriesKey("create_memory", "", outcome))
        series.service_time.record(np.full(count, 10**9))
    return aggregate


def result(stamp: str = "20250323_145623", **metadata: Any) -> dict[str, Any]:
    return {
        "benchmark": "write_throughput",
        "category": "storage",
        "timestamp": stamp,
        "results": {"batch_10": {"ops": 9.5}},
        "metadata": {
            "execution_time": 2.5,
            "ended_at": "2025-03-23T14:56:23+00:00",
            "status": "failed",
            "cause": "timeout",
            "reason": "killed after 3600 s",
            "warnings": ["a", "b", "c", "d"],
            "validity": {"verdict": "void", "reasons": ["it waited", "so did others"]},
            "target": {"spec": "redis://***@h:6379/0"},
            "histograms": histograms_of(measured(ok=7, timeout=2)),
            **metadata,
        },
    }


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


def numbers(state: State, job: str = "soak", **options: Any) -> list[int]:
    return [row.number for row in state.windows(job, **options)]


def test_what_is_saved_is_there_after_a_restart(directory: Path):
    with State.open(directory) as state:
        saved = state.save_run(run_row())
        state.save_window(window_row())

    with State.open(directory) as state:
        assert state.runs() == [saved]
        assert state.windows("soak") == [window_row()]


def test_runs_come_newest_first_page_by_page_and_by_job(directory: Path):
    with State.open(directory) as state:
        ids = [state.save_run(run_row(job)).id for job in "ababa"]

        assert [row.id for row in state.runs(limit=2)] == [ids[4], ids[3]]
        assert [row.id for row in state.runs(limit=2, before_id=ids[3])] == [ids[2], ids[1]]
        assert [row.id for row in state.runs("b")] == [ids[3], ids[1]]
        assert [row.id for row in state.runs("a", before_id=ids[4])] == [ids[2], ids[0]]
        assert state.runs(limit=0) == []
        assert state.runs("c") == []


def test_a_run_is_found_by_its_id(directory: Path):
    with State.open(directory) as state:
        saved = state.save_run(run_row())

        assert saved.id is not None
        assert state.run(saved.id) == saved
        assert state.run(saved.id + 1) is None


def test_the_last_run_is_the_one_saved_last_whatever_the_clock_said(directory: Path):
    with State.open(directory) as state:
        state.save_run(run_row(at=9_000.0))
        last = state.save_run(run_row(at=5.0))

        assert state.last_run("nightly") == last
        assert state.last_started("nightly") == 5.0
        assert state.last_run("other") is None
        assert state.last_started("other") is None


def test_windows_come_oldest_first_and_end_with_the_newest(directory: Path):
    with State.open(directory) as state:
        for number in range(5):
            state.save_window(window_row(number))
        state.save_window(window_row(0, soak="server 2"))
        state.save_window(window_row(0, soak="server 1"))  # a new worker counts from 0

        assert numbers(state) == [0, 1, 2, 3, 4, 0, 0]
        assert numbers(state, limit=3) == [4, 0, 0]
        assert numbers(state, soak="server 1") == [0, 1, 2, 3, 4, 0]
        assert numbers(state, soak="server 2") == [0]
        assert numbers(state, limit=0) == []
        assert numbers(state, "other") == []


def test_figures_are_read_as_json_has_them(directory: Path):
    figures = {"p99": math.nan, "rss": np.int64(5), "leak": ("none", True)}
    with State.open(directory) as state:
        state.save_window(window_row(figures=figures))

        assert state.windows("soak")[0].figures == {"p99": None, "rss": 5, "leak": ["none", True]}


def test_figures_that_json_cannot_have_are_refused(directory: Path):
    with State.open(directory) as state:
        with pytest.raises(ResultFormatError, match=r"figures\.x: cannot be written as JSON"):
            state.save_run(run_row(figures={"x": object()}))

        assert state.health().pending == 0


def test_no_question_looks_at_all_rows(directory: Path):
    with State.open(directory) as state:
        state.save_run(run_row())
    connection = sqlite3.connect(directory / "state.sqlite")

    plans = [
        connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
        for query in (
            "SELECT * FROM runs WHERE id < 9 ORDER BY id DESC LIMIT 5",
            "SELECT * FROM runs WHERE id < 9 AND job = 'a' ORDER BY id DESC LIMIT 5",
            "SELECT * FROM windows WHERE job = 'a' ORDER BY id DESC LIMIT 5",
            "SELECT * FROM windows WHERE job = 'a' AND soak = 'b' ORDER BY id DESC LIMIT 5",
        )
    ]

    connection.close()
    assert all("SEARCH" in str(plan) and "TEMP B-TREE" not in str(plan) for plan in plans)


def test_threads_save_and_read_at_once(directory: Path):
    per_thread, threads = 40, 4
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for count in range(per_thread):
                state.save_window(window_row(count, job=f"soak{number}"))
                state.save_run(run_row(f"job{number}"))
                state.results(f"job{number}").save_document(result())
                assert state.last_run(f"job{number}")
                state.flush()
                state.health()
        except BaseException as error:
            errors.append(error)

    with State.open(directory) as state:
        workers = [threading.Thread(target=work, args=[number]) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        assert errors == []
        assert len({row.id for row in state.runs(limit=1000)}) == per_thread * threads
        for number in range(threads):
            assert numbers(state, f"soak{number}") == list(range(per_thread))
        assert len(BenchmarkResults(directory / "results").list_results()) == per_thread * threads
        assert state.health().pending == 0


def test_a_result_knows_its_job_and_is_found_through_its_run(directory: Path):
    with State.open(directory) as state:
        path = state.results("nightly").save_document(result())
        run = state.save_run(run_row(path=path))

        document = state.result(run)

        assert document is not None
        assert document["metadata"]["job"] == "nightly"
        assert document["results"] == result()["results"]
        assert state.health().bytes > Path(path).stat().st_size


def test_a_result_that_is_gone_is_none(directory: Path):
    with State.open(directory) as state:
        path = state.results("nightly").save_document(result())
        run = state.save_run(run_row(path=path))
        Path(path).unlink()

        assert state.result(run) is None
        assert state.result(run_row()) is None


def test_a_state_directory_may_be_moved(directory: Path, tmp_path: Path):
    with State.open(directory) as state:
        state.save_run(run_row(path=state.results("nightly").save_document(result())))
    moved = directory.rename(tmp_path / "elsewhere")

    with State.open(moved) as state:
        (run,) = state.runs()

        assert run.path.startswith(str(moved))
        assert state.result(run) is not None


def test_a_result_without_a_row_gets_it_at_the_next_start(directory: Path):
    with State.open(directory) as state:
        first = state.save_run(run_row())
        path = state.results("nightly").save_document(result())

    with State.open(directory) as state:
        assert first.id is not None
        recovered = run_row(
            id=first.id + 1,
            path=path,
            target="redis://***@h:6379/0",
            ended_at=1742741783.0,
            started_at=1742741780.5,
            status="failed",
            cause="timeout",
            reason="killed after 3600 s",
            validity="void",
            figures={
                "operations": 9,
                "failed_operations": 2,
                "service_time_max_seconds": 1.0,
                "warnings": ["a", "b", "c"],
                "validity_reasons": ["it waited", "so did others"],
            },
        )
        assert state.runs() == [recovered, first]
        assert state.save_run(run_row()).id == first.id + 2

    with State.open(directory) as state:
        assert len(state.runs()) == 3


def test_files_that_no_daemon_wrote_get_no_row(directory: Path):
    results = BenchmarkResults(directory / "results")
    results.save_document(result())
    odd = directory / "results/storage"
    (odd / "write_throughput_20250323_145700.json").write_text("no json")
    results.save_document(result("20250323_145800", job="nightly", histograms=[5]))

    with State.open(directory) as state:
        assert state.runs() == []


def test_a_run_that_is_saved_after_it_was_read_back_has_one_row(directory: Path):
    with State.open(directory) as state:
        path = state.results("nightly").save_document(result())

    with State.open(directory) as state:
        (recovered,) = state.runs()
        saved = state.save_run(run_row(path=path))

        assert recovered.path == path
        assert state.runs() == [saved]


def test_more_results_than_one_call_reads_are_read_back_newest_first(directory: Path):
    with State.open(directory) as state:
        for second in range(250):
            state.results("nightly").save_document(
                result(f"20250323_14{second // 60:02}{second % 60:02}")
            )

    with State.open(directory) as state:
        newest = state.save_run(run_row())
        assert len(state.runs(limit=1000)) == 101
        state.flush()
        state.flush()
        paths = [row.path for row in state.runs(limit=1000)]

    assert newest.id == 251
    assert paths[1:] == BenchmarkResults(directory / "results").list_results()[::-1]


def test_what_a_killed_daemon_left_half_written_is_removed_and_nothing_else(directory: Path):
    category = directory / "results/storage"
    category.mkdir(parents=True)
    half = [
        category / ".write_throughput_20250323_145623.json.tmp",
        category / ".write_throughput_20250323_145623_2.json.tmp",
        directory / ".token.tmp",
        directory / f".endpoint.json.{'a' * 32}.tmp",
    ]
    others = [category / ".notes.tmp", category / "x.tmp", directory / ".a.json.tmp"]
    for path in half + others:
        path.write_text("{")

    State.open(directory).close()

    assert [path for path in half if path.exists()] == []
    assert [path for path in others if not path.exists()] == []


def test_a_daemon_that_is_killed_at_any_moment_loses_nothing_finished(directory: Path):
    script = Path(__file__).with_name("killed_writer.py")
    kills, seed = 80, 1

    ran = subprocess.run(
        [sys.executable, "-W", "error", script, directory, str(kills), str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.stderr, ran.returncode) == ("", 0)
    saw = json.loads(ran.stdout)
    assert saw["windows"] >= saw["results"] > kills / 2  # it did get to write,
    assert saw["recovered"] >= 1  # and was killed where it hurts


def test_a_second_daemon_is_refused_and_told_whom_to_end(directory: Path):
    with State.open(directory), pytest.raises(ConfigError) as refusal:
        State.open(directory)

    assert str(refusal.value) == (
        f"{directory}: another daemon uses it, process {os.getpid()}; "
        "end it, or choose another --state-dir"
    )


def test_the_lock_of_a_process_that_was_killed_does_not_block(directory: Path):
    script = (
        "import sys, time, pathlib; from agentmem_observe.daemon.state.directory import State\n"
        "state = State.open(pathlib.Path(sys.argv[1])); print(flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(directory)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    with holder:
        holder.stdout.readline()
        with pytest.raises(ConfigError, match=f"process {holder.pid};"):
            State.open(directory)
        holder.send_signal(signal.SIGKILL)

    State.open(directory).close()

    assert (directory / "lock").read_text() == f"{os.getpid()}\n"


def test_after_the_end_the_directory_is_left_to_the_next_daemon(directory: Path):
    with State.open(directory) as state:
        pass

    state.flush()
    state.save_window(window_row())
    state.close()

    with State.open(directory) as state:
        assert state.windows("soak") == []


def test_a_directory_that_cannot_be_made_or_locked_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    (tmp_path / "state/lock").mkdir(parents=True)

    with pytest.raises(ConfigError, match="cannot be made: Not a directory; make it writable"):
        State.open(tmp_path / "file/state")
    with pytest.raises(ConfigError, match="cannot be locked: Is a directory; make it writable"):
        State.open(tmp_path / "state")


def test_a_state_of_a_newer_version_is_refused_and_stays(directory: Path):
    directory.mkdir()
    path = directory / "state.sqlite"
    Database(path, migrations=[*MIGRATIONS, "CREATE TABLE later (id INTEGER)"]).close()
    before = path.read_bytes()

    with pytest.raises(ConfigError, match=r"schema 2 is newer than 1; upgrade agentmem-observe"):
        State.open(directory)

    assert path.read_bytes() == before
    with pytest.raises(ConfigError, match="schema 2"):  # and the lock was given back
        State.open(directory)


def test_the_database_of_another_program_is_refused(directory: Path):
    directory.mkdir()
    connection = sqlite3.connect(directory / "state.sqlite")
    connection.execute("CREATE TABLE theirs (id INTEGER)")
    connection.close()

    with pytest.raises(ConfigError, match="database of another program; choose another"):
        State.open(directory)


def test_an_older_schema_is_brought_up_to_date_and_keeps_its_rows(directory: Path):
    with State.open(directory) as state:
        saved = state.save_run(run_row())
    newer = [*MIGRATIONS, "ALTER TABLE windows ADD COLUMN note TEXT; CREATE INDEX x ON runs (job)"]

    database = Database(directory / "state.sqlite", migrations=newer)

    assert database.runs(None, 10, None) == [saved]
    assert database._connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert database._connection.execute("SELECT note FROM windows").fetchall() == []
    database.close()


def test_a_migration_that_fails_changes_nothing(directory: Path):
    State.open(directory).close()
    path = directory / "state.sqlite"

    with pytest.raises(sqlite3.OperationalError):
        Database(path, migrations=[*MIGRATIONS, "CREATE TABLE x (id INTEGER); nonsense"])

    database = Database(path)
    assert database._connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert database._connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    database.close()


@pytest.mark.parametrize("damage", ["header", "page", "no database"])
def test_a_damaged_database_is_moved_aside_and_runs_are_read_back(directory: Path, damage: str):
    with State.open(directory) as state:
        path = state.results("nightly").save_document(result())
        state.save_run(run_row(path=path))
        for number in range(200):
            state.save_window(window_row(number))
    database = directory / "state.sqlite"
    content = bytearray(database.read_bytes())
    spoilt = {
        "header": b"\x00" * 100 + content[100:],
        "page": content[:4096] + os.urandom(4096) * (len(content) // 4096 - 1),
        "no database": b"notes of mine, not to be lost",
    }[damage]
    database.write_bytes(spoilt)

    with State.open(directory) as state:
        (aside,) = directory.glob("state.sqlite.damaged-*")
        assert aside.read_bytes() == spoilt
        assert [row.path for row in state.runs()] == [path]
        state.save_window(window_row())
        assert numbers(state) == [0]
        (warning,) = state.health().warnings
        assert warning.startswith("state.sqlite was damaged (")
        assert aside.name in warning
        assert state.health().writable

    with State.open(directory) as state:
        assert state.health().warnings == ()
        assert numbers(state) == [0]


def test_two_damages_of_one_second_are_both_kept(directory: Path):
    for content in (b"first, not a database", b"second, not a database"):
        State.open(directory).close()
        (directory / "state.sqlite").write_bytes(content)
        State.open(directory).close()

    kept = {path.read_bytes() for path in directory.glob("state.sqlite.damaged-*")}
    assert kept == {b"first, not a database", b"second, not a database"}


def test_file_descriptors_do_not_become_more(directory: Path):
    with State.open(directory) as state:
        state.save_run(run_row())
        before = len(os.listdir("/proc/self/fd"))
        for number in range(20):
            state.save_window(window_row(number))
            state.results("nightly").save_document(result())
            state.runs()
            state.flush()
        after = len(os.listdir("/proc/self/fd"))

    assert after == before


def test_the_database_can_be_read_and_copied_by_others_meanwhile(directory: Path, tmp_path: Path):
    with State.open(directory) as state:
        state.save_window(window_row())
        copy = sqlite3.connect(tmp_path / "copy.sqlite")
        other = sqlite3.connect(f"file:{directory / 'state.sqlite'}?mode=ro", uri=True)

        other.backup(copy)

        other.close()
        (figures,) = copy.execute("SELECT figures FROM windows").fetchone()
        copy.close()
        assert json.loads(figures) == {"operations": 0}


def test_directories_of_runs_that_were_killed_are_removed_at_the_start(directory: Path):
    with State.open(directory) as state:
        left = state.work_dir / "agentmem-observe-abc" / "stm"
        left.mkdir(parents=True)
        (left / "records").write_text("the target's data")
        (state.work_dir / "mine").mkdir()

    with State.open(directory) as state:
        found = list(state.work_dir.iterdir())

    assert [path.name for path in found] == ["mine"]
