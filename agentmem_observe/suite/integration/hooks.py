"""Calls to a target wrapped by hooks, and what that costs."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TextIO

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, Tracer

from agentmem_observe.bench.context import Bench
from agentmem_observe.model import Hit, Record, Vector
from agentmem_observe.targets.base import MemoryTarget, Query, TargetInfo

CALLS = 3 + 2 * 6
"""Calls per record and round of `hook_costs`."""

_K = 5  # hits of a search


class Hook(Protocol):
    """What is told of each operation."""

    def before(self, operation: str, agent_id: str) -> Any:
        """Be told that an operation begins; what is returned comes back in `after`."""
        ...

    def after(self, operation: str, begun: Any) -> None:
        """Be told that it has ended, well or not."""
        ...


class HookedTarget(MemoryTarget):
    """A target that tells hooks of each store, retrieve and search.

    Args:
        target: What is called.
        hooks: Told in this order before, and in reverse after each operation.
    """

    def __init__(self, target: MemoryTarget, hooks: Sequence[Hook]) -> None:
        self._target = target
        self._before = [hook.before for hook in hooks]
        self._after = [hook.after for hook in reversed(hooks)]

    def info(self) -> TargetInfo:
        """Describe the target."""
        return self._target.info()

    def open(self) -> None:
        """Open the target."""
        self._target.open()

    def close(self) -> None:
        """Close the target."""
        self._target.close()

    def store(self, record: Record) -> str:
        """Store a record."""
        begun = [before("create_memory", record.agent_id) for before in self._before]
        try:
            return self._target.store(record)
        finally:
            self._end("create_memory", begun)

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        """Return a record."""
        begun = [before("retrieve_memory", agent_id) for before in self._before]
        try:
            return self._target.retrieve(agent_id, record_id)
        finally:
            self._end("retrieve_memory", begun)

    def search(
        self,
        agent_id: str,
        query: Query,
        k: int,
        *,
        vector: Vector | None = None,
        tier: str | None = None,
    ) -> list[Hit]:
        """Return the nearest records."""
        begun = [before("search_memory", agent_id) for before in self._before]
        try:
            return self._target.search(agent_id, query, k, vector=vector, tier=tier)
        finally:
            self._end("search_memory", begun)

    def _end(self, operation: str, begun: list[Any]) -> None:
        for after in self._after:
            after(operation, begun.pop())


class NoHook:
    """Does nothing: the price of being called."""

    def before(self, operation: str, agent_id: str) -> None:
        """Do nothing."""

    def after(self, operation: str, begun: None) -> None:
        """Do nothing."""


class LoggingHook:
    """Writes one line for each operation.

    Args:
        logger: Where to.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def before(self, operation: str, agent_id: str) -> tuple[str, int]:
        """Remember the agent and the time."""
        return agent_id, time.perf_counter_ns()

    def after(self, operation: str, begun: tuple[str, int]) -> None:
        """Write the line."""
        agent_id, started = begun
        self._logger.info("%s of %s: %d ns", operation, agent_id, time.perf_counter_ns() - started)


class SpanHook:
    """Makes an OpenTelemetry span of each operation.

    Args:
        tracer: Makes the spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def before(self, operation: str, agent_id: str) -> Span:
        """Start a span."""
        attributes = {"gen_ai.operation.name": operation, "gen_ai.agent.id": agent_id}
        return self._tracer.start_span(operation, attributes=attributes)

    def after(self, operation: str, begun: Span) -> None:
        """End it."""
        begun.end()


@contextmanager
def _hook_sets() -> Iterator[Mapping[str, Sequence[Hook]]]:
    """Yield sets of hooks by name; what they write goes nowhere, as fast as it can."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_NoExporter()))
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        try:
            yield {
                "hooks_0": (),
                "hooks_1": (NoHook(),),
                "hooks_5": tuple(NoHook() for _ in range(5)),
                "logging": (LoggingHook(_logger(nowhere)),),
                "otel_span": (SpanHook(provider.get_tracer("hook_overhead")),),
            }
        finally:
            provider.shutdown()


