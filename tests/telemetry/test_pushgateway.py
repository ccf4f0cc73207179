"""What a Pushgateway gets, and what is said, and never said, when it does not take it."""

import base64
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agentmem_observe.errors import ExportError, UsageError
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.prometheus import Format, encode
from agentmem_observe.telemetry.pushgateway import Gateway, push_metrics
from agentmem_observe.telemetry.registry import MetricRegistry

RUN = {"target": "fake", "category": "storage", "benchmark": "write_throughput"}
ITEMS = "agentmem_exporter_items_total"


@dataclass
class Received:
    """The requests that a gateway got, and its address."""

    port: int = 0
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def gateway() -> Iterator[Callable[..., Received]]:
    """Return a function that starts a gateway which answers with a status and a text."""
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []
    silence = threading.Event()

    def start(status: int = 202, text: str = "", *, silent: bool = False) -> Received:
        received = Received()

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.requests.append((self.command, self.path, dict(self.headers), body))
                if silent:
                    silence.wait()
                    return
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        received.port = server.server_port
        return received

    yield start
    silence.set()
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def registry() -> MetricRegistry:
    registry = MetricRegistry(now=lambda: 1e9)
    registry.set(catalog.BENCHMARK_DURATION, RUN, 1.5)
    registry.add(catalog.BENCHMARK_RUNS, RUN | {"status": "ok"}, 1)
    return registry


def items(registry: MetricRegistry) -> dict[tuple[str, ...], object]:
    return {
        sample.labels: sample.value
        for family in registry.collect()
        if family.metric.name == ITEMS
        for sample in family.samples
    }


def test_a_gateway_gets_the_page_that_a_scraper_would(gateway, registry):
    received = gateway()
    page = encode(registry.collect(), Format.TEXT)

    push_metrics(registry, f"http://127.0.0.1:{received.port}", instance="a/b")

    ((method, path, headers, body),) = received.requests
    assert (method, body) == ("PUT", page)
    assert path == "/metrics/job/agentmem_observe/instance@base64/YS9i"
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "Authorization" not in headers
    assert items(registry) == {("pushgateway", "sent"): 1}


def test_credentials_go_to_the_header_alone(gateway, registry):
    received = gateway()

    push_metrics(registry, f"http://me:p%40ss%3A%2F@127.0.0.1:{received.port}/under/")

    ((_, path, headers, body),) = received.requests
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"me:p@ss:/"
    assert path.startswith("/under/metrics/job/agentmem_observe/instance/")
    assert b"p@ss" not in body
    assert headers["Host"] == f"127.0.0.1:{received.port}"


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (400, "pushed metrics are\ninvalid", "HTTP 400: pushed metrics are invalid"),
        (400, "", "HTTP 400: Bad Request; see its log"),
        (401, "", "HTTP 401: Unauthorized; put them into the URL"),
        (403, "", "HTTP 403: Forbidden; see whether this user may push"),
        (404, "", "HTTP 404: Not Found; name its base URL"),
        (302, "", "HTTP 302: Found; see its log"),
        (500, "x" * 100_000, "HTTP 500: Internal Server Error; see its log"),
    ],
)
def test_a_refusal_is_told_with_the_host_and_a_cure_and_no_secret(
    status, text, said, gateway, registry
):
    received = gateway(status, text)

    with pytest.raises(ExportError) as caught:
        push_metrics(registry, f"http://user:secret@127.0.0.1:{received.port}")

    message = str(caught.value)
    start = f"Pushgateway 127.0.0.1:{received.port} did not take the metrics: {said}"
    assert message.startswith(start)
    assert "secret" not in message + repr(caught.value.__cause__)
    assert base64.b64encode(b"user:secret").decode() not in message
    assert items(registry) == {("pushgateway", "failed"): 1}


def test_a_gateway_that_says_nothing_is_given_up(gateway, registry):
    received = gateway(silent=True)

    with pytest.raises(ExportError, match=r"no answer within 0\.1 s; see whether it is up"):
        push_metrics(registry, f"127.0.0.1:{received.port}", timeout_seconds=0.1)

    assert items(registry) == {("pushgateway", "failed"): 1}


def test_a_gateway_that_is_down_is_said_to_be(gateway, registry):
    received = gateway()
    port = received.port
    free = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = free.server_port
    free.server_close()

    with pytest.raises(ExportError, match="Connection refused; see whether it is running"):
        push_metrics(registry, f"http://127.0.0.1:{port}")


def test_a_host_that_cannot_be_looked_up_is_an_error_too(registry):
    with pytest.raises(ExportError, match=r"did not take the metrics: Unicode(Encode)?Error; see"):
        push_metrics(registry, f"http://{'a' * 100}/")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "http://user:secret@",
        "ftp://user:secret@host",
        "http://user:secret@host:port",
        "http://user:secret@host:99999",
        "http://user:secret@[::1",
        "http://user:secret@host/?token=secret",
        "http://user:secret@host/#secret",
        "http://user:secret@ho st/",
        "http://user:secret@host/\nHeader: x",
        "http://user:secret@host/\x00",
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(text):
    with pytest.raises(UsageError, match=r"--push-gateway: .*; write http://HOST:PORT") as caught:
        Gateway.parse(text)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("gateway:9091", "http://gateway:9091"),
        ("https://gateway/", "https://gateway"),
        ("http://[::1]:9091/a/b/", "http://[::1]:9091/a/b"),
        ("user@gateway", "http://gateway"),
        ("http://u:p@ss@gateway", "http://gateway"),
    ],
)
def test_a_gateway_is_named_as_people_do(text, url):
    gateway = Gateway.parse(text)

    assert gateway.url == url
    assert "p@ss" not in repr(gateway)
