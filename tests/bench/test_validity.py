"""Whether a run can be trusted: its loops, its generator and its host have their say."""

import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem_observe.analysis.validity import Evidence, judge
from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.document import document
from agentmem_observe.bench.messages import Finished, Request
from agentmem_observe.bench.runner import BenchmarkRunner, RunOptions
from agentmem_observe.bench.supervisor import WorkerRun
from agentmem_observe.bench.watch import Watch
from agentmem_observe.clock import FakeClock
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.measure.recorder import Aggregate, SeriesKey, fold
from agentmem_observe.model import Record
from agentmem_observe.targets.fake import FakeScript, FakeTarget
from agentmem_observe.workload.arrivals import Constant
from agentmem_observe.workload.driver import DriverOptions, closed_loop, open_loop
from agentmem_observe.workload.operations import Operation, Script, repeat
from agentmem_observe.workload.stamps import int64_array

BENCHMARK = Benchmark("own", "it", Path("own.py"), "", {}, True, False)
REQUEST = Request("own.py", "it", {}, "fake", "", 1, 30.0)

QUIET = {"sampled_seconds": 10.0, "run_queue_wait_seconds": 0.0}
STARVED = {"sampled_seconds": 10.0, "run_queue_wait_seconds": 9.0}


def loop(seconds: float, verdict: str = "valid", *reasons: str) -> dict[str, Any]:
    return {"elapsed_seconds": seconds, "verdict": verdict, "reasons": list(reasons)}


