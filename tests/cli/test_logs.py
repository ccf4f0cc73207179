"""What a log gets of a command: one object per line, whoever speaks, and no secrets."""

import io
import json
import logging
import math
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest

from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.messages import Progress
from agentmem_observe.cli import progress
from agentmem_observe.cli.events import Events
from agentmem_observe.cli.logs import Log, log_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what stands for standard error."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@pytest.fixture
def log(stream: io.StringIO) -> Iterator[Log]:
    """Return a log that speaks JSON."""
    log = Log()
    log.use_json()
    yield log
    log.close()


@pytest.fixture
def mine(tmp_path: Path) -> Benchmark:
    return Benchmark("mine", "fine", tmp_path, "", {}, False, False)


def said(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_what_is_said_is_an_object_on_a_line_of_its_own(log, stream):
    log.say("it_rained", "It\nrained.", level=logging.WARNING, drops=3, where=None, wet=True)

    (line,) = said(stream.getvalue())
    when = datetime.fromisoformat(line.pop("timestamp"))
    assert when.utcoffset().total_seconds() == 0
    assert line == {
        "level": "warning",
        "event": "it_rained",
        "message": "It\nrained.",
        "drops": 3,
        "where": None,
        "wet": True,
    }


def test_a_time_is_utc_with_milliseconds_wherever_the_machine_is(log, stream, monkeypatch):
    monkeypatch.setattr(logging.time, "time", lambda: 1_782_900_000.25)
    monkeypatch.setattr(logging.time, "time_ns", lambda: 1_782_900_000_250_000_000)

    log.say("noon", "Noon.")

    (line,) = said(stream.getvalue())
    assert line["timestamp"] == "2026-07-01T10:00:00.250Z"


def test_people_get_the_message_alone(capsys):
    Log().say("it_rained", "It rained.", level=logging.WARNING, drops=3)

    assert capsys.readouterr() == ("", "It rained.\n")


def test_lines_carry_the_span_that_is_current_where_they_are_said(log, stream):
    spans = {"main": (TRACE, SPAN)}
    log.current_span = lambda: spans.get(threading.current_thread().name)

    log.say("outside", "Outside.")
    thread = threading.Thread(target=log.say, args=("inside", "Inside."), name="main")
    thread.start()
    thread.join()

    outside, inside = said(stream.getvalue())
    assert "trace_id" not in outside
    assert (inside["trace_id"], inside["span_id"]) == (TRACE, SPAN)


def test_a_warning_of_python_takes_the_same_form(capsys):
    log = Log()

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        log.use_json()  # in here: whoever catches warnings restores how they are shown
        warnings.warn("it will rain", DeprecationWarning, stacklevel=1)
        log.close()

    (line,) = said(capsys.readouterr().err)
    assert (line["level"], line["event"]) == ("warning", "python_warning")
    assert "DeprecationWarning: it will rain" in line["message"]


def test_a_librarys_warnings_take_the_same_form_and_its_chatter_is_left_out(log, stream):
    logger = logging.getLogger("opentelemetry.exporter.otlp")
    logger.info("connecting")
    try:
        raise OSError("http://user:secret@host refused")
    except OSError:
        logger.exception("failed to export to %s", "https://user:secret@host/v1")

    (line,) = said(stream.getvalue())
    assert (line["level"], line["event"]) == ("error", "log")
    assert line["logger"] == "opentelemetry.exporter.otlp"
    assert line["message"] == "failed to export to https://***@host/v1"
    assert "OSError: http://***@host refused" in line["exception"]


def test_our_own_loggers_below_warning_are_heard(log, stream):
    logging.getLogger("agentmem_observe.telemetry.delivery").info("all is well again")

    (line,) = said(stream.getvalue())
    assert (line["level"], line["logger"]) == ("info", "agentmem_observe.telemetry.delivery")


class Odd:
    def __str__(self) -> str:
        return "odd"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (math.inf, None),
        pytest.param("\ud800\u2028\x00", "\ud800\u2028\x00", id="strange characters"),
        ("redis://me:secret@host:6379/0", "redis://***@host:6379/0"),
        ("gave redis://:s/e@cret@host/0 up", "gave redis://***@host/0 up"),
        ("mine://host?region=eu&api_key=secret", "mine://host?region=eu&api_key=***"),
        ("fake?api_key=secret&size=1", "fake?api_key=***&size=1"),
        (["http://me:secret@host"], ["http://***@host"]),
        ({"to": "http://me:secret@host"}, {"to": "http://***@host"}),
        ("write to me@host.example, ok?", "write to me@host.example, ok?"),
        (Odd(), "odd"),
        (Path("a/b"), "a/b"),
        pytest.param("x" * 100_000, "x" * 8_192 + "…", id="too long"),
        (2**70, 2**70),
    ],
)
def test_a_field_of_any_kind_leaves_a_line_that_can_be_read(value, expected, log, stream):
    log.say("odd", str(value), field=value)

    (line,) = said(stream.getvalue())
    assert line["field"] == expected
    assert len(stream.getvalue()) < 50_000


