"""A real Prometheus for the tests that want one, each with its own port and data directory."""

import json
import re
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

_ATTEMPTS = 400
_PAUSE_SECONDS = 0.05  # between attempts; 20 s in all, for a machine that is busy with others


@dataclass(frozen=True)
class Prometheus:
    """A server that listens.

    Attributes:
        url: Such as ``http://127.0.0.1:41233``.
    """

    url: str

    def get(self, path: str, **params: str | float) -> Any:
        """Return the data of an answer of the API, such as ``/api/v1/targets``."""
        query = urllib.parse.urlencode(params)
        with urllib.request.urlopen(f"{self.url}{path}?{query}", timeout=30) as response:
            answer = json.load(response)
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, promql: str, **params: str | float) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each series of an instant vector."""
        found = self.get("/api/v1/query", query=promql, **params)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def until(self, read: Callable[[], T]) -> T:
        """Return what a function returns, as soon as it is truthy; fail after some attempts."""
        for _ in range(_ATTEMPTS):
            if value := read():
                return value
            threading.Event().wait(_PAUSE_SECONDS)
        pytest.fail(f"still {value!r}; targets: {self.get('/api/v1/targets')['activeTargets']}")

    def scraped(self, job: str, *, times: int = 1) -> None:
        """Wait until a job's target was scraped so often and is up; fail if it never is."""
        series = f'{{job="{job}"}}'
        query = f"up{series} == 1 and count_over_time(up{series}[1h]) >= {times}"
        self.until(lambda: self.query(query))


_LISTENING = re.compile(r'msg="Listening on" .*?address=(\S+)')

StartPrometheus = Callable[..., Prometheus]


@pytest.fixture(scope="module")
def start_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartPrometheus]:
    """Return a function that starts a server, alive until the module's tests are done.

    Its arguments: ``scrape_configs``, as in the configuration file, scraped twice a second, the
    first time after five seconds (it lets targets settle); ``features`` to enable; ``data``, a
    directory with blocks to serve; ``flags``, further ones; and further sections of the file.
    """
    with ExitStack() as servers:

        def start(
            *scrape_configs: dict[str, Any],
            features: Sequence[str] = (),
            data: Path | None = None,
            flags: Sequence[str] = (),
            **sections: Any,
        ) -> Prometheus:
            directory = tmp_path_factory.mktemp("prometheus")
            config = {
                "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
                "scrape_configs": list(scrape_configs),
                **sections,
            }
            file = directory / "prometheus.yml"
            file.write_text(json.dumps(config))  # YAML is a superset of JSON
            arguments = [
                f"--config.file={file}",
                f"--storage.tsdb.path={data or directory / 'data'}",
                "--storage.tsdb.retention.time=100y",  # blocks of the past are served, not removed
                "--web.listen-address=127.0.0.1:0",
                *(f"--enable-feature={feature}" for feature in features),
                *flags,
            ]
            server = listening("prometheus", *arguments, ready="ready to receive web requests")
            return Prometheus(servers.enter_context(server))

        yield start


@pytest.fixture(scope="session")
def prometheus_version() -> tuple[int, ...]:
    """Return the version of the program that is started, such as (2, 42, 0)."""
    asked = subprocess.run(
        [find_program("prometheus"), "--version"], capture_output=True, text=True
    )
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", asked.stdout + asked.stderr)
    assert found, asked
    return tuple(map(int, found.groups()))


@pytest.fixture(scope="session")
def promtool() -> str:
    """Return the path of promtool."""
    return find_program("promtool")


@contextmanager
def listening(name: str, *arguments: str, ready: str) -> Iterator[str]:
    """Run a server of Prometheus' family for the length of the block, and yield its address.

    Args:
        name: Of the program.
        arguments: Of the command line.
        ready: What its log says when it can be used.
    """
    with subprocess.Popen(
        [find_program(name), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={"GOMAXPROCS": "1"},
    ) as server:
        assert server.stderr is not None
        log = ""
        for line in server.stderr:  # ends with the server, if that does not get so far
            log += line
            if (address := _LISTENING.search(log)) and ready in log:
                break
        else:
            pytest.fail(f"{name} did not start:\n{log}")
        # What it says later must not fill the pipe: it would stand still.
        drain = threading.Thread(target=server.stderr.read)
        drain.start()
        try:
            yield f"http://{address[1]}"
        finally:
            server.terminate()
            drain.join()


def find_program(name: str) -> str:
    """Return the path of a program; skip the test where it is missing."""
    program = shutil.which(name)
    if program is None:
        packages = "prometheus, promtool, prometheus-alertmanager"
        pytest.skip(f"no {name} on this machine; Debian's packages: {packages}")
    return program
