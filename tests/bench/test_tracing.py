"""Spans of a run, as its worker makes and sends them: on a virtual clock, and in real workers."""

import enum
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from agentmem_observe.bench import collector, tracing
from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.messages import Request
from agentmem_observe.bench.operation_spans import Anchor, Subject, record_count
from agentmem_observe.bench.runner import BenchmarkRunner, RunOptions
from agentmem_observe.bench.slowest import Slowest
from agentmem_observe.bench.tracing import SLOWEST, TracedRun
from agentmem_observe.bench.verification import Verification
from agentmem_observe.clock import FakeClock
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.model import ObservationBatch, Record
from agentmem_observe.telemetry import semconv
from agentmem_observe.telemetry.catalog import OPERATION_LATENCY, OPERATION_SERVICE_TIME
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.spans import SpanData, Traces
from agentmem_observe.telemetry.tracing import Tracing
from agentmem_observe.workload.arrivals import Constant
from agentmem_observe.workload.driver import DriverOptions, closed_loop
from agentmem_observe.workload.operations import Content, Operation, repeat

TRACE_ID, RUN_ID = "ab" * 16, "cd" * 8
HOSTILE = "my password is swordfish \ud800"
MS = 1_000_000


class Worker:
    """A run in this process, on a virtual clock."""

    def __init__(
        self,
        directory: Path,
        target: str = "fake",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.clock = FakeClock(10**12)
        self.sent: list[Traces] = []
        request = Request("", "it", {}, target, "", 1, 5.0, f"00-{TRACE_ID}-{RUN_ID}-01")
        self.run = TracedRun(request, self.sent.append, clock=self.clock, environ=environ or {})
        self.bench = Bench(
            "fake",
            directory,
            lambda *report: None,
            driver=DriverOptions(self.clock, 5.0, self.run.operations),
            tracing=self.run,
        )
        self.tracer = self.run.provider.get_tracer("its_own", "2.0")

    def take(self, seconds: float) -> Callable[[int], str]:
        """Return a call that takes this long."""

        def call(number: int) -> str:
            self.clock.advance(seconds)
            return f"id_{number}"

        return call

    def loop(self, call: Callable[[int], Any], count: int, **operation: Any) -> None:
        """Measure a closed loop of ``create_memory``."""
        name = operation.pop("name", "create_memory")
        self.bench.closed_loop([repeat(Operation(name, call, **operation), count)])

    def spans(self) -> list[SpanData]:
        """End the run and return all that was sent, as it comes out of the pipe."""
        self.run.end()
        raw = msgspec.msgpack.encode(self.sent)
        sent = msgspec.msgpack.decode(raw, type=list[Traces])
        return [span for traces in sent for span in traces.spans]


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def named(spans: list[SpanData], name: str, selection: str | None = None) -> list[SpanData]:
    found = [span for span in spans if span.name == name]
    if selection is None:
        return found
    return [span for span in found if span.attributes[semconv.SELECTION] == selection]


def test_operations_are_parts_of_loops_these_of_phases_and_those_of_the_run(
    worker: Worker,
) -> None:
    worker.loop(worker.take(0.1), 1)
    worker.bench.phase("first")
    worker.loop(worker.take(0.1), 1)
    worker.bench.phase("second")

    spans = worker.spans()

    before, inside = named(spans, "measure")
    first, second = named(spans, "phase")
    assert [span.parent_id for span in named(spans, "create_memory")] == [
        before.span_id,
        inside.span_id,
    ]
    assert (before.parent_id, inside.parent_id) == (RUN_ID, first.span_id)
    assert (first.parent_id, second.parent_id) == (RUN_ID, RUN_ID)
    assert [first.attributes, second.attributes] == [
        {semconv.PHASE: "first"},
        {semconv.PHASE: "second"},
    ]
    assert {span.trace_id for span in spans} == {TRACE_ID}
    assert {span.scope.name for span in spans} == {"agentmem_observe"}


def test_every_span_lies_within_its_parent(worker: Worker) -> None:
    worker.bench.phase("first")
    worker.loop(worker.take(0.03), 100)

    spans = worker.spans()

    by_id = {span.span_id: span for span in spans}
    for span in spans:
        parent = by_id.get(span.parent_id, span)
        assert parent.start_ns <= span.start_ns <= span.end_ns <= parent.end_ns


def test_the_first_operation_of_a_block_is_sampled_when_the_last_sample_is_long_enough_ago(
    worker: Worker,
) -> None:
    worker.loop(worker.take(0.001), 200)  # blocks begin at 0, 1, 3, 7, ... 127 ms

    spans = worker.spans()

    (loop,) = named(spans, "measure")
    sampled = [span.start_ns - loop.start_ns for span in named(spans, "create_memory", "sampled")]
    assert sampled == [0, 31 * MS, 63 * MS, 127 * MS]
    assert sum(traces.sampled for traces in worker.sent) == 4
    assert sum(traces.operations for traces in worker.sent) == 200


def test_samples_get_rarer_in_a_loop_that_goes_on(worker: Worker) -> None:
    worker.loop(worker.take(0.25), 4_000)  # blocks of one or two for 1,000 s

    sampled = named(worker.spans(), "create_memory", "sampled")

    starts = [span.start_ns for span in sampled]
    half = (starts[0] + starts[-1]) / 2
    assert 80 < len(sampled) < 110
    assert 5 < sum(start > half for start in starts) < 12


def test_a_sampled_operations_span_has_its_clock_readings_and_what_is_known_of_it(
    worker: Worker,
) -> None:
    worker.loop(worker.take(0.1), 1, tier="stm")

    (span,) = named(worker.spans(), "create_memory")

    assert span.end_ns - span.start_ns == 100 * MS
    assert (span.kind, span.status) == ("INTERNAL", "UNSET")
    assert span.attributes == {
        "gen_ai.operation.name": "create_memory",
        "gen_ai.memory.store.id": "fake",
        "gen_ai.memory.record.count": 1,
        "agentmem.tier": "stm",
        "agentmem.outcome": "ok",
        "agentmem.selection": "sampled",
        "agentmem.operation.latency": pytest.approx(0.1),
    }


def test_in_an_open_loop_a_span_begins_when_its_operation_is_sent(worker: Worker) -> None:
    operation = Operation("create_memory", worker.take(1.5))
    began = worker.clock.now_ns()

    worker.bench.open_loop(repeat(operation, 3), Constant(1, 3))

    spans = worker.spans()
    (loop,) = named(spans, "measure")
    seconds = [
        (
            (span.start_ns - loop.start_ns) * 1e-9,
            (span.end_ns - loop.start_ns) * 1e-9,
            span.attributes[semconv.LATENCY],
        )
        for span in sorted(named(spans, "create_memory"), key=lambda span: span.start_ns)
    ]
    assert worker.clock.now_ns() - began == 4_500 * MS
    assert seconds == [
        pytest.approx(row) for row in [(0.0, 1.5, 1.5), (1.5, 3.0, 2.0), (3.0, 4.5, 2.5)]
    ]


def test_a_sampled_operation_that_is_not_due_yet_begins_when_it_is(worker: Worker) -> None:
    operation = Operation("create_memory", worker.take(0.1))

    worker.bench.open_loop(repeat(operation, 2), Constant(1, 2))

    spans = worker.spans()
    (loop,) = named(spans, "measure")
    sampled = named(spans, "create_memory", "sampled")
    assert [span.start_ns - loop.start_ns for span in sampled] == [0, 1_000 * MS]


def test_the_targets_own_spans_are_parts_of_a_sampled_operation_and_of_none_else(
    worker: Worker,
) -> None:
    def call(number: int) -> None:
        with worker.tracer.start_as_current_span("query", kind=SpanKind.CLIENT) as span:
            span.set_attribute("db.rows", number)
        worker.clock.advance(0.001)

    def check(number: int, value: Any) -> Any:
        call(number)  # what verifies is no part of the operation

    worker.loop(call, 40, check=check)

    spans = worker.spans()

    sampled = named(spans, "create_memory", "sampled")
    queries = named(spans, "query")
    assert [query.parent_id for query in queries] == [span.span_id for span in sampled]
    assert [query.attributes for query in queries] == [{"db.rows": n} for n in (0, 15, 31)]
    assert {(query.scope.name, query.scope.version, query.kind) for query in queries} == {
        ("its_own", "2.0", "CLIENT")
    }


def test_a_target_finds_the_sampled_operation_as_the_current_span(worker: Worker) -> None:
    def call(number: int) -> None:
        trace.get_current_span().set_attribute("cache.hit", True)
        worker.clock.advance(0.001)

    worker.loop(call, 3)

    first, *others = named(worker.spans(), "create_memory")
    assert first.attributes["cache.hit"] is True
    assert ["cache.hit" in span.attributes for span in others] == [False, False]
    assert not trace.get_current_span().get_span_context().is_valid


def test_the_slowest_operations_of_the_run_get_a_span_each(worker: Worker) -> None:
    durations = [((number * 7_919) % 1_000 + 1) * 1e-6 for number in range(1_000)]

    def call(number: int) -> str:
        worker.clock.advance(durations[number])
        return "id"

    worker.loop(call, 600)
    worker.loop(lambda number: call(600 + number), 400)

    spans = worker.spans()

    measured = {span.end_ns - span.start_ns for span in named(spans, "create_memory")}
    longest = sorted(round(seconds * 1e9) for seconds in durations)[-SLOWEST:]
    assert measured >= set(longest)
    loops = {loop.span_id: loop for loop in named(spans, "measure")}
    for span in named(spans, "create_memory", "slowest"):
        loop = loops[span.parent_id]
        assert loop.start_ns <= span.start_ns <= span.end_ns <= loop.end_ns


def test_an_operation_that_is_sampled_and_slow_has_one_span(worker: Worker) -> None:
    worker.loop(worker.take(0.1), 3)

    spans = named(worker.spans(), "create_memory")

    assert len(spans) == 3
    assert len({span.start_ns for span in spans}) == 3


def test_exemplars_are_of_spans_that_were_sent(worker: Worker) -> None:
    worker.loop(worker.take(0.1), 20)

    spans = {span.span_id: span for span in worker.spans()}

    exemplars = [exemplar for traces in worker.sent for exemplar in traces.exemplars]
    assert len(exemplars) == 17  # the first 16 of equally slow ones, and the last was sampled
    for exemplar in exemplars:
        span = spans[exemplar.span_id]
        assert exemplar.trace_id == span.trace_id
        assert (exemplar.operation, exemplar.tier, exemplar.outcome) == ("create_memory", "", "ok")
        assert exemplar.service_seconds == pytest.approx((span.end_ns - span.start_ns) * 1e-9)
        assert exemplar.at_seconds == pytest.approx(span.end_ns * 1e-9)


def test_an_operation_that_failed_is_an_error_of_its_type_and_says_nothing_more(
    worker: Worker,
) -> None:
    def call(number: int) -> str:
        worker.clock.advance(6.0 if number == 1 else 0.1)
        if number == 0:
            raise ConnectionError(HOSTILE)
        return HOSTILE

    worker.loop(call, 2)

    spans = worker.spans()

    failed, late = named(spans, "create_memory")
    assert (failed.status, failed.attributes["error.type"]) == ("ERROR", "ConnectionError")
    assert failed.attributes["agentmem.outcome"] == "error:ConnectionError"
    assert (late.status, late.attributes["error.type"]) == ("ERROR", "timeout")
    assert failed.description == late.description == ""
    assert not failed.events
    assert b"swordfish" not in msgspec.msgpack.encode(worker.sent)


@pytest.mark.parametrize("allowed", [False, True])
def test_contents_are_in_sampled_spans_only_if_that_was_allowed(
    tmp_path: Path, allowed: bool
) -> None:
    worker = Worker(tmp_path, environ={semconv.CAPTURE_CONTENT: str(allowed)})
    record = Record("agent", "id", content=HOSTILE, state={"mood": "swordfish"})

    worker.loop(
        worker.take(0.1), 1, name="search_memory", content=lambda *_: Content(HOSTILE, [record])
    )

    (span,) = named(worker.spans(), "search_memory")
    assert (b"swordfish" in msgspec.msgpack.encode(worker.sent)) is allowed
    if allowed:
        assert "swordfish" in span.attributes[semconv.QUERY_TEXT]
        (shown,) = json.loads(span.attributes[semconv.RECORDS])
        assert shown == {"id": "id", "content": HOSTILE}


@pytest.mark.parametrize(
    "content",
    [
        lambda number, found: found.no_such_attribute,
        lambda *_: Content("", [Record("agent", "id", state={("a", "swordfish"): 1})]),
        lambda *_: Content("", [Record("agent", 7, content="swordfish")]),
    ],
)
def test_contents_that_cannot_be_told_leave_the_type_of_the_error(
    tmp_path: Path, content: Any
) -> None:
    worker = Worker(tmp_path, environ={semconv.CAPTURE_CONTENT: "true"})

    worker.loop(worker.take(0.1), 1, content=content)

    (span,) = named(worker.spans(), "create_memory")
    assert span.attributes[semconv.CONTENT_ERROR] in {"AttributeError", "TypeError"}
    assert semconv.RECORDS not in span.attributes
    assert (span.status, span.attributes[semconv.OUTCOME]) == ("UNSET", "ok")
    assert b"swordfish" not in msgspec.msgpack.encode(worker.sent)


def test_of_an_operation_that_failed_no_content_is_asked_for(tmp_path: Path) -> None:
    worker = Worker(tmp_path, environ={semconv.CAPTURE_CONTENT: "true"})
    asked: list[object] = []

    def call(number: int) -> None:
        raise ConnectionError

    def content(number: int, value: object) -> Content:
        asked.append(value)
        return Content("", [])

    worker.loop(call, 1, content=content)

    (span,) = named(worker.spans(), "create_memory")
    assert asked == []
    assert semconv.CONTENT_ERROR not in span.attributes


def test_a_store_whose_record_is_not_found_again_is_wrong_in_its_span_and_exemplar(
    worker: Worker,
) -> None:
    script = repeat(Operation("create_memory", worker.take(0.03)), 4)

    worker.bench.measure(
        lambda sink: closed_loop([script], sink, worker.bench.driver),
        lambda: Verification([1, 3], {}, []),
    )

    spans = sorted(named(worker.spans(), "create_memory"), key=lambda span: span.start_ns)
    exemplars = [each for traces in worker.sent for each in traces.exemplars]
    assert {span.attributes[semconv.SELECTION] for span in spans} == {"sampled", "slowest"}
    assert [span.attributes[semconv.OUTCOME] for span in spans] == ["ok", "wrong", "ok", "wrong"]
    assert [span.attributes.get(semconv.ERROR_TYPE) for span in spans] == [
        None, "wrong", None, "wrong",
    ]  # fmt: skip
    assert [span.status for span in spans] == ["UNSET", "ERROR", "UNSET", "ERROR"]
    assert {each.span_id: each.outcome for each in exemplars} == {
        span.span_id: span.attributes[semconv.OUTCOME] for span in spans
    }


def test_a_loop_that_breaks_off_is_an_error_and_the_next_one_is_traced(worker: Worker) -> None:
    def call(number: int) -> str:
        raise KeyboardInterrupt(HOSTILE)

    with pytest.raises(KeyboardInterrupt):
        worker.loop(call, 1)
    worker.loop(worker.take(0.1), 1)

    broken, fine = named(worker.spans(), "measure")
    assert (broken.status, broken.attributes) == ("ERROR", {"error.type": "KeyboardInterrupt"})
    assert (fine.status, fine.attributes) == ("UNSET", {})
    assert b"swordfish" not in msgspec.msgpack.encode(worker.sent)


def test_an_operation_of_a_loop_that_breaks_off_behind_it_is_sent_as_it_ended(
    worker: Worker,
) -> None:
    def call(number: int) -> str:
        if number == 2:  # in the block of the one before
            raise KeyboardInterrupt
        worker.clock.advance(0.03)
        return f"id_{number}"

    with pytest.raises(KeyboardInterrupt):
        worker.loop(call, 20)

    sampled = named(worker.spans(), "create_memory", "sampled")
    assert [span.attributes[semconv.OUTCOME] for span in sampled] == ["ok", "ok"]


def test_what_a_loop_traced_is_sent_when_it_ends_and_nothing_in_it(worker: Worker) -> None:
    sent_inside: list[int] = []

    def call(number: int) -> None:
        worker.clock.advance(0.3)
        sent_inside.append(len(worker.sent))

    worker.loop(call, 20)

    assert set(sent_inside) == {0}
    assert [span.name for span in worker.sent[0].spans][-1] == "measure"


def test_spans_of_a_target_that_are_too_many_are_dropped_and_counted(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(number: int) -> None:
        for _ in range(collector.MOST_TARGET_SPANS + 5):
            worker.tracer.start_span("query").end()

    worker.loop(call, 1)

    spans = worker.spans()
    assert len(named(spans, "query")) == collector.MOST_TARGET_SPANS
    assert sum(traces.dropped for traces in worker.sent) == 5
    assert len(named(spans, "create_memory")) == 1  # ours are kept


def test_samples_and_steps_of_a_run_are_bounded(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "MOST_STEPS", 3)
    worker.run.operations._left = 2

    for _ in range(5):
        worker.loop(worker.take(0.1), 1)

    spans = worker.spans()
    assert len(named(spans, "measure")) == 3
    assert len(named(spans, "create_memory", "sampled")) == 2
    assert len(named(spans, "create_memory", "slowest")) == 3
    assert sum(traces.dropped for traces in worker.sent) == 2
    assert named(spans, "create_memory", "slowest")[-1].parent_id == RUN_ID


def test_a_forked_copy_samples_keeps_and_sends_nothing(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = Operation("create_memory", worker.take(0.1))

    with monkeypatch.context() as child:
        child.setattr("os.getpid", lambda: -1)
        worker.run.phase("in the child")
        worker.loop(operation.call, 1)
        sampled = worker.run.operations.begin(operation, 0)
        worker.run.phase("in both")
        worker.run.flush()

    assert sampled is None
    assert worker.sent == []
    phases = named(worker.spans(), "phase")
    assert [phase.attributes[semconv.PHASE] for phase in phases] == ["in both"]


def test_whatever_a_target_writes_into_its_spans_can_be_sent(worker: Worker) -> None:
    secretive = Worker(worker.bench.directory, target="mine://me:s3cr%2Fet@host")

    def call(number: int) -> None:
        with secretive.tracer.start_as_current_span("q\ud800") as span:
            span.set_attribute("huge", 2**70)
            span.set_attribute("long", "x" * 10**6)
            span.set_attribute("many", [1.5, 2.5])
            span.set_attribute("url", "mine://me:s3cr/et@host")
            span.add_event("retried", {"bad": "\udfff"})

    secretive.loop(call, 1)

    (span,) = named(secretive.spans(), "q?")
    assert span.attributes["huge"] == str(2**70)
    assert len(span.attributes["long"]) == 16_384
    assert span.attributes["many"] == [1.5, 2.5]
    assert "s3cr" not in span.attributes["url"]
    assert [(event.name, event.attributes) for event in span.events] == [("retried", {"bad": "?"})]


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


class Colour(str, enum.Enum):  # noqa: UP042  # its str() is not its text
    RED = "red"


@pytest.mark.parametrize(
    ("name", "sent"),
    [(5, "5"), (None, "None"), (Colour.RED, "red"), (b"raw", "b'raw'"),
     (Unspeakable(), "Unspeakable")],
    ids=["number", "nothing", "enumeration", "bytes", "unspeakable"],
)  # fmt: skip
def test_a_span_or_event_whose_name_is_no_text_can_be_sent(
    worker: Worker, name: Any, sent: str
) -> None:
    def call(number: int) -> None:
        with worker.tracer.start_as_current_span(name) as span:
            span.add_event(name)

    worker.loop(call, 1)

    (span,) = named(worker.spans(), sent)
    assert [event.name for event in span.events] == [sent]


@pytest.mark.parametrize("at", [1.7e18, 2**63, -1, True, "now"])
@pytest.mark.parametrize("which", ["start", "end", "event"])
def test_a_span_with_a_time_that_is_none_is_dropped_and_counted(
    worker: Worker, which: str, at: Any
) -> None:
    def call(number: int) -> None:
        span = worker.tracer.start_span("query", start_time=at if which == "start" else 5)
        span.add_event("retried", timestamp=at if which == "event" else 6)
        span.end(at if which == "end" else 7)
        worker.tracer.start_span("fine", start_time=0).end(2**63 - 1)

    worker.loop(call, 1)

    spans = worker.spans()
    assert named(spans, "query") == []
    assert len(named(spans, "fine")) == len(named(spans, "create_memory")) == 1
    assert sum(traces.dropped for traces in worker.sent) == 1


@pytest.mark.parametrize(
    ("target", "kind", "further"),
    [
        ("embedded", SpanKind.INTERNAL, {}),
        ("my.module:make", SpanKind.INTERNAL, {}),
        ("no such target", SpanKind.INTERNAL, {}),
        (
            "redis://host:6380/1",
            SpanKind.CLIENT,
            {"gen_ai.provider.name": "redis", "server.address": "host", "server.port": 6380},
        ),
        ("redis://[bad:port", SpanKind.CLIENT, {"gen_ai.provider.name": "redis"}),
    ],
)
def test_a_target_with_a_location_is_a_server(
    target: str, kind: SpanKind, further: dict[str, Any]
) -> None:
    assert Subject.of(target) == (kind, {"gen_ai.memory.store.id": target, **further})


def test_no_credentials_are_in_what_is_said_of_a_target() -> None:
    _, attributes = Subject.of("redis://me:secret@host:6379/0?password=secret")

    assert "secret" not in repr(attributes)
    assert attributes["server.address"] == "host"


def test_the_anchor_is_the_closest_of_its_pairs_of_readings() -> None:
    clock = FakeClock(1_000)
    unix = iter([0, 50_000, 90_000, 90_000, 90_000])
    pauses = iter([9e-6, 1e-6, 9e-6, 9e-6, 9e-6])

    def unix_ns() -> int:
        clock.advance(next(pauses))
        return next(unix)

    anchor = Anchor(clock, unix_ns)

    assert anchor.unix_ns(10_500) == 50_000  # between readings 10,000 and 11,000


@pytest.mark.parametrize(
    ("operation", "value", "count"),
    [
        ("search_memory", [["a"], ["b", "c"]], 3),
        ("search_memory", [], 0),
        ("retrieve_memory", [Record("a", "b"), None], 1),
        ("retrieve_memory", Record("a", "b"), 1),
        ("delete_memory", True, 1),
        ("transition_memory", 7, 7),
        ("create_memory", "", 0),
        ("create_memory", None, None),
        ("my_operation", [1, 2], None),
    ],
)
def test_records_are_counted_where_the_answer_tells(
    operation: str, value: object, count: int | None
) -> None:
    assert record_count(operation, value) == count


def test_of_equally_slow_operations_the_first_are_kept() -> None:
    slowest = Slowest(3)

    for first in (0, 100):
        started = np.arange(first, first + 5)
        finished = started + np.array([1, 2, 1, 2, 1])
        outcome = np.array([0, 0, 0, 4, 0], np.uint8)
        batch = ObservationBatch(
            "create_memory", "", started, finished, outcome, error_types=("ValueError",)
        )
        slowest.see(batch, within=first)

    assert [(each.times.started, each.outcome, each.within) for each in slowest] == [
        (1, "ok", 0),
        (3, "error:ValueError", 0),
        (101, "ok", 100),
    ]


OWN_TARGET = """
from opentelemetry import trace
from agentmem_observe.targets.fake import FakeTarget

class Own(FakeTarget):
    def store(self, record):
        with trace.get_tracer("its_own").start_as_current_span("insert"):
            return super().store(record)

def make():
    return Own()
"""

SUITE = """
import os, sys
from concurrent.futures import ThreadPoolExecutor  # which a forked child must not find locked
from agentmem_observe.bench.isolation import in_child

def benchmark_stores(bench):
    bench.phase("storing")
    with bench.target() as target:
        bench.store(target, bench.records(300))
        child = in_child(lambda: bench.store(target, bench.records(5)).load.operations)
    return {"child": child}

def benchmark_dies(bench):
    with bench.target() as target:
        bench.store(target, bench.records(10))
    os.kill(os.getpid(), 9)

def benchmark_raises():
    raise ValueError("swordfish")

def benchmark_raises_in_a_child():
    def case():
        raise ValueError("record says: swordfish")
    in_child(case)

def benchmark_imports():
    return {"names": sorted(n for n in sys.modules if n.startswith("opentelemetry"))}
"""


class Command:
    """Runs of benchmarks in real workers, with everything that is exported."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        suite = tmp_path / "suite"
        suite.mkdir()
        (suite / "own.py").write_text(SUITE)
        (tmp_path / "own_traced_target.py").write_text(OWN_TARGET)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        self.registry = MetricRegistry()
        self.exporter = InMemorySpanExporter()
        self.tracing = Tracing(
            Resource({"service.name": "tests"}),
            SimpleSpanProcessor(self.exporter),
            registry=self.registry,
        )
        self._config = BenchmarkConfig(output_dir=str(tmp_path / "results"))
        self._options = RunOptions(target="own_traced_target:make", suites=(suite,))

    def run(self, name: str, *, traced: bool = True) -> dict[str, Any]:
        """Run a benchmark and return its result."""
        tracing = self.tracing if traced else None
        runner = BenchmarkRunner(self._config, options=self._options, tracing=tracing)
        with self.tracing.command("run"):
            path = runner.run_benchmark("own", name)
        result: dict[str, Any] = json.loads(Path(path).read_text())
        return result

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, monkeypatch)


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def test_a_run_is_one_trace_from_the_command_down_to_the_targets_own_spans(
    command: Command,
) -> None:
    result = command.run("stores")

    (whole,), (run,) = command.spans("run"), command.spans("own/stores")
    (phase,), (loop,) = command.spans("phase"), command.spans("measure")
    stores = command.spans("create_memory")
    inserts = command.spans("insert")
    assert result["metadata"]["status"] == "ok"
    assert result["results"] == {"child": 5}  # a forked child neither hangs nor sends
    assert parent_of(run) == id_of(whole)
    assert parent_of(phase) == id_of(run)
    assert parent_of(loop) == id_of(phase)
    assert {parent_of(store) for store in stores} == {id_of(loop)}
    assert inserts
    assert {parent_of(insert) for insert in inserts} <= {id_of(store) for store in stores}
    spans = command.exporter.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in spans if span.context} == {
        result["metadata"]["trace_id"]
    }
    assert {span.resource.attributes["service.name"] for span in spans} == {"tests"}
    by_id = {id_of(span): span for span in spans}
    for span in spans:
        parent = by_id[parent_of(span)] if span.parent else span
        assert parent.start_time <= span.start_time <= span.end_time <= parent.end_time


def test_the_runs_span_says_how_much_of_it_was_traced(command: Command) -> None:
    command.run("stores")

    (run,) = command.spans("own/stores")
    stores = command.spans("create_memory")
    sampled = [each for each in stores if each.attributes[semconv.SELECTION] == "sampled"]
    assert run.attributes == {
        "agentmem.target": "own_traced_target:make",
        "agentmem.category": "own",
        "agentmem.benchmark": "stores",
        "agentmem.status": "ok",
        "agentmem.operations": 300,
        "agentmem.operations.sampled": len(sampled),
        "agentmem.spans.dropped": 0,
    }


def test_exemplars_in_the_registry_are_of_exported_spans(command: Command) -> None:
    command.run("stores")

    ids = {f"{id_of(span):016x}" for span in command.spans("create_memory")}
    families = {family.metric: family for family in command.registry.collect()}
    for metric in (OPERATION_LATENCY, OPERATION_SERVICE_TIME):
        (sample,) = families[metric].samples
        assert sample.labels == (
            "own_traced_target:make", "own", "stores", "create_memory", "", "ok",
        )  # fmt: skip
        assert sample.exemplars
        assert {exemplar.span_id for exemplar in sample.exemplars} <= ids


def test_a_worker_that_dies_leaves_what_it_had_sent_and_the_reason(command: Command) -> None:
    command.run("dies")

    (run,) = command.spans("own/dies")
    assert run.status.status_code is StatusCode.ERROR
    assert "was killed by SIGKILL" in (run.status.description or "")
    assert len(command.spans("measure")) == 1


def test_what_an_exception_of_the_benchmark_says_is_not_exported(command: Command) -> None:
    result = command.run("raises")

    (run,) = command.spans("own/raises")
    assert result["metadata"]["reason"] == "ValueError: swordfish"
    assert (run.status.status_code, run.status.description) == (StatusCode.ERROR, "ValueError")
    assert "swordfish" not in "".join(
        span.to_json() for span in command.exporter.get_finished_spans()
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_an_exception_in_a_forked_case_says_is_not_exported_either(command: Command) -> None:
    result = command.run("raises_in_a_child")

    (run,) = command.spans("own/raises_in_a_child")
    assert result["metadata"]["reason"] == "ValueError: record says: swordfish"
    assert "in case" in result["metadata"]["traceback"]
    assert (run.status.status_code, run.status.description) == (StatusCode.ERROR, "ValueError")
    assert "swordfish" not in "".join(
        span.to_json() for span in command.exporter.get_finished_spans()
    )


@pytest.mark.parametrize(("traced", "sampler"), [(False, "always_on"), (True, "always_off")])
def test_a_worker_that_traces_nothing_does_not_import_opentelemetry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traced: bool, sampler: str
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    command = Command(tmp_path, monkeypatch)

    result = command.run("imports", traced=traced)

    assert result["results"] == {"names": []}
    assert "trace_id" not in result["metadata"]


def test_a_runner_without_tracing_does_not_import_opentelemetry() -> None:
    program = "import sys, agentmem_observe.bench.runner; print(*sys.modules)"

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "opentelemetry" not in ended.stdout
