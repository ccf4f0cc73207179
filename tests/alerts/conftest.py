"""Alertmanager with a configuration, and a webhook that it sends to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.daemons import until
from tests.prometheus import find_program, listening, promtool, start_prometheus

__all__ = ["promtool", "start_prometheus"]  # fixtures for all tests here


class Alertmanager:
    """A server that listens.

    Attributes:
        url: Such as ``http://127.0.0.1:41233``.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def alerts(self) -> list[dict[str, Any]]:
        """Return all alerts that it has, held back or not."""
        found: list[dict[str, Any]] = requests.get(f"{self.url}/api/v2/alerts", timeout=30).json()
        return found

    def post(self, *alerts: dict[str, Any]) -> None:
        """Tell it of alerts, as Prometheus does."""
        requests.post(f"{self.url}/api/v2/alerts", json=alerts, timeout=30).raise_for_status()


@pytest.fixture
def start_alertmanager(tmp_path: Path) -> Iterator[Callable[[Path], Alertmanager]]:
    """Return a function that starts Alertmanager with a configuration."""
    with ExitStack() as servers:

        def start(config: Path) -> Alertmanager:
            server = listening(
                "prometheus-alertmanager",
                f"--config.file={config}",
                f"--storage.path={tmp_path / 'alertmanager-data'}",
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
                ready="Listening on",
            )
            alertmanager = Alertmanager(servers.enter_context(server))
            ready = f"{alertmanager.url}/-/ready"
            until("Alertmanager is ready", lambda: requests.get(ready, timeout=30).ok)
            return alertmanager

        yield start


class Receiver:
    """A webhook on this machine that keeps what Alertmanager sends.

    Attributes:
        url: Where it listens.
        messages: As they came, oldest first.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        messages = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                messages.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"

    def alerts(self, name: str = "") -> list[dict[str, Any]]:
        """Return the firing alerts of this name that came."""
        return [
            alert
            for message in list(self.messages)
            for alert in message["alerts"]
            if name in ("", alert["labels"]["alertname"]) and alert["status"] == "firing"
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


@pytest.fixture(scope="session")
def amtool() -> str:
    """Return the path of amtool."""
    return find_program("amtool")
