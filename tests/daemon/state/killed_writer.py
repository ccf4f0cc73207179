"""Writes to a state until it is killed, again and again, and checks each time what is left.

Run by test_state.py as a process of its own, which forks the one that writes: so no start of an
interpreter is paid for each kill. Prints what it saw as JSON.
"""

import json
import logging
import os
import random
import resource
import select
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any, NoReturn

from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import RunRow, WindowRow

LONGEST_SECONDS = 0.04
OLD = 1.0


def write_for_ever(directory: Path, told: int) -> NoReturn:
    """Save windows, results and runs, and tell of each once it is saved; delete old runs too."""

    def tell(what: str, which: object) -> None:
        os.write(told, f"{what} {which}\n".encode())

    with State.open(directory) as state:
        tell("open", "")
        number = 0
        while True:
            number += 1
            state.save_window(
                WindowRow("soak", str(os.getpid()), number, 0.0, 9.0, {"x": "y" * 99})
            )
            tell("window", number)
            path = state.results("nightly").save_document(result("write"))
            tell("result", path)
            tell("run", state.save_run(run_row("nightly", path, at=2 * OLD)).id)
            state.save_run(run_row("old", state.results("old").save_document(result("old")), OLD))
            state.prune(2 * OLD, {"nightly": None, "soak": None}, 0.5 * OLD, None)


def result(benchmark: str) -> dict[str, Any]:
    return {
        "benchmark": benchmark,
        "category": "storage",
        "timestamp": "20250323_145623",
        "results": {"padding": "x" * 30_000},
        "metadata": {"ended_at": "2025-03-23T14:56:23+00:00"},
    }


def run_row(job: str, path: str, at: float) -> RunRow:
    return RunRow(None, job, "storage", "write", "t", 0.0, at, "ok", "", "", path, "valid", {})


def killed(directory: Path, chance: random.Random) -> tuple[int, list[tuple[str, str]]]:
    """Let a child write, kill it at some moment, and return what it told.

    Half of them are killed as soon as a result is told of: its row is not there yet, or just now.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            write_for_ever(directory, writer)
        finally:
            os._exit(1)
    os.close(writer)
    with open(reader, "rb", buffering=0) as pipe:
        told = pipe.read(1)
        if chance.random() < 0.5:
            select.select([], [], [], chance.uniform(0.0, LONGEST_SECONDS))
        else:
            least = chance.randint(1, 4)
            while told.count(b"result ") < least:
                told += pipe.read(4096)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert status == signal.SIGKILL, f"it ended by itself: {status}"
        told += pipe.readall()
    lines = [line.partition(" ") for line in told.decode().splitlines()]
    return child, [(what, which) for what, _, which in lines]


def check(directory: Path, seen: dict[str, set[str]]) -> None:
    """See that all that was told of in any life is there, and is whole."""
    with State.open(directory) as state:
        assert state.health().warnings == (), state.health()
        runs = state.runs("nightly", limit=10_000)
        assert seen["run"] <= {str(row.id) for row in runs}
        assert seen["result"] <= {row.path for row in runs}
        assert len({row.path for row in runs}) == len(runs)
        for row in runs:
            assert json.loads(Path(row.path).read_text())["results"]["padding"] == "x" * 30_000
        windows = {f"{row.soak}/{row.number}" for row in state.windows("soak", limit=10_000)}
        assert seen["window"] <= windows
    assert list(directory.rglob("*.tmp")) == []
    connection = sqlite3.connect(directory / "state.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


class Recovered(logging.Handler):
    """Counts the runs that the state says it read back."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("%s: read %d runs back"):
            self.count += record.args[1]  # type: ignore[index,operator]  # of this message, an int


def main(directory: Path, rounds: int, seed: int) -> None:
    """Kill so many children."""
    logger = logging.getLogger("agentmem_observe")
    logger.addHandler(recovered := Recovered())
    logger.setLevel(logging.INFO)
    chance = random.Random(seed)
    seen: dict[str, set[str]] = {"open": set(), "window": set(), "result": set(), "run": set()}
    half_written = 0
    for _ in range(rounds):
        child, told = killed(directory, chance)
        for what, which in told:
            seen[what].add(f"{child}/{which}" if what == "window" else which)
        half_written += len(list(directory.rglob(".*.json.tmp")))
        check(directory, seen)
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    saw = {
        "windows": len(seen["window"]),
        "results": len(seen["result"]),
        "half_written": half_written,
        "recovered": recovered.count,
        "cpu_seconds": sum(each.ru_utime + each.ru_stime for each in usages),
    }
    sys.stdout.write(json.dumps(saw))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