def test_what_a_library_repeats_of_a_targets_password_is_hidden(log, stream):
    log.hide("redis://me:open%20s%2Fesame@host/0")
    log.say("odd", "AUTH 'open s/esame' refused", answer=[b"open s/esame".decode()])

    (line,) = said(stream.getvalue())
    assert (line["message"], line["answer"]) == ("AUTH '***' refused", ["***"])


def test_a_field_cannot_take_the_place_of_what_every_line_has(log, stream):
    log.say("fine", "Fine.", timestamp="yesterday", trace_id="none")

    (line,) = said(stream.getvalue())
    assert line["timestamp"] != "yesterday"


def test_logging_is_left_as_it_was_found(stream):
    root, ours = logging.getLogger(), logging.getLogger("agentmem_observe")
    before = (list(root.handlers), root.level, ours.level, warnings.showwarning)
    log = Log()

    log.use_json()
    log.use_json()
    added = len(root.handlers) - len(before[0])
    log.close()
    log.close()

    assert added == 1
    assert (list(root.handlers), root.level, ours.level, warnings.showwarning) == before


def test_a_log_is_found_through_the_command_that_runs():
    log = Log()

    with click.Context(click.Command("run"), obj=log):
        found = log_of()

    assert found is log
    assert log_of() is not log


def test_a_run_is_told_from_start_to_end(log, stream, mine, store, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    events = Events(log, 2)
    result = store.load_result("fine_20260101_000000")

    listener = events.started(mine)
    listener.progressed(Progress(10, 100, "too soon", b""))
    now[0] += 10
    listener.progressed(Progress(25, 100, " storing ", b""))
    events.ended(mine, "a.json", result)

    lines = said(stream.getvalue())
    for line in lines:
        assert (line["category"], line["benchmark"]) == ("mine", "fine")
    started, moved, ended, warned = lines
    assert (started["event"], started["message"]) == ("benchmark_started", "mine.fine: started")
    assert moved["event"] == "benchmark_progressed"
    assert moved["message"] == "mine.fine: 25%, about 30.0 s left (storing)"
    assert (moved["progress_ratio"], moved["left_seconds"]) == (0.25, 30.0)
    assert moved["phase"] == "storing"
    assert ended["event"] == "benchmark_ended"
    assert ended["message"] == "[1/2] mine.fine: ok, degraded, in 1.50 s. Wrote a.json"
    assert (ended["status"], ended["verdict"], ended["seconds"]) == ("ok", "degraded", 1.5)
    assert (ended["path"], ended["number"], ended["total"]) == ("a.json", 1, 2)
    assert (warned["event"], warned["level"]) == ("benchmark_warned", "warning")
    assert warned["message"] == "it rained"


def test_how_long_is_left_is_unknown_until_something_is_done(log, stream, mine, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    listener = Events(log, 1).started(mine)

    now[0] += 10
    listener.progressed(Progress(0, 100, "", b""))

    *_, moved = said(stream.getvalue())
    assert (moved["progress_ratio"], moved["left_seconds"]) == (0.0, None)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"reason": "KeyError: 'my secret'", "traceback": "Traceback …"}, "KeyError"),
        ({"reason": "no attic: skipped", "traceback": ""}, "no attic: skipped"),
        ({}, None),
    ],
)
def test_what_an_exception_says_stays_on_this_machine(metadata, reason, log, stream, mine, store):
    result = store.load_result("fine_20260101_000000")
    result["metadata"] |= {"status": "failed", "warnings": []} | metadata

    Events(log, 1).ended(mine, "a.json", result)

    (ended,) = said(stream.getvalue())
    assert ended["level"] == "error"
    assert ended.get("reason") == reason
    assert "secret" not in stream.getvalue()


