"""Runs without an end of their own: real workers that wait for turns, are cut short, and hang."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe import suite
from agentmem_observe.bench.discover import Benchmark, discover
from agentmem_observe.bench.messages import Progress, Request, Window
from agentmem_observe.bench.runner import BenchmarkRunner, Observer, RunOptions
from agentmem_observe.bench.supervisor import Listener, Turn
from agentmem_observe.bench.tracing import TracedRun
from agentmem_observe.clock import FakeClock
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.measure.process import ProcessSample
from agentmem_observe.telemetry import semconv
from agentmem_observe.telemetry.spans import Traces
from agentmem_observe.workload.driver import DriverOptions, closed_loop
from agentmem_observe.workload.operations import Operation, repeat

SOAK = Path(suite.__path__[0]) / "soak"
SHORT = {"rate": 100, "window_seconds": 0.2, "records": 20}


class Grants(Listener):
    """Grants so many turns, then ends the run."""

    def __init__(self, turns: int) -> None:
        self.turns = turns
        self.windows: list[Window] = []
        self.pid = 0
        self.polls_while_waiting = 0

    def turn(self, asked: bool) -> Turn:
        return Turn.GO if len(self.windows) < self.turns else Turn.END

    def window(self, window: Window) -> None:
        self.windows.append(window)

    def sampled(self, sample: ProcessSample) -> None:
        self.sample = sample


class _Told(Observer):
    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.result: dict[str, Any] = {}

    def started(self, benchmark: Benchmark) -> Listener:
        return self.listener

    def ended(self, benchmark: Benchmark, path: str, result: Any) -> None:
        self.result = result


def soak(
    directory: Path,
    listener: Listener,
    *,
    target: str = "fake",
    params: dict[str, Any] = SHORT,
    **options: Any,
) -> dict[str, Any]:
    """Run the soak until its listener ends it; return its result."""
    (found,) = discover([SOAK])
    told = _Told(listener)
    runner = BenchmarkRunner(
        BenchmarkConfig(output_dir=str(directory)),
        options=RunOptions(target=target, in_turns=True, **options),
        observer=told,
    )
    runner.run([replace(found, name="checkout", function="steady")], params)
    return told.result


def test_a_run_in_turns_ends_well_after_as_many_turns_as_it_was_granted(tmp_path: Path) -> None:
    listener = Grants(3)

    result = soak(tmp_path, listener)

    assert (result["category"], result["benchmark"]) == ("soak", "checkout")
    assert result["metadata"]["status"] == "ok"
    assert [window.number for window in listener.windows] == [1, 2, 3]
    assert result["results"]["operations"] == 3 * 20


def test_a_window_says_what_its_verdicts_are_made_of(tmp_path: Path) -> None:
    listener = Grants(1)

    soak(tmp_path, listener, target="embedded")

    (window,) = listener.windows
    assert window.figures["validity"]["verdict"] in ("valid", "degraded", "void")
    assert window.figures["offered_operations_per_second"] == pytest.approx(100)
    assert window.figures["blocks"] > 1000
    assert window.figures["stored_records"] == 20
    assert window.figures["stored_bytes"] > 0
    assert not window.figures["cut"]


class WatchesTheLog(Grants):
    """Grants turns until there was more output than is kept; notes how much was kept."""

    def __init__(self, directory: Path) -> None:
        super().__init__(1000)
        self.printed, self.largest = directory / "printed", 0

    def turn(self, asked: bool) -> Turn:
        if asked:
            self.largest = max(self.largest, self._size())
        printed = self.printed.read_text() if self.printed.exists() else ""
        return Turn.END if int(printed or 0) > 5 << 20 else Turn.GO

    def _size(self) -> int:
        return Path(f"/proc/{_child_of(os.getpid())}/fd/1").stat().st_size


CHATTY = """
import sys
from pathlib import Path

def benchmark_chatty(bench, printed: str = ""):
    total = 0
    while bench.turns.next():
        total += sys.stdout.write("a line\\n" * 20_000)
        Path(printed).write_text(str(total))
    print("the end")
    raise RuntimeError("so that the log is shown")