def metadata(
    *loops: dict[str, Any],
    resources: dict[str, Any] = QUIET,
    aggregate: Aggregate | None = None,
    beside: int = 1,
    noise: dict[str, Any] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    finished = Finished("ok", "", {}, {"validities": list(loops)} | facts)
    run = WorkerRun(finished, aggregate or Aggregate(), resources, noise or {})
    found: dict[str, Any] = document(BENCHMARK, REQUEST, run, beside=beside)["metadata"]
    return found


# --- the run as a whole ---


def test_a_loop_of_a_millisecond_does_not_judge_a_whole_run() -> None:
    found = metadata(loop(10), loop(0.001, "void", "starved"))

    assert found["validity"] == {
        "verdict": "valid",
        "reasons": [],
        "loops": {"valid": 1, "degraded": 0, "void": 1},
    }


def test_many_short_void_loops_make_a_void_run_together() -> None:
    found = metadata(*[loop(0.01, "void", "starved")] * 20)

    assert found["validity"]["verdict"] == "void"
    assert found["validity"]["reasons"] == ["starved"]


def test_void_and_degraded_loops_weigh_together_as_degraded() -> None:
    found = metadata(loop(89), loop(5, "void", "starved"), loop(6, "degraded", "busy"))

    assert found["validity"]["verdict"] == "degraded"
    assert found["validity"]["reasons"] == ["busy"]


def test_a_single_void_loop_that_took_no_time_judges_its_run() -> None:
    found = metadata(loop(0, "void", "no operation finished"))

    assert found["validity"]["verdict"] == "void"


def test_the_reasons_of_the_longest_loops_stand_first_and_are_few() -> None:
    found = metadata(
        *[loop(length, "void", f"reason {'abcdefghi'[length]}") for length in range(9)]
    )

    assert found["validity"]["reasons"] == [f"reason {letter}" for letter in "ihgfe"]


def test_of_reasons_that_differ_in_their_figures_only_the_first_stands() -> None:
    found = metadata(loop(2, "void", "waited 50.5 % of it"), loop(9, "void", "waited 61 % of it"))

    assert found["validity"]["reasons"] == ["waited 61 % of it"]


def test_a_worker_that_waited_for_its_cpu_voids_a_run_without_loops() -> None:
    found = metadata(resources=STARVED)

    assert found["validity"]["verdict"] == "void"
    assert "waited for a CPU during 90.0% of its time" in found["validity"]["reasons"][0]
    assert found["validity"]["loops"] == {"valid": 0, "degraded": 0, "void": 0}


def test_a_slow_start_of_the_worker_is_not_held_against_the_benchmark() -> None:
    found = metadata(loop(1), resources=STARVED, run_queue_wait_ratio=0.01)

    assert found["validity"]["verdict"] == "valid"


def test_a_benchmark_that_waited_for_its_cpu_is_void_however_its_worker_fared() -> None:
    found = metadata(resources=QUIET, run_queue_wait_ratio=0.5)

    assert found["validity"]["verdict"] == "void"


def test_where_there_are_loops_they_alone_say_whether_the_cpu_was_waited_for() -> None:
    filled_by_threads = metadata(loop(1), run_queue_wait_ratio=0.9)
    starved = metadata(loop(1, "void", "waited"), run_queue_wait_ratio=0.0)

    assert filled_by_threads["validity"]["verdict"] == "valid"
    assert starved["validity"]["verdict"] == "void"


@pytest.mark.parametrize(
    "noise", [{"steal_ratio": 0.06}, {"cpu_pressure_ratio": 0.5}, {"throttled_seconds": 5.0}]
)
def test_what_the_host_took_counts_beside_valid_loops_too(noise: dict[str, float]) -> None:
    found = metadata(loop(1), noise=noise)

    assert found["validity"]["verdict"] != "valid"


def test_warnings_tell_failures_first_then_that_all_is_void_then_the_rest() -> None:
    aggregate = Aggregate()
    for outcome, count in {"ok": 3, "wrong": 2, "empty": 1}.items():
        series = aggregate.series(SeriesKey("create_memory", "stm", outcome))
        series.service_time.record(int64_array([1000] * count))

    found = metadata(
        loop(1, "void", "starved", "also busy"),
        aggregate=aggregate,
        warnings=["10 are gone"],
        beside=3,
    )

    assert found["warnings"] == [
        "3 of 6 operations did not succeed (2 wrong, 1 empty); throughput and latency are of the "
        "others only",
        "void: starved",
        "also busy",  # maybe of a milder verdict
        "10 are gone",
        "run beside up to 2 other benchmarks: they disturb each other",
    ]


def test_what_a_benchmark_found_stands_before_a_doubt_that_is_mild() -> None:
    found = metadata(loop(1, "degraded", "busy"), warnings=["10 are gone"])

    assert found["warnings"] == ["10 are gone", "degraded: busy"]


def test_the_share_of_cpu_that_measuring_took_is_stated() -> None:
    aggregate = Aggregate()
    series = aggregate.series(SeriesKey("create_memory", "", "ok"))
    series.service_time.record(int64_array([1000] * 1000))

    overhead = metadata(aggregate=aggregate, timed_operation_cpu_seconds=2e-7, cpu_seconds=0.002)[
        "overhead"
    ]

    assert overhead["operations_total"] == 1000
    assert overhead["measuring_cpu_ratio"] == pytest.approx(0.1)


# --- one loop ---


class Oversleeping(FakeClock):
    """The clock of a generator that gets its CPU late."""

    def __init__(self, late_ns: int) -> None:
        super().__init__(10**12)
        self._late_ns = late_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        super().sleep_until_ns(deadline_ns + self._late_ns)


def stores(target: FakeTarget, count: int) -> Script:
    record = Record("agent", "id")
    return repeat(Operation("create_memory", lambda number: target.store(record)), count)


def evidence_of(
    clock: FakeClock, service_seconds: float, rate: float | None, count: int
) -> Evidence:
    """Watch a loop on a virtual clock; what the real host did meanwhile is left out."""
    target = FakeTarget(FakeScript(service_seconds=service_seconds), clock)
    target.open()
    aggregate = Aggregate()
    watch = Watch()

    def sink(batch: Any) -> None:
        watch.see(batch)
        aggregate.merge(fold(batch))

    script, options = stores(target, count), DriverOptions(clock)
    with watch:
        if rate is None:
            load = closed_loop([script], sink, options)
        else:
            load = open_loop(script, Constant(rate, count / rate), sink, options)
    evidence = watch.evidence(load, aggregate)
    return replace(evidence, run_queue_wait_ratio=None, own_cpu_ratio=None, gc_pause_ratio=None)


@pytest.mark.parametrize("agents", [1, 4])
def test_what_agents_waited_for_a_cpu_counts_though_their_threads_have_ended(agents: int) -> None:
    readings = threading.local()

    def own_wait_ns() -> int:
        readings.last = getattr(readings, "last", 0) + 1_000
        return int(readings.last)

    aggregate = Aggregate()
    watch = Watch(own_wait_ns)

    def sink(batch: Any) -> None:
        watch.see(batch)
        aggregate.merge(fold(batch))

    with watch:
        load = closed_loop([stores(FakeTarget(), 1) for _ in range(agents)], sink)
    seconds = watch.evidence(load, aggregate).run_queue_wait_ratio

    wall = watch._wall_seconds
    assert seconds == pytest.approx(1e-6 / wall)


@pytest.mark.parametrize("late_ms", [12, 50, 1000])
def test_a_generator_that_gets_its_cpu_late_voids_the_loop_and_says_so(
    late_ms: int, tmp_path: Path
) -> None:
    clock = Oversleeping(late_ms * 1_000_000)
    target = FakeTarget(FakeScript(), FakeClock())
    target.open()
    bench = Bench("fake", tmp_path, lambda *report: None, driver=DriverOptions(clock))

    measured = bench.open_loop(stores(target, 50), Constant(0.5, 100))

    assert measured.validity.verdict == "void"
    assert any("the load generator had too little CPU" in r for r in measured.validity.reasons)
    assert bench.facts()["validities"][0]["verdict"] == "void"


@settings(deadline=None, max_examples=50)
@given(
    service_seconds=st.floats(1e-4, 10),
    rate=st.sampled_from([1.0, 10.0, 100.0, 1000.0]),
)
def test_a_slow_target_alone_never_voids_an_open_loop(service_seconds: float, rate: float) -> None:
    evidence = evidence_of(FakeClock(10**12), service_seconds, rate, 300)

    validity = judge(evidence)

    assert validity.verdict != "void"
    if service_seconds * rate > 1.1:
        assert validity.target_saturated


@settings(deadline=None, max_examples=50)
@given(service_seconds=st.floats(1e-4, 10))
def test_a_slow_target_is_all_that_a_closed_loop_measures(service_seconds: float) -> None:
    validity = judge(evidence_of(FakeClock(10**12), service_seconds, None, 20))

    # Nothing but the run queue, left out here, tells whether a closed loop was starved.
    assert validity.verdict == "degraded"
    assert len(validity.reasons) == 1
    assert "neither dispatch delay nor run-queue wait is known" in validity.reasons[0]


def test_a_loop_in_which_nothing_was_sent_is_void(tmp_path: Path) -> None:
    target = FakeTarget(FakeScript(), FakeClock())
    bench = Bench("fake", tmp_path, lambda *report: None)

    measured = bench.closed_loop([stores(target, 0)])

    assert measured.validity.verdict == "void"
    assert measured.throughput == 0


# --- on the real scheduler ---

STARVED_LOOP = """
import os, subprocess, sys
from agentmem_observe.workload.operations import Operation, repeat

HOG = "print('ready', flush=True)\\nfor _ in range(2_000_000_000): pass"  # a minute, if not ended

def work(number):
    for _ in range(10_000):
        pass

def benchmark_it(bench):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    hogs = [
        subprocess.Popen([sys.executable, "-S", "-c", HOG], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    try:
        for hog in hogs:
            hog.stdout.readline()
        os.nice(10)  # some 5 % of the CPU
        bench.closed_loop([repeat(Operation("create_memory", work), 100)])
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    return {}
"""


@pytest.mark.skipif(
    not Path(f"/proc/{os.getpid()}/schedstat").exists(),
    reason="this platform does not account for run-queue wait",
)
def test_a_run_whose_cpu_was_taken_away_is_void_and_says_why(tmp_path: Path) -> None:
    """Two processes of higher priority leave it a twentieth of a CPU; a quarter lost is void."""
    (tmp_path / "own.py").write_text(STARVED_LOOP)
    config = BenchmarkConfig(output_dir=str(tmp_path / "results"))
    runner = BenchmarkRunner(config, options=RunOptions(target="fake", suites=(tmp_path,)))

    path = runner.run_benchmark("own", "it")

    found = json.loads(Path(path).read_text())["metadata"]
    assert found["status"] == "ok"
    assert found["validity"]["verdict"] == "void"
    assert found["validity"]["loops"]["void"] == 1
    assert any("waited for a CPU" in reason for reason in found["validity"]["reasons"])
    assert found["warnings"][0].startswith("void: ")
