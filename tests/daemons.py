"""Daemons as processes of their own, with settings, a log and a state directory in tmp_path.

Whatever a daemon starts inherits a mark in its environment: so a test finds all of its processes,
and none but these, also after the daemon is gone.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

DEADLINE_SECONDS = 90.0
"""A condition that is not met by then never will be, on the slowest of machines."""

_LOOK_EVERY_SECONDS = 0.1
_MARK = "AGENTMEM_OBSERVE_TEST"
_TOKEN = "a token that only this test knows"
_LINES_SHOWN = 40
_COMMAND = [sys.executable, "-m", "agentmem_observe", "daemon"]

Found = TypeVar("Found")


def until(
    what: str, look: Callable[[], Found], *, explain: Callable[[], str] = lambda: ""
) -> Found:
    """Look again and again until there is something; fail with what there is instead."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    pause = threading.Event()
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"not seen within {DEADLINE_SECONDS:g} s: {what}\n{explain()}")
        pause.wait(_LOOK_EVERY_SECONDS)
    return found


class Metrics:
    """What /metrics says."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self._samples = [sample for family in families for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """Return the one value of this name, with these labels among others."""
        (sample,) = self._of(name, labels)
        return float(sample.value)

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of all values of this name, with these labels among others."""
        return sum(float(sample.value) for sample in self._of(name, labels))

    def names(self, **labels: str) -> set[str]:
        """Return the names of all series with these labels."""
        return {sample.name for sample in self._of("", labels)}

    def _of(self, name: str, labels: Mapping[str, str]) -> list[Sample]:
        return [
            sample
            for sample in self._samples
            if name in ("", sample.name.removeprefix("agentmem_"))
            and labels.items() <= sample.labels.items()
        ]


