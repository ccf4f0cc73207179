"""Asks a server for too much, rightly and wrongly, and counts what it says: a process of its own.

Run as ``python -m agentmem_observe.suite.self.hammer URL SECONDS SCRAPERS``, it prints one JSON
object: by kind of request, how often each status came, or ``closed`` where none did.
"""

import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

Counts = dict[str, Counter[str]]

_TIMEOUT_SECONDS = 15.0
_LOWEST_PRIORITY = 19  # so that what disturbs is the server's work, not ours
_MALFORMED_CLIENTS = 4
_INTRUDERS = 4
_SLOW_CLIENTS = 50
_PAUSE_SECONDS = 0.01  # between wrong requests of one client
_DRIP_SECONDS = 1.0

_OPENMETRICS = "application/openmetrics-text;version=1.0.0"
_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

PAGES: tuple[tuple[str, dict[str, str]], ...] = (
    *(
        ("/metrics", {"Accept": accept, "Accept-Encoding": encoding})
        for accept in ("text/plain", _OPENMETRICS, _PROTOBUF)
        for encoding in ("identity", "gzip")
    ),
    ("/", {}),
    ("/api/v1/status", {}),
)
"""What scrapers ask for in turn: paths with their headers."""

MALFORMED = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    b"GET /metrics\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    bytes(range(256)) * 4,
)
"""What is no HTTP, or too much of it."""

WRITES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("POST", "/api/v1/jobs/idle/run", {}),
    ("POST", "/-/reload", {}),
    ("POST", "/api/v1/jobs/idle/run", {"Authorization": "Bearer wrong"}),
    ("PUT", "/-/reload", {"Authorization": "Basic YWRtaW46YWRtaW4="}),
    ("DELETE", "/api/v1/runs/1", {}),
    ("POST", "/-/reload", {"Authorization": "Bearer "}),
)
"""What changes something, from somebody who may not."""

TRAVERSALS = (
    "/../../../../etc/passwd",
    "/..%2f..%2fstate/token",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/page.css/../../../token",
    "//etc/passwd",
    "/api/v1/runs/..%2f..%2ftoken",
    "/api/v1/jobs/..%5c..%5ctoken",
    "/page.js%00.css",
    "/token",
    "/daemon.toml",
)
"""Paths to what is not served."""


class Peer(NamedTuple):
    """Whom to ask, and until when.

    Attributes:
        host: Its address.
        port: Its port.
        ends_at: When to cease, on the monotonic clock.
    """

    host: str
    port: int
    ends_at: float

    @property
    def over(self) -> bool:
        """Return whether to cease."""
        return time.monotonic() >= self.ends_at


def hammer(url: str, seconds: float, scrapers: int) -> Counts:
    """Ask in all wrong ways at once, and return what was answered, by kind of request.

    Args:
        url: Of the server.
        seconds: For how long.
        scrapers: How many ask for pages at once, each as soon as it has its answer.
    """
    address = urlsplit(url)
    peer = Peer(address.hostname or "", address.port or 80, time.monotonic() + seconds)
    work: list[tuple[str, Callable[[], Iterator[str]]]] = [
        *(("scrapes", lambda n=n: _scrape(peer, n)) for n in range(scrapers)),
        *(("malformed", lambda n=n: _send_nonsense(peer, n)) for n in range(_MALFORMED_CLIENTS)),
        *(("writes", lambda: _intrude(peer, WRITES)) for _ in range(_INTRUDERS)),
        *(
            ("traversals", lambda: _intrude(peer, [("GET", path, {}) for path in TRAVERSALS]))
            for _ in range(_INTRUDERS)
        ),
        *(("slow", lambda: _drip(peer)) for _ in range(_SLOW_CLIENTS)),
    ]
    counts: list[Counter[str]] = [Counter() for _ in work]
    threads = [
        threading.Thread(target=lambda told=told, ask=ask: told.update(ask()), daemon=True)
        for told, (_, ask) in zip(counts, work, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total: Counts = {kind: Counter() for kind, _ in work}
    for (kind, _), told in zip(work, counts, strict=True):
        total[kind].update(told)
    return total


def _scrape(peer: Peer, number: int) -> Iterator[str]:
    pages = islice(cycle(PAGES), number, None)
    connection = HTTPConnection(peer.host, peer.port, timeout=_TIMEOUT_SECONDS)
    while not peer.over:
        path, headers = next(pages)
        yield _ask(connection, "GET", path, headers)
    connection.close()


def _intrude(peer: Peer, requests: Sequence[tuple[str, str, Mapping[str, str]]]) -> Iterator[str]:
    connection = HTTPConnection(peer.host, peer.port, timeout=_TIMEOUT_SECONDS)
    for method, path, headers in cycle(requests):
        if peer.over:
            break
        yield _ask(connection, method, path, headers)
        time.sleep(_PAUSE_SECONDS)
    connection.close()


def _ask(connection: HTTPConnection, method: str, path: str, headers: Mapping[str, str]) -> str:
    try:
        connection.request(method, path, headers=dict(headers))
        answer = connection.getresponse()
        answer.read()
    except (OSError, HTTPException):
        connection.close()  # the next request opens it again
        return "closed"
    return str(answer.status)


def _send_nonsense(peer: Peer, number: int) -> Iterator[str]:
    for nonsense in islice(cycle(MALFORMED), number, None):
        if peer.over:
            return
        with _connected(peer) as connection:
            try:
                connection.sendall(nonsense)
                connection.shutdown(socket.SHUT_WR)
                yield _status(connection.recv(4096))
            except OSError:
                yield "closed"
        time.sleep(_PAUSE_SECONDS)


def _drip(peer: Peer) -> Iterator[str]:
    """Send a request a byte at a time, until it is cut off."""
    request = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"x" * 1_000
    while not peer.over:
        with _connected(peer) as connection:
            connection.settimeout(_DRIP_SECONDS)
            try:
                for byte in request:
                    if peer.over:
                        return
                    connection.sendall(bytes([byte]))
                    try:
                        answer = connection.recv(4096)
                    except TimeoutError:
                        continue  # nothing said yet: that was the pause before the next byte
                    yield _status(answer)
                    break
            except OSError:
                yield "closed"


@contextmanager
def _connected(peer: Peer) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET) as connection:
        connection.settimeout(_TIMEOUT_SECONDS)
        # What cannot connect cannot send either, and that is seen to.
        connection.connect_ex((peer.host, peer.port))
        yield connection


def _status(answer: bytes) -> str:
    words = answer.split(maxsplit=2)
    is_http = len(words) > 1 and words[0].startswith(b"HTTP/")
    return words[1].decode("ascii", "replace") if is_http else "closed"


def _give_way() -> None:
    """Let all others run first.

    Linux may share the CPUs out by session first, then in each by niceness: so in a session of our
    own, which has the lowest priority too.
    """
    os.nice(_LOWEST_PRIORITY)
    os.setsid()
    group = Path("/proc/self/autogroup")
    if group.exists():
        group.write_text(f"{_LOWEST_PRIORITY}")


def main(arguments: Sequence[str]) -> None:
    """Hammer, then print what was counted.

    Args:
        arguments: URL, seconds and the number of scrapers.
    """
    _give_way()
    url, seconds, scrapers = arguments
    counts = hammer(url, float(seconds), int(scrapers))
    sys.stdout.write(json.dumps(counts) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