"""


def test_what_a_worker_prints_in_months_does_not_fill_the_disk(tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "own.py").write_text(CHATTY)
    listener = WatchesTheLog(tmp_path)
    told = _Told(listener)
    runner = BenchmarkRunner(
        BenchmarkConfig(output_dir=str(tmp_path / "results")),
        options=RunOptions(target="fake", in_turns=True, suites=(tmp_path / "suite",)),
        observer=told,
    )

    runner.run_benchmark("own", "chatty", {"printed": str(listener.printed)})

    assert 0 < listener.largest < 2 << 20
    assert "the end" in told.result["metadata"]["log_tail"]


class Waits(Grants):
    """Lets the worker wait for a while before it grants anything."""

    def turn(self, asked: bool) -> Turn:
        if asked and self.polls_while_waiting < 12:
            self.polls_while_waiting += 1
            self.windows_before = len(self.windows)
            return Turn.WAIT
        return super().turn(asked)


def test_a_worker_waits_for_its_turn_beyond_its_time_limit(tmp_path: Path) -> None:
    listener = Waits(1)

    result = soak(tmp_path, listener, time_limit_seconds=5)  # it polls twice a second

    assert listener.polls_while_waiting == 12
    assert listener.windows_before == 0
    assert result["metadata"]["status"] == "ok"


class EndsInTheFirstWindow(Grants):
    """Grants one long turn and says that all is over as soon as something is measured in it."""

    def __init__(self) -> None:
        super().__init__(1)
        self.over = False

    def turn(self, asked: bool) -> Turn:
        return Turn.END if self.over else super().turn(asked)

    def progressed(self, progress: Progress) -> None:
        self.over = self.over or "operations a second" in progress.phase


def test_a_turn_is_cut_short_when_all_is_over(tmp_path: Path) -> None:
    listener = EndsInTheFirstWindow()

    result = soak(tmp_path, listener, params=SHORT | {"window_seconds": 600})

    assert result["metadata"]["status"] == "ok"
    assert [window.figures["cut"] for window in listener.windows] in ([True], [])


class Signals(Grants):
    """Sends the worker a signal when its first window has ended."""

    def __init__(self, number: int) -> None:
        super().__init__(1000)
        self.number = number

    def window(self, window: Window) -> None:
        super().window(window)
        os.kill(_child_of(os.getpid()), self.number)


def _child_of(parent: int) -> int:
    """Return the process id of the worker: the child that this process has."""
    children = Path(f"/proc/self/task/{_thread_of_run()}/children").read_text().split()
    return int(children[-1])


def _thread_of_run() -> int:
    return int(os.readlink("/proc/thread-self").rpartition("/")[2])


@pytest.mark.parametrize(
    ("number", "cause"), [(signal.SIGSTOP, "hung"), (signal.SIGKILL, "killed")]
)
def test_a_worker_that_is_stopped_or_killed_fails_with_what_was_measured(
    tmp_path: Path, number: int, cause: str
) -> None:
    listener = Signals(number)

    # A busy host is silent for a while, too; one that is stopped is so until the limit.
    limit = 2 if cause == "hung" else 60
    result = soak(tmp_path, listener, silence_limit_seconds=limit)

    assert result["metadata"]["status"] == "failed"
    assert result["metadata"]["cause"] == cause
    assert sum(h["service_time"]["count"] for h in result["metadata"]["histograms"]) >= 20


def test_a_target_that_hangs_is_no_silence_and_meets_the_time_limit(tmp_path: Path) -> None:
    result = soak(
        tmp_path,
        Grants(2),
        target="fake?hangs_at=150",
        silence_limit_seconds=5,
        time_limit_seconds=8,
    )

    assert result["metadata"]["cause"] == "timeout"


def test_a_window_in_which_nothing_succeeds_ends_the_run_as_the_targets_fault(
    tmp_path: Path,
) -> None:
    only_reads = SHORT | {"mix": {"retrieve_memory": 1}}

    result = soak(tmp_path, Grants(9), target="fake?returns_nothing_one_in=1", params=only_reads)

    assert result["metadata"]["status"] == "failed"
    assert result["metadata"]["cause"] == "target"
    assert "none of 20 operations in a window succeeded (20 empty)" in result["metadata"]["reason"]


def test_every_window_has_a_trace_of_its_own_with_its_operations_and_a_link_to_the_run() -> None:
    sent: list[Traces] = []
    clock = FakeClock()
    request = Request("", "", {}, "fake", "", 0, 0, traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    run = TracedRun(request, sent.append, clock=clock, environ={})
    operation = Operation("retrieve_memory", lambda number: clock.advance(0.001))

    for number in (1, 2):
        with run.turn(number), run.loop() as loop:
            closed_loop(
                [repeat(operation, 3)],
                loop.saw,
                DriverOptions(clock=clock, tracer=run.operations),
            )
    run.end()

    spans = [span for traces in sent for span in traces.spans]
    windows = [span for span in spans if span.name == "window"]
    assert [span.attributes[semconv.WINDOW] for span in windows] == [1, 2]
    assert [link.trace_id for span in windows for link in span.links] == ["a" * 32] * 2
    traces = [span.trace_id for span in windows]
    assert len({*traces, "a" * 32}) == 3
    for trace_id in traces:
        names = [span.name for span in spans if span.trace_id == trace_id]
        assert sorted(names) == ["measure", *["retrieve_memory"] * 3, "window"]


def test_windows_of_a_run_that_is_not_sampled_are_not_either() -> None:
    sent: list[Traces] = []
    request = Request("", "", {}, "fake", "", 0, 0, traceparent=f"00-{'a' * 32}-{'b' * 16}-00")
    run = TracedRun(request, sent.append, clock=FakeClock(), environ={})

    with run.turn(1):
        pass
    run.end()

    assert [span for traces in sent for span in traces.spans] == []
