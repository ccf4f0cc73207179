"""Ctrl-C and SIGTERM in the middle of a run: what was measured is kept and told."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from agentmem_observe.cli.execution import StopSignals

# Stores some records, has the supervisor told, and then says through a named pipe that it works.
# The long phase is more than a pipe holds: once it is written, what came before it was read.
SUITE = """
import os


def benchmark_endless(bench, fifo, **kwargs):
    with bench.target() as target:
        bench.store(target, bench.records(100))
    bench.phase("stored")
    bench.phase("x" * 1_000_000)
    with open(fifo, "w") as pipe:
        pipe.write(str(os.getpid()))
    while True:
        with bench.target() as target:
            bench.store(target, bench.records(10))


def benchmark_next(**kwargs):
    return {}
"""


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def interrupted(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[int, str, str, int]]:
    """Interrupt a run; return exit code, standard output, standard error, and worker's pid."""
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "mine.py").write_text(SUITE)
    (tmp_path / "tmp").mkdir()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [sys.executable, "-m", "agentmem_observe", "run", "--suite", str(tmp_path / "suite"),
         "--params", f"fifo={fifo}", "--output-dir", str(tmp_path / "results"),
         "--export", "json", "--push-gateway", "http://127.0.0.1:9"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    try:
        worker = int(fifo.read_text())
        process.send_signal(request.param)
        out, err = process.communicate()
        yield process.returncode, out, err, worker
    finally:
        process.kill()
        process.wait()


def test_an_interrupted_run_keeps_what_it_measured(interrupted, tmp_path):
    code, out, err, worker = interrupted

    (result,) = json.loads(out)
    (path,) = (tmp_path / "results" / "mine").iterdir()
    assert code == 1
    assert json.loads(path.read_text()) == result
    assert (result["metadata"]["status"], result["metadata"]["reason"]) == (
        "failed",
        "interrupted",
    )
    (histogram,) = result["metadata"]["histograms"]
    assert histogram["service_time"]["count"] >= 100
    assert f"Interrupted. Kept 1 of 2 results:\n  {path}\n" in err
    assert "127.0.0.1:9 did not take the metrics" in err  # and costs nothing of the above
    assert not psutil.pid_exists(worker)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_first_signal_asks_and_the_second_insists():
    before = signal.getsignal(signal.SIGINT)
    runner = SimpleNamespace(stopped=False)
    runner.stop = lambda: setattr(runner, "stopped", True)

    with StopSignals() as signals:
        signals.runner = runner
        signal.raise_signal(signal.SIGINT)
        asked = runner.stopped
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)

    assert asked
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_outside_a_run_leaves_no_traceback(command, monkeypatch):
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agentmem_observe.cli.listing.discover", interrupt)

    ran = command("list")

    assert (ran.code, ran.out, ran.err) == (1, "", "\nInterrupted.\n")