class Daemon:
    """One state directory and its settings, and the daemon that runs on them at the moment.

    Attributes:
        directory: Holds settings, log and, in ``state``, its state.
        state: Where the daemon, which may see other mounts, finds its state.
        pid: Of the daemon.
    """

    def __init__(
        self,
        directory: Path,
        settings: str,
        *,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Write the settings; `start` starts it.

        Args:
            directory: Of its own.
            settings: TOML.
            prefix: A command that ends by executing what follows it.
            environment: Further variables.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.state = directory, directory / "state"
        self.log_file, self._settings = directory / "log.jsonl", directory / "daemon.toml"
        self._prefix, self._mark = prefix, uuid.uuid4().hex
        self._environment = {
            **os.environ,
            _MARK: self._mark,
            "AGENTMEM_OBSERVE_WEB_TOKEN": _TOKEN,
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._http = requests.Session()
        self._http.trust_env = False
        self.url = ""
        self.configure(settings)

    # Its life

    def configure(self, settings: str) -> None:
        """Write other settings; it does not know yet."""
        self._settings.write_text(settings)

    def spawn(self) -> "Daemon":
        """Start it and do not wait."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    *_COMMAND,
                    *["--config", str(self._settings), "--state-dir", str(self.state)],
                    *["--web.listen-address", "127.0.0.1:0", "--log-format", "json"],
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=self._environment,
            )
        return self

    def start(self) -> "Daemon":
        """Start it and wait until its jobs have been started."""
        served = len(self.said("serving"))
        self.spawn()
        process = self._process
        assert process is not None
        self.until(
            "it serves, or has ended",
            lambda: len(self.said("serving")) > served or process.poll() is not None,
        )
        if process.poll() is not None:
            pytest.fail(f"it ended with code {process.returncode}\n{self._explain()}")
        self.url = self.said("serving")[-1]["url"]
        self.until("it is ready", lambda: self.get("/readyz").status_code == 200)
        return self

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command for daemons as somebody does who sees what it sees."""
        return subprocess.run(
            [
                *self._prefix,
                *_COMMAND,
                arguments[0],
                "--state-dir",
                str(self.state),
                *arguments[1:],
            ],
            capture_output=True,
            text=True,
            env=self._environment,
            check=False,
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for its end and return its exit code, negative for a signal."""
        process = self._process
        assert process is not None
        self.until("it has ended", lambda: process.poll() is not None)
        return int(process.returncode)

    def stop(self) -> int:
        """End it as service managers do, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        self.signal(signal.SIGKILL)
        self.wait()

    def processes(self) -> dict[int, psutil.Process]:
        """Return all that it started and that still lives, the daemon itself too."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self._mark and (
                    process.status() != psutil.STATUS_ZOMBIE
                ):
                    found[process.pid] = process
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def workers(self) -> dict[int, psutil.Process]:
        """Return its workers."""
        found = {}
        for pid, process in self.processes().items():
            try:
                if process.ppid() == self.pid:
                    found[pid] = process
            except psutil.NoSuchProcess:
                continue
        return found

    def no_process_is_left(self) -> None:
        """Wait until none of its processes lives."""
        self.until("none of its processes lives", lambda: not self.processes())

    def end(self) -> None:
        """Kill whatever of it lives, by process id."""
        for process in self.processes().values():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            self._process.wait(DEADLINE_SECONDS)
        until("none of its processes lives", lambda: not self.processes())
        self._http.close()

    # What it says

    def said(self, event: str = "", **fields: object) -> list[dict[str, Any]]:
        """Return the lines of its log of this event, with these fields."""
        lines = self.log_file.read_text().splitlines() if self.log_file.exists() else []
        records = [json.loads(line) for line in lines if line.startswith("{")]
        return [
            record
            for record in records
            if event in ("", record["event"])
            and all(record.get(name) == value for name, value in fields.items())
        ]

    def get(self, path: str) -> requests.Response:
        """Ask something."""
        return self._http.get(self.url + path, timeout=DEADLINE_SECONDS)

    def post(self, path: str) -> requests.Response:
        """Ask for something."""
        headers = {"Authorization": f"Bearer {_TOKEN}"}
        return self._http.post(self.url + path, headers=headers, timeout=DEADLINE_SECONDS)

    def json(self, path: str) -> Any:
        """Return what ``/api/v1`` answers."""
        response = self.get(f"/api/v1/{path}")
        assert response.status_code == 200, response.text
        return response.json()

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.json("status")
        return status

    def job(self, name: str) -> dict[str, Any]:
        job: dict[str, Any] = self.json(f"jobs/{name}")
        return job

    def windows(self, name: str) -> list[dict[str, Any]]:
        windows: list[dict[str, Any]] = self.job(name)["windows"]
        return windows

    def runs(self, name: str = "") -> list[dict[str, Any]]:
        """Return runs, oldest first."""
        of_job = f"&job={name}" if name else ""
        runs: list[dict[str, Any]] = self.json(f"runs?limit=1000{of_job}")["runs"]
        return runs[::-1]

    def metrics(self) -> Metrics:
        return Metrics(self.get("/metrics").text)

    def until(self, what: str, look: Callable[[], Found]) -> Found:
        """Wait for something; a failure shows the log and how all stands."""
        return until(what, look, explain=self._explain)

    def until_windows(self, name: str, more: int = 1) -> list[dict[str, Any]]:
        """Wait for so many more windows of a soak, and return all."""
        before = len(self.windows(name))
        self.until(
            f"{more} more windows of {name}", lambda: len(self.windows(name)) >= before + more
        )
        return self.windows(name)

    def moments(self, count: int) -> Iterator[int]:
        """Yield so many times, a tenth of a second apart."""
        pause = threading.Event()
        for number in range(count):
            yield number
            pause.wait(_LOOK_EVERY_SECONDS)

    def _explain(self) -> str:
        log = self.log_file.read_text().splitlines() if self.log_file.exists() else []
        try:
            status = json.dumps(_brief(self.status()), indent=1) if self.url else "not asked"
        except requests.RequestException as error:
            status = f"none: {error}"
        processes = {pid: process.status() for pid, process in self.processes().items()}
        return "\n".join(["log:", *log[-_LINES_SHOWN:], f"processes: {processes}", status])


def _brief(status: dict[str, Any]) -> dict[str, Any]:
    """Return a status without what fills pages."""
    left_out = ("live", "validity", "leak", "drift", "last_run")
    jobs = [{k: v for k, v in job.items() if k not in left_out} for job in status["jobs"]]
    return {**status, "jobs": jobs}


class Daemons:
    """Makes daemons, and ends them."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        """Make none yet.

        Args:
            directory: Gets a directory for each.
            environment: Further variables of all.
        """
        self._directory, self._environment = directory, environment or {}
        self._numbers = itertools.count(1)
        self._daemons: list[Daemon] = []

    def __call__(self, settings: str, **further: Any) -> Daemon:
        """Prepare one; see `Daemon`."""
        directory = self._directory / f"daemon{next(self._numbers)}"
        environment = {**self._environment, **further.pop("environment", {})}
        daemon = Daemon(directory, settings, environment=environment, **further)
        self._daemons.append(daemon)
        return daemon

    def end(self) -> None:
        """End all that still live."""
        for daemon in self._daemons:
            daemon.end()


def job_table(name: str, values: Mapping[str, object]) -> str:
    """Return the settings of a job, in TOML."""
    lines = [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
    return "\n".join([f"[jobs.{name}]", *lines, ""])


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)  # texts, numbers, truth values and lists are written alike
