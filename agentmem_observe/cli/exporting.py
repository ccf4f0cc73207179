"""Where a command's metrics and spans go: while it runs, and once more when it ends."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from agentmem_observe.bench.observers import Publisher
from agentmem_observe.bench.runner import Observer
from agentmem_observe.cli.lazy import load
from agentmem_observe.cli.logs import log_of
from agentmem_observe.errors import ExportError
from agentmem_observe.telemetry.otel_environment import wants_otlp
from agentmem_observe.telemetry.otlp_start import start_otlp
from agentmem_observe.telemetry.own_process import watch_own_process
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.runs import RunMetrics
from agentmem_observe.telemetry.spans import RunTracing


@dataclass(frozen=True, slots=True)
class Destinations:
    """What a user asked for; OTLP's is in the ``OTEL_*`` variables.

    Attributes:
        textfile: Gets the metrics at the end, for node_exporter's textfile collector.
        push_gateway: URL of a Pushgateway that gets them at the end; may hold credentials.
        otlp_file: Gets metrics and spans as lines of OTLP-JSON.
        listen: Host and port that serve ``/metrics`` while the command runs.
    """

    textfile: Path | None = None
    push_gateway: str | None = None
    otlp_file: Path | None = None
    listen: tuple[str, int] | None = None

    def __bool__(self) -> bool:
        wanted = (self.textfile, self.push_gateway, self.otlp_file, self.listen)
        return any(wanted) or wants_otlp(os.environ)


@dataclass(frozen=True, slots=True)
class Exports:
    """What runs are to be told to, so that they are exported.

    Attributes:
        registry: Gets what they show; None where nothing is exported.
        tracing: Makes their spans; None for none.
    """

    registry: MetricRegistry | None = None
    tracing: RunTracing | None = None

    def observers(self, target: str) -> list[Observer]:
        """Return who is to be told how runs on a target go.

        Args:
            target: Its spec, without secrets.
        """
        if self.registry is None:
            return []
        return [Publisher(RunMetrics(self.registry), target)]


@contextmanager
def exporting(
    command: str, destinations: Destinations, registry: MetricRegistry | None = None
) -> Iterator[Exports]:
    """Export runs while the context is open; on leaving it, what is left is written and sent.

    Args:
        command: Name of the command, for its span, which runs are parts of; "" for one that goes
            on for months: then each run has a trace of its own.
        destinations: Where to; for nothing at all nothing is imported or started.
        registry: What is exported, where somebody else shows it too.

    Raises:
        AgentMemObserveError: If a destination cannot be used; on leaving, if one failed.
    """
    if not destinations and registry is None:
        yield Exports()
        return
    _refuse_early(destinations)
    registry = MetricRegistry() if registry is None else registry
    watch_own_process(registry)
    with _Farewell() as farewell, ExitStack() as stack:
        # Unwound from below: what is told last knows what the others lost.
        if (path := destinations.textfile) is not None:
            write = load("agentmem_observe.telemetry.textfile:write_textfile")
            stack.callback(farewell.attempt, lambda: _wrote(write(registry, path)))
        if (url := destinations.push_gateway) is not None:
            push = load("agentmem_observe.telemetry.pushgateway:push_metrics")
            stack.callback(farewell.attempt, lambda: push(registry, url))
        tracing = _send_otlp(stack, command, registry, destinations.otlp_file)
        if destinations.listen is not None:
            endpoint = load("agentmem_observe.telemetry.endpoint:MetricsEndpoint")
            server = stack.enter_context(endpoint(registry, *destinations.listen))
            log_of().say("serving", f"Serving {server.url}/metrics", url=f"{server.url}/metrics")
        yield Exports(registry, tracing)


class _Farewell:
    """Sends to each destination although another failed, and hides no worse failure by that."""

    def __init__(self) -> None:
        self._failures: list[ExportError] = []

    def __enter__(self) -> Self:
        return self

    def attempt(self, send: Callable[[], None]) -> None:
        """Send something; what fails is told in the end."""
        try:
            send()
        except ExportError as error:
            self._failures.append(error)

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if not self._failures:
            return
        failure = ExportError("\n".join(map(str, self._failures)))
        if kind is None:
            raise failure
        log_of().fail(str(failure), type(failure).__name__)


def _refuse_early(destinations: Destinations) -> None:
    """Refuse what could not be used at the end, before it costs a run."""
    if destinations.push_gateway is not None:
        load("agentmem_observe.telemetry.pushgateway:Gateway").parse(destinations.push_gateway)
    if destinations.textfile is not None:
        load("agentmem_observe.telemetry.textfile:check_textfile")(destinations.textfile)


def _send_otlp(
    stack: ExitStack, command: str, registry: MetricRegistry, file: Path | None
) -> RunTracing | None:
    """Start to send what the environment, or a file, asks for, until the stack is unwound."""
    session = start_otlp(registry, file=file)
    if session is None:
        return None
    if file is not None:
        stack.callback(_wrote, file)
    stack.enter_context(session)
    if session.span_processor is None:
        return None
    tracing = load("agentmem_observe.telemetry.tracing:Tracing")(
        session.resource, session.span_processor, registry=registry
    )
    if command:
        stack.enter_context(tracing.command(command))
    log_of().current_span = load("agentmem_observe.telemetry.tracing:current_span_ids")
    made: RunTracing = tracing
    return made


def _wrote(file: Path) -> None:
    log_of().say("file_written", f"Wrote {file}", path=str(file))
