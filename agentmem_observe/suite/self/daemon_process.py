"""A daemon of our own, started in a run's directory as people start theirs, and looked at."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from agentmem_observe.errors import BenchmarkError
from agentmem_observe.measure.process import ProcessProbe, ProcessSample

SETTINGS_FILE = "daemon.toml"

_ARGUMENTS = (
    *("--config", SETTINGS_FILE),
    *("--state-dir", "state"),
    *("--web.listen-address", "127.0.0.1:0"),
)
_READY_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.1
_FAREWELL_SECONDS = 30.0
_ANSWER_SECONDS = 10.0
_LOG_TAIL = 2_000  # characters
_FOREIGN = ("AGENTMEM_OBSERVE_", "OTEL_")  # what is set for this process is not for that one


class DaemonProcess:
    """One that runs.

    Attributes:
        url: Where it listens, such as ``http://127.0.0.1:41233``.
        pid: Of its process; its workers have their own.
    """

    def __init__(self, url: str, pid: int) -> None:
        """Look at a daemon.

        Args:
            url: Where it listens.
            pid: Of its process.
        """
        self.url, self.pid = url, pid
        self._probe = ProcessProbe(pid)

    def look(self) -> ProcessSample:
        """Return what it uses now.

        Raises:
            BenchmarkError: If it is gone.
        """
        sample = self._probe.sample()
        if sample is None:
            raise BenchmarkError(f"the daemon with process {self.pid} is gone; see its log")
        return sample

    def ask(self, path: str) -> Any:
        """Return the JSON that it answers.

        Args:
            path: Such as ``/api/v1/status``.

        Raises:
            BenchmarkError: If it does not.
        """
        return json.loads(self.read(path))

    def read(self, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        """Return the body that it answers.

        Args:
            path: Such as ``/metrics``.
            headers: To send.

        Raises:
            BenchmarkError: If it does not.
        """
        request = Request(self.url + path, headers=dict(headers or {}))
        try:
            with urlopen(request, timeout=_ANSWER_SECONDS) as answer:
                body: bytes = answer.read()
                return body
        except OSError as error:  # of urllib too
            raise BenchmarkError(
                f"{request.full_url}: no answer of the daemon: {error}"
            ) from error


@contextmanager
def running_daemon(directory: Path, jobs: str) -> Iterator[DaemonProcess]:
    """Yield a daemon that answers; it and its workers end with the context.

    Args:
        directory: Exists; gets its settings, its log and its state.
        jobs: Tables of its settings, in TOML.

    Raises:
        BenchmarkError: If it does not start, with the end of its log.
    """
    (directory / SETTINGS_FILE).write_text(jobs)
    state = directory / "state"
    with (directory / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agentmem_observe", "daemon", *_ARGUMENTS],
            cwd=directory,
            env={k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _ready(process, directory, state / "endpoint.json")
    finally:
        _end(process)


def _ready(process: subprocess.Popen[bytes], directory: Path, note: Path) -> DaemonProcess:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if note.exists() and _answers(url := json.loads(note.read_text())["url"]):
            return DaemonProcess(url, process.pid)
        time.sleep(_LOOK_EVERY_SECONDS)
    tail = (directory / "daemon.log").read_text("utf-8", "replace")[-_LOG_TAIL:].strip()
    raise BenchmarkError(f"the daemon did not start within {_READY_SECONDS:g} s: {tail}")


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz", timeout=_ANSWER_SECONDS):
            return True
    except URLError:  # the next look tells
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Have it end its workers, too; they also end by themselves when it is killed."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_FAREWELL_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
