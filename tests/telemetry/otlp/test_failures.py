"""Collectors that are down, hang or refuse: nothing waits for them, and all losses are counted."""

import logging
import socket
import subprocess
import sys
import threading

import pytest

from agentmem_observe.telemetry.catalog import EXPORTER_SCRAPES
from agentmem_observe.telemetry.otlp import OtlpSession
from agentmem_observe.telemetry.registry import MetricRegistry

from .conftest import HANG, PATIENCE_SECONDS, Collector, end_spans, items

MANY = 5_000
SDK_LOGGER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


def begins(exporter: str, to: str, why: str) -> str:
    return (
        f"{exporter}: {to} does not take them: {why}; the run goes on, and what is lost is counted"
    )


def started(registry: MetricRegistry) -> OtlpSession:
    session = OtlpSession.from_environment(registry, file=None)
    assert session is not None
    return session


@pytest.fixture
def nobody(protocol: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Point the environment to a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    return port


def small_queue(monkeypatch: pytest.MonkeyPatch, spans: int, batch: int) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", str(spans))
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", str(batch))


def test_where_nobody_listens_all_is_counted_as_lost_and_said_once(
    nobody: int,
    protocol: str,
    registry: MetricRegistry,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    session = started(registry)
    end_spans(session, 3)
    session.close(timeout_seconds=60)  # longer than the test may take: it must not be used up

    assert items(registry, "otlp_spans") == {"sent": 0, "failed": 3, "dropped": 0}
    assert items(registry, "otlp_metrics") == {"sent": 0, "failed": 1, "dropped": 0}
    why = "UNAVAILABLE" if protocol == "grpc" else "ConnectionError"
    to = f"http://127.0.0.1:{nobody}"
    assert caplog.messages == [
        begins("otlp_spans", to, why),
        f"otlp_spans: 3 of 3 never reached {to}: 3 failed, 0 were dropped",
        begins("otlp_metrics", to, why),
        f"otlp_metrics: 1 of 1 never reached {to}: 1 failed, 0 were dropped",
    ]
    assert capfd.readouterr().err == ""


def test_a_collector_that_never_answers_holds_up_neither_the_spans_nor_the_end(
    pointed: Collector, registry: MetricRegistry, monkeypatch: pytest.MonkeyPatch
):
    small_queue(monkeypatch, spans=100, batch=10)
    pointed.always = HANG
    session = started(registry)
    end_spans(session, 10)
    pointed.wait_until_asked()
    end_spans(session, MANY)
    dropped = items(registry, "otlp_spans")["dropped"]
    session.close(timeout_seconds=0.6)

    assert not pointed.released.is_set()
    assert dropped == MANY - 100
    assert items(registry, "otlp_spans") == {"sent": 0, "failed": 10, "dropped": MANY}
    assert items(registry, "otlp_metrics") == {"sent": 0, "failed": 1, "dropped": 0}


def test_an_answer_after_the_end_changes_no_count(
    pointed: Collector, registry: MetricRegistry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    pointed.always = HANG
    session = started(registry)
    end_spans(session, 2)
    senders = [thread for thread in threading.enumerate() if thread.name == "otlp_spans"]
    session.close(timeout_seconds=0.6)
    pointed.released.set()
    for sender in senders:
        sender.join(PATIENCE_SECONDS)

    assert len(senders) == 1
    assert items(registry, "otlp_spans") == {"sent": 0, "failed": 2, "dropped": 0}


def test_a_page_of_metrics_that_hangs_keeps_the_last_one_from_being_tried(
    pointed: Collector, registry: MetricRegistry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    pointed.always = HANG
    session = started(registry)
    pointed.wait_until_asked()
    session.close(timeout_seconds=0.4)

    assert items(registry, "otlp_metrics") == {"sent": 0, "failed": 1, "dropped": 1}


def test_what_a_lost_page_had_to_add_is_in_the_next(
    pointed: Collector, registry: MetricRegistry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1")
    pointed.answers.append(400)
    registry.add(EXPORTER_SCRAPES, {}, 5)
    session = started(registry)
    for _ in range(3):
        pointed.wait_until_asked()
    registry.add(EXPORTER_SCRAPES, {}, 2)
    session.close()

    pages = [pointed.metrics(page) for page in range(len(pointed.pages))]
    added = [page["agentmem.exporter.scrapes"].sum.data_points[0].as_double for page in pages]
    assert len(added) > 1
    assert sum(added) == 7


@pytest.mark.parametrize("status", [429, 503])
def test_a_collector_that_asks_to_come_back_later_gets_everything_then(
    status: int, pointed: Collector, registry: MetricRegistry, caplog: pytest.LogCaptureFixture
):
    pointed.answers.extend([status, status])
    session = started(registry)
    end_spans(session, 3)
    session.close(timeout_seconds=60)

    assert len(pointed.all_spans()) == 3
    assert items(registry, "otlp_spans") == {"sent": 3, "failed": 0, "dropped": 0}
    assert caplog.messages == []


def test_a_collector_that_refuses_and_then_recovers_is_told_of_twice(
    pointed: Collector,
    protocol: str,
    registry: MetricRegistry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    small_queue(monkeypatch, spans=100, batch=1)
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    pointed.answers.extend([400, 400])
    session = started(registry)
    for _ in range(4):
        end_spans(session, 1)
        assert session.span_processor is not None
        session.span_processor.force_flush()
    session.close()

    why = "INVALID_ARGUMENT" if protocol == "grpc" else "HTTP 400"
    to = f"http://127.0.0.1:{pointed.port}"
    assert caplog.messages == [
        begins("otlp_spans", to, why),
        f"otlp_spans: {to} takes them again",
        f"otlp_spans: 2 of 4 never reached {to}: 2 failed, 0 were dropped",
    ]
    assert items(registry, "otlp_spans") == {"sent": 2, "failed": 2, "dropped": 0}


@pytest.mark.parametrize("protocol", ["http/protobuf"], indirect=True)
def test_a_redirection_is_no_delivery(
    pointed: Collector, registry: MetricRegistry, caplog: pytest.LogCaptureFixture
):
    pointed.always = 302
    session = started(registry)
    end_spans(session, 1)
    session.close()

    assert items(registry, "otlp_spans") == {"sent": 0, "failed": 1, "dropped": 0}
    assert "does not take them: Redirected;" in caplog.messages[0]


@pytest.mark.parametrize(
    ("protocol", "status"),
    [("grpc", 400), ("grpc", 503), *(("http/protobuf", status) for status in (302, 400, 503))],
    indirect=["protocol"],
)
def test_no_credential_gets_into_a_message(
    status: int,
    pointed: Collector,
    protocol: str,
    registry: MetricRegistry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    caplog.set_level(logging.INFO)
    user = "" if protocol == "grpc" else "me:hunter2@"
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{user}127.0.0.1:{pointed.port}/?key=hunter2"
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    pointed.always = status
    session = started(registry)
    end_spans(session, 1)
    session.close()

    said = caplog.text + "".join(capfd.readouterr())
    assert "does not take them" in said
    assert "hunter2" not in said
    assert "the collector's own words" not in said


def test_what_the_sdk_says_elsewhere_in_the_process_is_heard(
    pointed: Collector, registry: MetricRegistry, caplog: pytest.LogCaptureFixture
):
    with started(registry):
        logging.getLogger(SDK_LOGGER).warning("a target's")

    assert "a target's" in caplog.messages


def test_the_sdk_s_loggers_are_as_they_were(pointed: Collector, registry: MetricRegistry):
    logger = logging.getLogger(SDK_LOGGER)
    before = logger.filters[:]

    started(registry).close()

    assert logger.filters == before


def test_a_metric_that_cannot_be_collected_costs_its_page_alone(
    pointed: Collector,
    registry: MetricRegistry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1")
    failures = iter([RuntimeError("no such process")])
    tried = threading.Event()

    def sometimes_broken() -> None:
        if failure := next(failures, None):
            raise failure
        tried.set()

    registry.on_collect(sometimes_broken)
    session = started(registry)
    assert tried.wait(PATIENCE_SECONDS)
    session.close()

    assert items(registry, "otlp_metrics")["failed"] == 1
    assert items(registry, "otlp_metrics")["sent"] == len(pointed.pages) > 0
    assert "does not take them: RuntimeError;" in caplog.messages[0]


def test_starting_a_process_meanwhile_says_nothing(
    pointed: Collector, registry: MetricRegistry, capfd: pytest.CaptureFixture[str]
):
    pointed.answers.append(HANG)
    session = started(registry)
    end_spans(session, 512)
    pointed.wait_until_asked()
    subprocess.run([sys.executable, "-c", ""], check=True, start_new_session=True)
    pointed.released.set()
    session.close()

    assert capfd.readouterr().err == ""
