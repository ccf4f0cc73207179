import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.cli import main
from agentmem_observe.results.store import BenchmarkResults

SUITE = '''
from pathlib import Path


def benchmark_fine(size=3, **kwargs):
    """Say how big it is."""
    return {"size": size}


def benchmark_broken(**kwargs):
    raise RuntimeError("the dog ate it")


def benchmark_picky(bench, **kwargs):
    bench.tiers(["attic"])
'''


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command line in this process."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Return a directory with benchmarks that are done at once, of the category ``mine``."""
    directory = tmp_path / "suite"
    directory.mkdir()
    (directory / "mine.py").write_text(SUITE)
    return directory


@pytest.fixture
def store(tmp_path: Path) -> BenchmarkResults:
    """Return a directory of three results, the last one damaged."""
    results = BenchmarkResults(tmp_path / "results")
    metadata = {
        "execution_time": 1.5,
        "status": "ok",
        "warnings": ["it rained"],
        "validity": {"verdict": "degraded", "reasons": ["it rained"]},
    }
    results.save_result("fine", "mine", {"size_bytes": 3}, metadata, "20260101_000000")
    skipped = {"execution_time": 0.1, "status": "skipped", "reason": "no attic", "warnings": []}
    results.save_result("picky", "mine", {}, skipped, "20260102_000000")
    Path(results.results_dir, "mine", "torn_20260103_000000.json").write_text('{"benchmark": ')
    return results


@pytest.fixture
def on_terminal() -> Callable[..., Ran]:
    """Run the command line as a process on a terminal of its own.

    ``err`` is what it wrote to the terminal, and ``out`` too unless standard output is ``piped``.
    """

    def run(
        *arguments: object, columns: int, piped: bool = False, env: Mapping[str, str] | None = None
    ) -> Ran:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        process = subprocess.Popen(
            [sys.executable, "-m", "agentmem_observe", *map(str, arguments)],
            stdin=theirs,
            stdout=subprocess.PIPE if piped else theirs,
            stderr=theirs,
            env=environment | {"TERM": "xterm-256color"} | dict(env or {}),
        )
        os.close(theirs)
        shown = _until_closed(ours)
        out = process.stdout.read().decode() if process.stdout else shown
        if process.stdout:
            process.stdout.close()
        return Ran(process.wait(), out, shown)

    return run


def _until_closed(terminal: int) -> str:
    parts = []
    while True:
        try:
            parts.append(os.read(terminal, 1 << 16))
        except OSError:  # how a terminal says that nobody has it open any more
            break
    os.close(terminal)
    return b"".join(parts).decode()


@pytest.fixture
def screen() -> Callable[[str], list[str]]:
    """Turn what was written to a terminal into the lines that are left on it."""

    def draw(written: str) -> list[str]:
        lines, row = [""], 0
        column = 0
        for token in re.findall(r"\x1b\[\??[\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", written):
            if token == "\r":
                column = 0
            elif token == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif token == "\x1b[2K":
                lines[row] = ""
            elif token == "\x1b[1A":
                row -= 1
            elif not token.startswith("\x1b"):
                line = lines[row].ljust(column)
                lines[row] = line[:column] + token + line[column + len(token) :]
                column += len(token)
        return [line.rstrip() for line in lines]

    return draw


@pytest.fixture
def storage_result() -> dict[str, Any]:
    """Return a document as the storage benchmarks make it: many rows, many figures."""
    figures = {
        "throughput_ops_per_second": 123456.7,
        "total_time_seconds": 0.0123,
        "items_processed": 10000,
        "loop": "closed",
        "outcomes": {"ok": 10000},
        "service_time_p50_seconds": 0.0000123,
        "service_time_p95_seconds": 0.000234,
        "service_time_p99_seconds": 0.00345,
        "service_time_p99_9_seconds": 0.0456,
        "service_time_max_seconds": 0.5678,
        "validity": "valid",
    }
    tiers = {"stm": figures, "im": figures, "ltm": figures}
    return {
        "benchmark": "write_throughput",
        "category": "storage",
        "timestamp": "20260101_000000",
        "results": {
            f"complexity_{complexity}": {
                f"batch_{size}": figures | {"tiers": tiers} for size in (10, 10_000)
            }
            for complexity in (1, 10)
        },
        "metadata": {
            "execution_time": 12.0,
            "status": "ok",
            "warnings": ["degraded: " + "the host was busy with something else " * 4],
            "validity": {"verdict": "degraded", "reasons": []},
        },
    }