def test_a_command_speaks_json_alone_and_standard_output_stays_data(command, suite, tmp_path):
    ran = command("run", "--suite", suite, "--output-dir", tmp_path / "r", "--export", "json",
                  "--log-format", "json")  # fmt: skip

    lines = said(ran.err)
    results = json.loads(ran.out)
    assert ran.code == 1
    assert [one["benchmark"] for one in results] == ["fine", "broken", "picky"]
    ended = [line for line in lines if line["event"] == "benchmark_ended"]
    assert [line["status"] for line in ended] == ["ok", "failed", "skipped"]
    assert {line["event"] for line in lines} == {
        "benchmark_started",
        "benchmark_ended",
        "benchmark_warned",
    }


def test_even_a_terminal_gets_no_bar(on_terminal, suite, tmp_path):
    ran = on_terminal("run", "--suite", suite, "--output-dir", tmp_path / "r", "--log-format",
                      "json", "--export", "json", columns=80, piped=True)  # fmt: skip

    assert "\x1b" not in ran.err
    assert said(ran.err)[0]["event"] == "benchmark_started"


def test_the_lines_of_a_traced_run_carry_its_trace(command, suite, tmp_path):
    ran = command("run", "--suite", suite, "--benchmark", "fine", "--output-dir", tmp_path / "r",
                  "--category", "mine", "--otlp-file", tmp_path / "otlp.jsonl",
                  "--log-format", "json", "--export", "json")  # fmt: skip

    spans = [
        span
        for line in said((tmp_path / "otlp.jsonl").read_text())
        for resource in line.get("resourceSpans", [])
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    (run_span,) = [span for span in spans if span["name"] == "mine/fine"]
    told = {line["event"]: line for line in said(ran.err)}
    for event in ("benchmark_started", "benchmark_ended"):
        assert told[event]["trace_id"] == run_span["traceId"]
        assert told[event]["span_id"] == run_span["spanId"]
    assert told["file_written"]["path"] == str(tmp_path / "otlp.jsonl")


@pytest.mark.parametrize(
    ("arguments", "error_type", "message"),
    [
        (["--category", "storge"], "UsageError", "did you mean 'storage'?"),
        (["--workers", "0"], "BadParameter", "--workers: 0 is not a whole number"),
    ],
)
def test_why_a_command_failed_is_a_line_too(arguments, error_type, message, command):
    ran = command("run", "--log-format", "json", *arguments)

    (line,) = said(ran.err)
    assert ran.code == 1
    assert (line["level"], line["event"]) == ("error", "command_failed")
    assert line["error_type"] == error_type
    assert message in line["message"]
    assert not line["message"].startswith("Error")


def test_the_next_command_speaks_to_people_again(command):
    command("run", "--log-format", "json", "--category", "storge")

    ran = command("run", "--category", "storge")

    assert ran.err.startswith("Error: ")
