"""What exporting takes from a run: the same load with all exporters at work, and with none."""

import statistics
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.observers import Publisher
from agentmem_observe.bench.runner import BenchmarkRunner, RunOptions
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.errors import UsageError, did_you_mean
from agentmem_observe.telemetry.endpoint import MetricsEndpoint
from agentmem_observe.telemetry.otel_environment import read_settings
from agentmem_observe.telemetry.otlp import OtlpSession, describe_process
from agentmem_observe.telemetry.prometheus import Format
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.runs import RunMetrics
from agentmem_observe.telemetry.tracing import Tracing

MANNERS = ("well", "down", "silent", "refusing")
"""A collector takes what it gets, is not there, never answers, or answers 503."""

_IDLE = Path(__file__).parent / "idle"
_TARGET = "fake"
_SCRAPE_EVERY_SECONDS = 1.0  # fifteen times as often as Prometheus does by default
_PUSH_EVERY_MS = "1000"  # sixty times as often as OpenTelemetry does by default
_ALWAYS, _NEVER = "with_exporters", "without_exporters"


def export_overhead(
    bench: Bench, operations: int, rounds: int, manner: str = MANNERS[0]
) -> dict[str, Any]:
    """Run operations that do nothing, in turns with and without exporters: A B B A.

    Args:
        bench: Gives the directory, and shows progress.
        operations: Per run, >= 1.
        rounds: Pairs of runs, >= 1.
        manner: How the collector is, one of `MANNERS`.

    Returns:
        Operations per second and per CPU second with exporters, divided by those without: the
        median over the pairs, the lowest and the highest.
    """
    if manner not in MANNERS:
        raise UsageError(f"no collector is {manner!r}; {did_you_mean(manner, MANNERS)}")
    order = [(_ALWAYS, _NEVER), (_NEVER, _ALWAYS)]
    pairs: list[dict[str, dict[str, float]]] = []
    bench.expect(2 * rounds)
    for number in range(rounds):
        pair = {}
        for how in order[number % 2]:
            bench.phase(how.replace("_", " "))
            pair[how] = _run(
                bench.directory / f"{number}-{how}", operations, manner if how == _ALWAYS else ""
            )
            bench.advance(1)
        pairs.append(pair)
    return {
        f"{name}_ratio": _spread([pair[_ALWAYS][name] / pair[_NEVER][name] for pair in pairs])
        for name in pairs[0][_ALWAYS]
    } | {"operations_per_second": [pair[_NEVER]["operations_per_second"] for pair in pairs]}


def _spread(ratios: list[float]) -> dict[str, float]:
    return {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}


def _run(directory: Path, operations: int, manner: str) -> dict[str, float]:
    """Return the figures of one run, exported if there is a manner of collector."""
    config = BenchmarkConfig(output_dir=str(directory))
    options = RunOptions(target=_TARGET, suites=(_IDLE,))
    with ExitStack() as stack:
        further = stack.enter_context(_everything(manner)) if manner else {}
        runner = BenchmarkRunner(config, options=options, **further)
        path = runner.run_benchmark("nothing", "no_operations", {"operations": operations})
    figures: dict[str, float] = runner.results_manager.load_result(path)["results"]
    return figures


@contextmanager
def _everything(manner: str) -> Iterator[dict[str, Any]]:
    """Yield a runner's further arguments, with a collector and a scraper at the other end."""
    registry = MetricRegistry()
    with ExitStack() as stack:
        collector = stack.enter_context(_collector(manner))
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRIC_EXPORT_INTERVAL": _PUSH_EVERY_MS,
        }
        session = stack.enter_context(
            OtlpSession(registry, read_settings(environ), describe_process())
        )
        assert session.span_processor is not None  # spans go to the collector
        tracing = Tracing(session.resource, session.span_processor, registry=registry)
        endpoint = stack.enter_context(MetricsEndpoint(registry))
        stack.enter_context(_scraper(f"{endpoint.url}/metrics"))
        yield {"observer": Publisher(RunMetrics(registry), _TARGET), "tracing": tracing}


class _Collector(ThreadingHTTPServer):
    """Takes what is sent, or does what collectors do on a bad day."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, manner: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.manner = manner
        self.ended = threading.Event()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, _Collector)
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.manner == "silent":
            self.server.ended.wait()
        status = 503 if self.server.manner == "refusing" else 200
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def _collector(manner: str) -> Iterator[str]:
    """Yield the URL of a collector of one of `MANNERS`."""
    with _Collector(manner) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        if manner == "down":
            server.server_close()
            yield url
            return
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield url
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


@contextmanager
def _scraper(url: str) -> Iterator[None]:
    """Scrape as Prometheus does, from now until the context is left."""
    ended = threading.Event()
    request = Request(url, headers={"Accept": Format.PROTOBUF.value, "Accept-Encoding": "gzip"})

    def scrape() -> None:
        while not ended.wait(_SCRAPE_EVERY_SECONDS):
            with urlopen(request) as page:
                page.read()

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
