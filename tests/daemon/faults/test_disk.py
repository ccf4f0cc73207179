"""A disk that fills up: the daemon measures on, says so, and writes what waited when it can."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SIZE = "3m"
FULL = "the disk is full; free some space"


@dataclass(frozen=True)
class SmallDisk:
    """A small file system that nobody else sees.

    Attributes:
        path: Where those see it who are started with ``prefix``.
        prefix: Of a command that shall see it.
        from_outside: Where all others see it.
    """

    path: Path
    prefix: list[str]
    from_outside: Path

    def fill(self) -> Path:
        """Take what room is left, to the last byte."""
        ballast = self.from_outside / "ballast"
        with ballast.open("ab", buffering=0) as file:
            for size in (4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(b"x" * size)
        return ballast


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if not (shutil.which("unshare") and shutil.which("nsenter")):
        pytest.skip("unshare and nsenter, of util-linux, are not installed")
    path = tmp_path / "disk"
    path.mkdir()
    mount = f"mount -t tmpfs -o size={SIZE} none {path} && echo mounted && exec cat"
    # It keeps the mount, which ends with the last process that sees it.
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", mount],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        assert keeper.stderr is not None
        if keeper.stdout.readline() != b"mounted\n":
            pytest.skip(f"nothing can be mounted here: {keeper.stderr.read().decode().strip()}")
        seen_by_it = Path(f"/proc/{keeper.pid}/root{path}")
        prefix = ["nsenter", f"--mount=/proc/{keeper.pid}/ns/mnt", f"--wd={tmp_path}"]
        yield SmallDisk(path, prefix, seen_by_it)
        keeper.stdin.close()


def test_a_full_disk_stops_no_measurement_and_loses_nothing(
    new_daemon: Callable[..., Any],
    soak: Callable[..., str],
    benchmark: Callable[..., str],
    disk: SmallDisk,
) -> None:
    daemon = new_daemon(soak() + benchmark(every="2s"), prefix=disk.prefix)
    daemon.state = disk.path / "state"
    daemon.start()
    daemon.until_windows("steady")
    daemon.until("a run", lambda: daemon.runs("often"))

    ballast = disk.fill()
    daemon.until("the disk's problem", lambda: daemon.status()["disk"]["problem"])
    before = len(daemon.runs())
    daemon.until_windows("steady", more=3)
    daemon.until("another run", lambda: len(daemon.runs()) > before)
    daemon.until("its metric", lambda: daemon.metrics()("daemon_state_writable") == 0)
    full, counted = daemon.status()["disk"], daemon.metrics()
    daemon.until_windows("steady")
    operations = daemon.metrics().total("operations_total")
    windows, runs = daemon.windows("steady"), daemon.runs()
    ballast.unlink()
    daemon.until("nothing waits", lambda: daemon.status()["disk"]["pending"] == 0)
    free = daemon.status()["disk"]
    daemon.kill()
    daemon.start()

    assert (full["writable"], full["lost"]) == (False, 0)
    assert full["problem"].endswith(FULL)
    assert full["pending"] > 0
    assert counted("daemon_state_pending_writes") > 0
    assert operations > counted.total("operations_total"), "it exported no more"
    assert any(FULL in each["message"] for each in daemon.said(level="warning"))
    assert (free["writable"], free["problem"], free["lost"]) == (True, "", 0)
    assert any("are written again" in each["message"] for each in daemon.said(level="info"))
    assert daemon.windows("steady")[: len(windows)] == windows
    assert daemon.runs()[: len(runs)] == runs
    assert all(daemon.json(f"runs/{run['id']}")["result"] for run in runs)


def test_a_daemon_that_was_killed_starts_on_a_full_disk(
    new_daemon: Callable[..., Any],
    soak: Callable[..., str],
    benchmark: Callable[..., str],
    disk: SmallDisk,
) -> None:
    daemon = new_daemon(soak() + benchmark(), prefix=disk.prefix)
    daemon.state = disk.path / "state"
    daemon.start()
    daemon.until_windows("steady")
    daemon.until("a run", lambda: daemon.runs("often"))
    windows, runs = daemon.windows("steady"), daemon.runs()

    ballast = disk.fill()
    daemon.kill()
    daemon.start()
    shown = daemon.until_windows("steady")
    problem = daemon.status()["disk"]["problem"]
    asked = daemon.command("status")
    ballast.unlink()
    daemon.until("nothing waits", lambda: daemon.status()["disk"]["pending"] == 0)

    assert shown[: len(windows)] == windows
    assert daemon.runs() == runs
    assert problem.endswith(FULL)
    assert FULL in asked.stdout
    assert asked.returncode == 1
    assert daemon.stop() == 0