def hook_costs(
    bench: Bench, target: MemoryTarget, records: Sequence[Record], rounds: int
) -> dict[str, Any]:
    """Return the CPU time of a target's operations, and what hooks add to it.

    Args:
        bench: Told of progress: `CALLS` x rounds calls per record.
        target: Open; holds the records.
        records: What is stored again, read, and searched for.
        rounds: Of which the best counts, >= 1.

    Returns:
        CPU seconds of this thread per operation: of the target's own, and of what each set of
        hooks adds, measured around a target that does nothing; the ratio of the two; and of reads
        of the target with the hooks around them.
    """
    nothing = NothingTarget()
    with _hook_sets() as sets:
        own = _cpu_seconds(
            {name: partial(loop, target, records) for name, loop in _LOOPS.items()}, rounds
        )
        bench.advance(len(_LOOPS) * rounds * len(records))
        around_nothing = _cpu_seconds(_reads(nothing, sets, records), rounds)
        bench.advance((1 + len(sets)) * rounds * len(records))
        around_target = _cpu_seconds(_reads(target, sets, records), rounds)
        bench.advance((1 + len(sets)) * rounds * len(records))
    bare = around_nothing.pop("bare")
    each = {name: (cost - bare) / len(records) for name, cost in around_nothing.items()}
    own = {name: cost / len(records) for name, cost in own.items()}
    return {
        "operation_cpu_seconds": own,
        "added_cpu_seconds": each,
        "added_cpu_ratio": {
            name: {operation: cost / own[operation] for operation in own if own[operation] > 0}
            for name, cost in each.items()
        },
        "wrapped_read_cpu_seconds": {
            name: cost / len(records) for name, cost in around_target.items()
        },
    }


def _reads(
    target: MemoryTarget, sets: Mapping[str, Sequence[Hook]], records: Sequence[Record]
) -> dict[str, Callable[[], None]]:
    """Return reads of a target, bare and with each set of hooks around it."""
    wrapped = {name: HookedTarget(target, hooks) for name, hooks in sets.items()}
    targets: dict[str, MemoryTarget] = {"bare": target, **wrapped}
    return {name: partial(_retrieve, each, records) for name, each in targets.items()}


def _cpu_seconds(contenders: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Let contenders take turns; return the CPU time of this thread in the best round of each."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, work in contenders.items():
            began = time.thread_time()
            work()
            best[name] = min(best[name], time.thread_time() - began)
    return best


def _store(target: MemoryTarget, records: Sequence[Record]) -> None:
    for record in records:
        target.store(record)


def _retrieve(target: MemoryTarget, records: Sequence[Record]) -> None:
    for record in records:
        target.retrieve(record.agent_id, record.record_id)


def _search(target: MemoryTarget, records: Sequence[Record]) -> None:
    for record in records:
        target.search(record.agent_id, record.state, _K, vector=record.vector)


_LOOPS = {"create_memory": _store, "retrieve_memory": _retrieve, "search_memory": _search}


class NothingTarget(MemoryTarget):
    """Answers at once, with nothing: what is measured around it is the wrapping."""

    def info(self) -> TargetInfo:
        """Describe it."""
        return TargetInfo("nothing", "1", frozenset())

    def open(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def store(self, record: Record) -> str:
        """Keep nothing."""
        return record.record_id

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        """Find nothing."""
        return None

    def search(
        self,
        agent_id: str,
        query: Query,
        k: int,
        *,
        vector: Vector | None = None,
        tier: str | None = None,
    ) -> list[Hit]:
        """Find nothing."""
        return []


def _logger(stream: TextIO) -> logging.Logger:
    """Return a logger of its own, which no configuration of others reaches."""
    logger = logging.Logger("hook_overhead", logging.INFO)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    return logger


class _NoExporter(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS
