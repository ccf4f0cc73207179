"""What a state does on a disk that is really full; run by test_spool.py in a mount namespace."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import RunRow, WindowRow
from agentmem_observe.errors import ConfigError

FULL = "the disk is full; free some space"
WINDOWS = 40


def window(number: int) -> WindowRow:
    return WindowRow("soak", "server", number, 0.0, 60.0, {"text": "x" * 2_000})


def save_run(state: State, number: int) -> RunRow:
    document: dict[str, Any] = {
        "benchmark": f"write{number}",
        "category": "storage",
        "timestamp": "20250323_145623",
        "results": {"padding": "x" * 20_000},
        "metadata": {},
    }
    path = state.results("nightly").save_document(document)
    return state.save_run(
        RunRow(None, "nightly", "storage", "b", "t", 0.0, 1.0, "ok", "", "", path, "valid", {})
    )


def fill(disk: Path) -> Path:
    """Take what room is left, to the last byte."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


def check_all(state: State, runs: list[RunRow]) -> None:
    health = state.health()
    assert (health.problem, health.pending, health.lost) == ("", 0, 0), health
    assert [row.number for row in state.windows("soak")] == list(range(WINDOWS))
    assert state.runs() == runs[::-1]
    assert all(Path(run.path).stat().st_size > 20_000 for run in runs)
    assert all(state.result(run) for run in runs)


def fills(disk: Path) -> None:
    """The disk fills up while rows and results are saved, and is freed."""
    with State.open(disk / "state") as state:
        runs = [save_run(state, 0)]
        state.save_window(window(0))
        ballast = fill(disk)
        for number in range(1, WINDOWS):
            state.save_window(window(number))
            if number % 4 == 0:
                runs.append(save_run(state, number))
            state.flush()
        health = state.health()
        assert health.problem == f"{disk / 'state'}: {FULL}", health
        assert health.pending > WINDOWS, health
        assert state.runs() == runs[::-1]  # those written before the disk was full, too
        ballast.unlink()
        state.flush()
        check_all(state, runs)
    with State.open(disk / "state") as state:
        check_all(state, runs)


def starts_full(disk: Path) -> None:
    """A daemon was killed, the disk is full when it starts again, and is freed."""
    with State.open(disk / "state") as state:
        runs = [save_run(state, 0)]
        state.save_window(window(0))
    ballast = fill(disk)
    with State.open(disk / "state") as state:
        for number in range(1, WINDOWS):
            state.save_window(window(number))
        save_run(state, 1)
        state.flush()
        assert FULL in state.health().problem, state.health()
        ballast.unlink()
        state.flush()
        runs = state.runs()[::-1]
        assert [run.id for run in runs] == [1, 2]
        check_all(state, runs)


def pruned(disk: Path) -> None:
    """On a disk that is full to the last byte old results are deleted, and that makes room."""
    with State.open(disk / "state") as state:
        runs = [save_run(state, number) for number in range(8)]
        fill(disk)
        for number in range(WINDOWS):
            state.save_window(window(number))
        assert FULL in state.health().problem, state.health()
        state.prune(100.0, {"soak": None}, 10.0, None)
        state.flush()
        state.prune(100.0, {"soak": None}, 10.0, None)
        check_all(state, runs[-1:])


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


def turns_read_only(disk: Path) -> None:
    """No file can be opened for writing any more; those that are open already can be written."""
    where = disk / "state"
    with State.open(where) as state:
        runs = [save_run(state, 0)]
        state.save_window(window(0))
        mount("--bind", where, where)
        mount("-o", "remount,bind,ro", where)
        for number in range(1, WINDOWS):
            state.save_window(window(number))
        runs.append(save_run(state, 1))
        state.flush()
        health = state.health()
        assert health.problem == f"{where}: it cannot be written; make it writable", health
        assert health.pending == 1, health
        assert state.runs() == runs[::-1]
        assert all(state.result(run) for run in runs)
        subprocess.run(["umount", where], check=True)
        state.flush()
        check_all(state, runs)


def is_read_only(disk: Path) -> None:
    """A daemon cannot start where it can write nothing."""
    State.open(disk / "state").close()
    mount("-o", "remount,ro", disk)
    with pytest.raises(ConfigError, match="cannot be locked: Read-only file system; make it"):
        State.open(disk / "state")
    mount("-o", "remount,rw", disk)


if __name__ == "__main__":
    logging.disable()
    scenarios: dict[str, Callable[[Path], None]] = {
        "fills": fills,
        "starts_full": starts_full,
        "pruned": pruned,
        "turns_read_only": turns_read_only,
        "is_read_only": is_read_only,
    }
    scenarios[sys.argv[1]](Path(sys.argv[2]))
    sys.stdout.write("as expected")
