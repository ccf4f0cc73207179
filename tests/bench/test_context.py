"""What a benchmark gets as ``bench``: fresh targets, seeded records, progress, figures."""

from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.bench.context import AGENT, Bench, SkipBenchmark
from agentmem_observe.clock import FakeClock
from agentmem_observe.measure.recorder import Aggregate
from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.targets.fake import FakeScript, FakeTarget
from agentmem_observe.workload.driver import DriverOptions


class Reports:
    """Keeps what a benchmark reported."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float, str]] = []
        self.measured = Aggregate()

    def __call__(self, done: float, total: float, phase: str, measured: Aggregate) -> None:
        self.seen.append((done, total, phase))
        self.measured.merge(measured)


def a_bench(tmp_path: Path, reports: Reports | None = None, **options: Any) -> Bench:
    return Bench(options.pop("target", "fake"), tmp_path, reports or Reports(), **options)


def test_each_target_is_fresh_and_its_files_are_removed(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, target="embedded")
    (record,) = bench.generate(1, tier="ltm")

    with bench.target() as first:
        first.store(record)
        assert len(list(tmp_path.iterdir())) == 1
    with bench.target() as second:
        assert second.count() == 0

    assert list(tmp_path.iterdir()) == []


def test_a_target_is_closed_even_when_the_benchmark_fails(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    (record,) = bench.generate(1)

    seen: list[MemoryTarget] = []

    def fail() -> None:
        with bench.target() as target:
            target.store(record)
            seen.append(target)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()

    assert seen[0].count() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_closed_either_does_not_hide_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close(self: FakeTarget) -> None:
        raise OSError("gone")

    monkeypatch.setattr(FakeTarget, "close", close)
    bench = a_bench(tmp_path)

    with pytest.raises(ValueError, match="no"), bench.target():
        raise ValueError("no")

    assert bench.warnings == ["closing the target failed too: OSError: gone"]


def test_records_are_those_of_the_seed(tmp_path: Path) -> None:
    def states(seed: int) -> list[Any]:
        return [record.state for record in a_bench(tmp_path, seed=seed).generate(5, 2)]

    assert states(1) == states(1) != states(2)


def test_records_have_vectors_only_for_a_target_that_takes_them(tmp_path: Path) -> None:
    (with_vector,) = a_bench(tmp_path).generate(1)
    (without,) = a_bench(tmp_path, target="fake?lacks=vectors_in").generate(1)

    assert with_vector.vector is not None
    assert without.vector is None
    assert with_vector.state == without.state


def test_records_are_spread_over_agents(tmp_path: Path) -> None:
    spread = [record.agent_id for record in a_bench(tmp_path).generate(5, per_agent=2)]
    alone = {record.agent_id for record in a_bench(tmp_path).generate(5)}

    assert spread == [f"{AGENT}_{number}" for number in (0, 0, 1, 1, 2)]
    assert alone == {AGENT}


def test_what_the_target_lacks_skips_the_benchmark(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, target="fake?lacks=delete,count")
    bench.require(Capability.SEARCH)

    with pytest.raises(SkipBenchmark, match="target 'fake' lacks delete, count"):
        bench.require(Capability.DELETE, Capability.SEARCH, Capability.COUNT)


def test_progress_counts_every_operation_once_and_names_the_phase(tmp_path: Path) -> None:
    reports = Reports()
    bench = a_bench(tmp_path, reports)
    bench.expect(140)
    bench.phase("writing")

    with bench.target() as target:
        records = bench.records(100)
        bench.store(target, records)
        bench.phase("reading")
        bench.read(target, records, batch_size=2, count=40)

    assert reports.seen[0] == (0, 140, "writing")
    assert reports.seen[-1] == (140, 140, "reading")
    assert [seen[0] for seen in reports.seen] == sorted(seen[0] for seen in reports.seen)
    assert sum(reports.measured.outcomes().values()) == 140


def test_everything_measured_is_reported(tmp_path: Path) -> None:
    reports = Reports()
    bench = a_bench(tmp_path, reports, target="fake?loses_one_in=10")

    with bench.target() as target:
        measured = bench.store(target, bench.records(30))

    assert reports.measured.outcomes() == {"ok": 27, "wrong": 3}
    assert measured.aggregate.outcomes() == {"ok": 27, "wrong": 3}


def test_a_warning_is_given_once(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)

    bench.warn("twice")
    bench.warn("twice")

    assert bench.facts()["warnings"] == ["twice"]


def test_an_operation_slower_than_the_limit_is_a_timeout(tmp_path: Path) -> None:
    clock = FakeClock(10**12)
    target = FakeTarget(FakeScript(store_seconds=(0.1, 0.1, 0.5)), clock)
    target.open()
    bench = a_bench(tmp_path, driver=DriverOptions(clock, timeout_seconds=0.2))

    measured = bench.store(target, bench.records(9))

    assert measured.aggregate.outcomes() == {"ok": 6, "timeout": 3}
    assert measured.load.elapsed_seconds == pytest.approx(6 * 0.1 + 3 * 0.5)
    assert measured.throughput == pytest.approx(6 / 2.1)


def test_figures_are_of_successful_operations_on_the_loops_own_clock(tmp_path: Path) -> None:
    clock = FakeClock(10**12)
    target = FakeTarget(FakeScript(store_seconds=0.25), clock)
    target.open()
    bench = a_bench(tmp_path, driver=DriverOptions(clock))

    summary = bench.store(target, bench.records(40)).summary()

    assert summary["throughput_ops_per_second"] == pytest.approx(4)
    assert summary["total_time_seconds"] == pytest.approx(10)
    assert summary["items_processed"] == 40
    assert summary["loop"] == "closed"
    assert summary["service_time_p50_seconds"] == pytest.approx(0.25, rel=0.004)
    assert "service_time_p95_seconds" not in summary  # of 40 samples it would be a guess
    assert "latency_p50_seconds" not in summary  # a closed loop has none to tell
