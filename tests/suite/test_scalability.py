"""Agents, volumes and steady loads: exact counts, the seeds' fields, and liars that are caught."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmem_observe.bench.context import AGENT, Bench
from agentmem_observe.measure.process import ProcessSample
from agentmem_observe.model import Record
from agentmem_observe.suite.scalability import agents, leaking, usage, utilization, volumes
from agentmem_observe.suite.scalability.sharing import shared
from agentmem_observe.targets.base import Capability
from agentmem_observe.targets.fake import FakeScript, FakeTarget
from agentmem_observe.workload.corpus import Corpus

RunHere = Callable[..., Any]

SEEDS_AGENT_FIELDS = {
    "total_duration_seconds",
    "avg_agent_duration_seconds",
    "min_agent_duration_seconds",
    "max_agent_duration_seconds",
    "throughput_agents_per_second",
    "avg_cpu_percent",
    "max_cpu_percent",
    "avg_memory_bytes",
    "max_memory_bytes",
    "std_deviation_duration",
    "95th_percentile_duration",
}
SEEDS_VOLUME_FIELDS = {
    "store_latency_ms",
    "retrieve_latency_ms",
    "search_latency_ms",
    "cross_tier_latency_ms",
    "memory_usage_bytes",
}
SEEDS_LOAD_FIELDS = {
    "duration_seconds",
    "operation_count",
    "actual_rate_ops_per_second",
    "avg_operation_time_ms",
    "p95_operation_time_ms",
    "resource_utilization",
    "resource_efficiency",
    "time_series",
}


def a_bench(tmp_path: Path, target: str = "fake") -> Bench:
    return Bench(target, tmp_path, lambda *progress: None, seed=1)


def opened(**script: Any) -> FakeTarget:
    target = FakeTarget(FakeScript(**script))
    target.open()
    return target


# --- agent_scaling ---


def scale(
    run_here: RunHere, counts: Sequence[int], target: str = "fake", **params: Any
) -> tuple[Any, dict[str, Any]]:
    params = {"parallel_operations": [1], "least_operations": 1} | params
    ran = run_here("scalability", "agent_scaling", target=target, agent_counts=counts, **params)
    assert ran.metadata["status"] == "ok"
    return ran, ran.document["results"]


def test_each_agent_does_ten_five_and_three_operations(run_here: RunHere) -> None:
    ran, results = scale(run_here, [2, 7])

    for count in (2, 7):
        case = results[str(count)]
        assert case.keys() >= SEEDS_AGENT_FIELDS
        assert case["agents_total"] == case["agents_ok_total"] == count
        assert case["outcomes"] == {"ok": 18 * count}
        assert {name: part["outcomes"] for name, part in case["operations"].items()} == {
            "create_memory": {"ok": 10 * count},
            "retrieve_memory": {"ok": 5 * count},
            "search_memory": {"ok": 3 * count},
        }
        assert case["verification"]["counted"] == case["verification"]["read_back"] == 10 * count
        assert case["verification"]["self_recall_ratio"] == 1.0
    assert results["parallel_operations"].keys() == {"1"}
    assert "1" not in results
    assert ran.counts("create_memory") == {("", "ok"): 10 * (1 + 2 + 7)}


def test_the_figures_of_a_case_follow_from_each_other(run_here: RunHere) -> None:
    _, results = scale(run_here, [1, 3], least_operations=18 * 30)

    for count, turns in ((1, 30), (3, 10)):
        case = results[str(count)]
        elapsed = case["total_duration_seconds"] * turns
        assert case["agents_total"] == 30
        assert case["throughput_agents_per_second"] * elapsed == pytest.approx(30)
        assert case["throughput_ops_per_second"] * elapsed == pytest.approx(18 * 30)
        assert (
            0
            < case["min_agent_duration_seconds"]
            <= case["avg_agent_duration_seconds"]
            <= case["max_agent_duration_seconds"]
            <= elapsed
        )
        ratio = case["throughput_ops_per_second"] / results["1"]["throughput_ops_per_second"]
        assert case["scaling_efficiency_ratio"] == pytest.approx(ratio / count)


def test_no_percentile_is_made_of_fewer_agents_than_it_takes(run_here: RunHere) -> None:
    _, few = scale(run_here, [1], least_operations=18 * 199)
    _, enough = scale(run_here, [1], least_operations=18 * 200)

    assert few["1"]["95th_percentile_duration"] is None
    low, high = (enough["1"][f"{end}_agent_duration_seconds"] for end in ("min", "max"))
    assert low <= enough["1"]["95th_percentile_duration"] <= high


def test_agents_have_the_seeds_names_and_all_their_states_are_different(tmp_path: Path) -> None:
    target = opened()

    agents.Crowd(a_bench(tmp_path), target, 3, 1).work()

    for agent in range(3):
        found = [target.retrieve(f"agent_{agent}", f"state_{agent}_{n}") for n in range(10)]
        assert len({repr(record.state) for record in found if record}) == 10
    assert target.count() == 30


@pytest.mark.parametrize(
    ("target", "outcomes"),
    [
        ("fake?loses_one_in=10", {"ok": 17, "wrong": 1}),
        ("fake?error_one_in=9", {"ok": 16, "error:TargetError": 2}),
        ("fake?returns_nothing_one_in=8", {"ok": 16, "empty": 1, "wrong": 1}),
    ],
)
def test_an_agent_whose_operations_failed_is_no_throughput(
    run_here: RunHere, target: str, outcomes: dict[str, int]
) -> None:
    ran, results = scale(run_here, [1], target=target)

    case = results["1"]
    assert case["outcomes"] == outcomes
    assert case["agents_ok_total"] == 0
    assert case["throughput_agents_per_second"] == 0
    assert case["throughput_ops_per_second"] > 0
    assert "operations did not succeed" in ran.metadata["warnings"][0]


def test_hits_of_somebody_else_are_wrong(tmp_path: Path) -> None:
    class Leaky(FakeTarget):
        def search(self, agent_id: str, *args: Any, **options: Any) -> Any:
            return super().search("agent_0", *args, **options)

    target = Leaky()
    target.open()

    measured = agents.Crowd(a_bench(tmp_path), target, 2, 1).work()

    # Agent 1 gets hits of agent 0, unless it is so early that there are none.
    assert measured.aggregate.outcomes("search_memory").get("ok") == 3


class Fragile(FakeTarget):
    """Not thread-safe: notices when it is called while it is busy."""

    def __init__(self) -> None:
        super().__init__(FakeScript(lacks=(Capability.THREAD_SAFE,), service_seconds=2e-4))
        self.busy = threading.Lock()
        self.broken = 0

    def _alone(self, call: Callable[[], Any]) -> Any:
        self.broken += not self.busy.acquire(blocking=False)
        try:
            return call()
        finally:
            if self.busy.locked():
                self.busy.release()

    def store(self, record: Record) -> str:
        return str(self._alone(lambda: FakeTarget.store(self, record)))

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        found: Record | None = self._alone(lambda: FakeTarget.retrieve(self, agent_id, record_id))
        return found

    def search(self, *args: Any, **options: Any) -> Any:
        return self._alone(lambda: FakeTarget.search(self, *args, **options))


def test_a_target_that_is_not_thread_safe_is_called_by_one_agent_at_a_time(
    tmp_path: Path,
) -> None:
    target = Fragile()
    target.open()

    crowd = agents.Crowd(a_bench(tmp_path), target, 8, 1)
    measured = crowd.work()

    assert target.broken == 0
    assert measured.aggregate.outcomes() == {"ok": 8 * 18}
    assert "one call at a time: the target is not thread-safe" in crowd.sharing


def test_a_thread_safe_target_is_shared_as_it_is() -> None:
    target = opened()

    assert shared(target) == (target, "one instance, called by all agents at once")


def test_the_result_names_the_share_of_a_serial_section(run_here: RunHere) -> None:
    target = "fake?service_seconds=0.004&serial_ratio=0.25"

    # Sleeps overshoot on a busy host, and not all alike: what is off once may be right again.
    for _ in range(4):
        _, results = scale(run_here, [1, 8, 16], target=target)
        share = results["serial_share"].get("ratio")
        if share == pytest.approx(0.25, rel=0.1):
            break

    assert share == pytest.approx(0.25, rel=0.1)
    assert results["16"]["bottleneck"]["evidence"][0].startswith("16 agents get")


def test_what_a_law_cannot_say_has_a_reason(run_here: RunHere) -> None:
    _, results = scale(run_here, [1, 2])

    assert results["scaling_law"]["reason"].startswith("2 numbers of agents")


def test_a_number_of_agents_that_the_system_refuses_costs_that_case_alone(
    run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def start_some(thread: threading.Thread) -> None:
        if threading.active_count() > 15:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)

    ran, results = scale(run_here, [2, 40])

    assert results["2"]["outcomes"] == {"ok": 36}
    assert "40" not in results
    assert any(
        warning.startswith("40 agents could not be measured: only")
        for warning in ran.metadata["warnings"]
    )


def test_agents_need_to_search(run_here: RunHere) -> None:
    ran = run_here("scalability", "agent_scaling", target="fake?lacks=search")

    assert ran.metadata["status"] == "skipped"
    assert ran.metadata["reason"] == "target 'fake' lacks search"


# --- memory_size_scaling ---


def grow(
    run_here: RunHere, sizes: Sequence[int], target: str = "fake", **params: Any
) -> tuple[Any, dict[str, Any]]:
    params = {"stores_per_volume": 20, "lookups_per_volume": 50} | params
    params["memory_sizes"] = sizes
    ran = run_here("scalability", "memory_size_scaling", target=target, **params)
    assert ran.metadata["status"] == "ok"
    return ran, ran.document["results"]


def test_each_volume_holds_exactly_what_it_says_when_it_is_measured(run_here: RunHere) -> None:
    ran, results = grow(run_here, [300, 100])

    assert list(results) == ["baseline", "100", "300", "degradation"]
    for name, held in (("baseline", 20), ("100", 100), ("300", 300)):
        figures = results[name]
        assert figures.keys() >= SEEDS_VOLUME_FIELDS
        assert figures["counted"] == held
        assert figures["counted_by_tier"] == {"stm": held, "im": 0, "ltm": 0}
        assert figures["recall_at_10_ratio"] == 1.0
        assert figures["memory_usage_bytes"] > 0
        for operation in ("store", "retrieve", "search"):
            times = figures[f"{operation}_latency_ms"]
            assert 0 < times["min"] <= times["avg"] <= times["max"]
    assert results["100"]["filled_count"] == 60
    assert results["300"]["filled_count"] == 180
    assert ran.counts("create_memory") == {("", "ok"): 60}
    assert ran.counts("retrieve_memory") == {("", "ok"): 150}
    tiers = {("", "ok"): 150, ("stm", "ok"): 150, ("im", "ok"): 150, ("ltm", "ok"): 150}
    assert ran.counts("search_memory") == tiers
    assert ran.finished.facts["warnings"] == []
    assert results["degradation"]["search_memory"]["reason"].startswith("2 volumes")


def test_four_volumes_make_a_curve(run_here: RunHere) -> None:
    _, results = grow(run_here, [60, 120, 240, 480])

    slope = results["degradation"]["search_memory"]["slope_exponent"]
    assert slope["low"] <= slope["value"] <= slope["high"]


class Ledger(FakeTarget):
    """Keeps count instead of records, and notes what is to move when."""

    def __init__(self) -> None:
        super().__init__(FakeScript(lacks=(Capability.VECTORS_IN,)))
        self.stored = 0
        self.moved: list[tuple[int, str, str, float | None]] = []

    def store_many(self, records: Sequence[Record]) -> list[str]:
        self.stored += len(records)
        return [record.record_id for record in records]

    def transition(self, source: str, destination: str, **chosen: Any) -> int:
        self.moved.append((self.stored, source, destination, chosen["fraction"]))
        return 7


def test_records_move_at_the_seeds_volumes_in_the_seeds_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "agentmem_observe.workload.corpus.generate_states",
        lambda count, **seeded: ({} for _ in range(count)),
    )
    target = Ledger()
    target.open()
    memory = volumes.GrowingMemory(a_bench(tmp_path), target, stores=20, lookups=1)

    taken = [memory.grow(volume) for volume in (9_999, 10_000, 99_999, 100_000)]

    assert target.moved == [
        (9_980, "stm", "im", 0.30),
        (99_979, "stm", "im", 0.30),
        (99_980, "stm", "im", 0.30),
        (99_980, "im", "ltm", 0.20),
    ]
    assert [figures["moved_total"] for figures in taken] == [0, 7, 7, 14]


def test_a_target_that_cannot_move_records_is_measured_without(run_here: RunHere) -> None:
    _, results = grow(run_here, [100], target="fake?lacks=transition")

    assert results["100"]["moved_total"] == 0
    assert results["100"]["counted"] == 100


def test_a_target_that_loses_records_is_caught(run_here: RunHere) -> None:
    ran, results = grow(run_here, [100], target="fake?loses_one_in=10")

    assert results["100"]["counted"] == 90
    assert ran.counts("create_memory") == {("", "ok"): 36, ("", "wrong"): 4}
    assert results["100"]["operations"]["retrieve_memory"]["outcomes"]["empty"] > 0
    warnings = ran.metadata["warnings"]
    assert "the target counts 90 records where 100 were stored" in warnings
    assert "operations did not succeed" in warnings[0]


@pytest.mark.parametrize("one_in", ["transition_loses_one_in", "transition_duplicates_one_in"])
def test_a_transition_that_loses_or_duplicates_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_in: str
) -> None:
    monkeypatch.setattr(volumes, "_TRANSITIONS", (("stm", "im", 0.5, 1),))
    bench = a_bench(tmp_path)
    memory = volumes.GrowingMemory(bench, opened(**{one_in: 4}), stores=20, lookups=20)

    taken = memory.grow(100)
    figures = memory.figures(100)

    wrong = -10 if "loses" in one_in else 10
    assert taken["moved_total"] == 40
    assert figures["counted"] == 100 + wrong
    assert f"the target counts {100 + wrong} records where 100 were stored" in bench.warnings


def test_a_target_that_finds_the_farthest_is_caught(run_here: RunHere) -> None:
    ran, results = grow(run_here, [400], target="fake?wrong_neighbours_one_in=1")

    figures = results["400"]
    assert figures["recall_at_10_ratio"] == 0.0
    assert figures["operations"]["search_memory"]["outcomes"] == {"wrong": 50}
    assert figures["search_latency_ms"] == {"avg": None, "min": None, "max": None}
    assert "at 400 records a search finds 0% of the 10 nearest" in ran.metadata["warnings"]


def test_recall_is_what_an_independent_comparison_says(run_here: RunHere) -> None:
    target = "fake?wrong_neighbours_one_in=4"

    _, results = grow(run_here, [200], target=target, lookups_per_volume=40)

    # All tiers are searched first: every fourth of 40, at the second volume, as at the first.
    assert results["200"]["recall_at_10_ratio"] == pytest.approx(0.75)


def test_exact_answers_are_those_of_comparing_everything_at_the_end() -> None:
    corpus = Corpus(AGENT, seed=5)
    queries = corpus.queries(20)
    answers = volumes.ExactAnswers(queries)

    for part in corpus.parts(0, 1700):
        answers.see(part)

    stored = corpus.pick(range(1700))
    vectors = np.array([record.vector for record in stored], dtype=np.float64)
    for place, query in enumerate(queries):
        cosines = vectors @ np.asarray(query.vector, dtype=np.float64)
        assert answers.nearest(place)[:10] == np.argsort(-cosines)[:10].tolist()
        assert len(answers.nearest(place)) == 100


def test_without_vectors_nothing_is_said_about_recall(run_here: RunHere) -> None:
    _, results = grow(run_here, [60], target="fake?lacks=vectors_in")

    assert "recall_at_10_ratio" not in results["60"]
    assert results["60"]["operations"]["search_memory"]["outcomes"] == {"ok": 50}


def test_without_tiers_all_is_searched_at_once(run_here: RunHere) -> None:
    _, results = grow(run_here, [60], target="fake?lacks=tiers")

    figures = results["60"]
    assert figures["searches_by_tier"] == {}
    assert figures["cross_tier_latency_ms"] == figures["search_latency_ms"]["avg"]


def test_a_size_smaller_than_what_is_stored_to_measure_is_reached_all_the_same(
    run_here: RunHere,
) -> None:
    _, results = grow(run_here, [10, 12])

    assert [results[name]["counted"] for name in ("baseline", "10", "12")] == [5, 10, 12]


def test_the_embedded_memory_keeps_and_finds_what_it_should(run_here: RunHere) -> None:
    ran, results = grow(run_here, [400, 1500], target="embedded")

    assert results["1500"]["counted"] == 1500
    assert results["1500"]["recall_at_10_ratio"] > 0.95
    assert results["1500"]["operations"]["retrieve_memory"]["outcomes"] == {"ok": 50}
    assert not [w for w in ran.metadata["warnings"] if "counts" in w or "succeed" in w]


# --- resource_utilization ---


@pytest.fixture(autouse=True)
def short_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utilization, "_CYCLE_RECORDS", 10)
    monkeypatch.setattr(utilization, "_CALIBRATION_SECONDS", (0.3, 0.3))


def use(run_here: RunHere, target: str = "fake", **params: Any) -> tuple[Any, dict[str, Any]]:
    params = {"duration_seconds": 0.6, "operation_rate": 500, "leak_cycles": 1} | params
    ran = run_here("scalability", "resource_utilization", target=target, **params)
    assert ran.metadata["status"] == "ok"
    return ran, ran.document["results"]


def test_a_steady_load_has_the_seeds_fields_and_they_agree(run_here: RunHere) -> None:
    ran, results = use(run_here)

    assert results.keys() >= SEEDS_LOAD_FIELDS
    assert results["operation_count"] == 300
    assert results["load"]["outcomes"] == {"ok": 300}
    assert results["actual_rate_ops_per_second"] == pytest.approx(
        300 / results["duration_seconds"]
    )
    used, efficient = results["resource_utilization"], results["resource_efficiency"]
    rate = results["actual_rate_ops_per_second"]
    ends = ("cpu_percent", "memory_bytes")
    assert set(used) == {f"{kind}_{end}" for kind in ("avg", "max") for end in ends}
    assert efficient["operations_per_cpu_percent"] == pytest.approx(rate / used["avg_cpu_percent"])
    assert efficient["operations_per_mb"] == pytest.approx(
        rate * 1024 * 1024 / used["avg_memory_bytes"]
    )
    course = results["time_series"]
    assert {len(series) for series in course.values()} == {len(course["timestamps"])}
    assert len(course["timestamps"]) >= 1
    assert results["p95_operation_time_ms"] > 0
    counts = [ran.counts(name)["", "ok"] for name in results["operations"]]
    assert sum(counts) == 300
    assert min(counts) > 60


def test_what_the_parties_use_adds_up_to_what_the_process_uses(run_here: RunHere) -> None:
    _, results = use(run_here)

    parties, used = results["attribution"], results["resource_utilization"]
    both = [parties[name] for name in ("load_generator", "target")]
    assert all(party["avg_cpu_percent"] >= 0 for party in both)
    assert sum(party["avg_cpu_percent"] for party in both) == pytest.approx(
        used["avg_cpu_percent"]
    )
    assert "target_server" not in parties


def test_a_p95_of_few_operations_is_not_reported(run_here: RunHere) -> None:
    _, results = use(run_here, operation_rate=100)

    assert results["operation_count"] == 60
    assert results["p95_operation_time_ms"] is None
    assert results["avg_operation_time_ms"] > 0


@pytest.mark.parametrize(
    ("target", "outcome"),
    [
        ("fake?error_ratio=1&lacks=store_many", None),
        ("fake?returns_nothing_one_in=1", "empty"),
        ("fake?returns_wrong_one_in=1", "wrong"),
    ],
)
def test_operations_that_fail_are_no_rate(
    run_here: RunHere, target: str, outcome: str | None
) -> None:
    if outcome is None:
        ran = run_here("scalability", "resource_utilization", target=target, duration_seconds=0.1)
        assert ran.metadata["status"] == "failed"  # nothing could be stored to begin with
        return

    _, results = use(run_here, target=target)

    failed = results["load"]["outcomes"][outcome]
    assert failed > 60
    assert results["operation_count"] == 300 - failed
    assert results["actual_rate_ops_per_second"] * results["duration_seconds"] == pytest.approx(
        300 - failed
    )


def test_a_target_that_is_not_thread_safe_has_one_worker(run_here: RunHere) -> None:
    _, fragile = use(run_here, target="fake?lacks=thread_safe", workers=3)
    _, safe = use(run_here, workers=3)

    assert (fragile["workers"], safe["workers"]) == (1, 3)


def test_a_steady_load_needs_ids_that_can_be_stored_again(run_here: RunHere) -> None:
    ran = run_here("scalability", "resource_utilization", target="fake?lacks=update")

    assert ran.metadata["reason"] == "target 'fake' lacks update"


# --- leaks ---


def leak(target: FakeTarget, cycles: int = 6, seconds: float = 1e6) -> dict[str, Any]:
    records = [Record("agent", f"r{n}", state={"n": n}) for n in range(25)]
    return leaking.leak_figures(target, records, [], cycles, seconds)


def test_a_target_that_keeps_one_object_in_a_hundred_operations_leaks() -> None:
    found = leak(opened(leaks_one_in=100))

    assert found["verdict"] == found["cycles"]["verdict"] == "leak"
    assert found["cycles"]["blocks_per_operation"] == pytest.approx(0.01, rel=0.5)
    assert found["cycles"]["bytes_per_operation"] > 0


def test_a_target_that_keeps_nothing_does_not() -> None:
    assert leak(opened())["verdict"] == "none"


def test_without_cycles_a_short_load_says_nothing() -> None:
    for found in (leak(opened(), cycles=0), leak(opened(lacks=(Capability.DELETE,)))):
        assert found["verdict"] == "unknown"
        assert "cycles" not in found


def test_a_target_too_slow_for_cycles_in_its_time_is_not_judged_by_them() -> None:
    found = leak(opened(leaks_one_in=100), seconds=1e-9)

    assert found["verdict"] == "unknown"
    assert found["cycles"]["reasons"][0].endswith("make the load longer")


def test_what_grows_until_it_is_full_is_no_leak() -> None:
    class Filling(FakeTarget):
        """Has a cache of searches that takes its time to fill."""

        def __init__(self) -> None:
            super().__init__()
            self.cache: list[object] = []

        def search(self, *args: Any, **options: Any) -> Any:
            if len(self.cache) < 25 * 15:
                self.cache.append(object())
            return super().search(*args, **options)

    target = Filling()
    target.open()

    assert leak(target)["verdict"] == "none"


# --- usage ---


def samples(*triples: tuple[float, float, int]) -> list[ProcessSample]:
    return [ProcessSample(at, cpu, rss) for at, cpu, rss in triples]


def used(*rounds: list[ProcessSample]) -> usage.Usage:
    """Return a usage that was entered once per round and saw just these samples."""
    found = usage.Usage(lambda: None, interval_seconds=0.5)
    for taken in rounds:
        found.samples = tuple(taken)
        found._add(taken)
    return found


def test_cpu_is_on_average_and_at_the_most_over_a_tenth_of_a_second() -> None:
    course = samples((0, 0, 10), (0.05, 0.05, 20), (0.5, 0.1, 30), (1.0, 0.45, 40))

    figures = used(course).figures()

    assert figures["avg_cpu_percent"] == pytest.approx(45)
    assert figures["max_cpu_percent"] == pytest.approx(70)
    assert figures["avg_memory_bytes"] == 25
    assert figures["max_memory_bytes"] == 40


def test_rounds_add_up() -> None:
    figures = used(
        samples((0, 0, 10), (1, 0.5, 30)), samples((5, 0.5, 20), (6, 1.5, 20))
    ).figures()

    assert figures["avg_cpu_percent"] == pytest.approx(75)
    assert figures["max_cpu_percent"] == pytest.approx(100)
    assert figures["avg_memory_bytes"] == 20


@pytest.mark.parametrize("taken", [samples((0, 0, 10)), samples((3, 1, 10), (3, 1, 10))])
def test_no_time_is_no_cpu_figure_and_no_division(taken: list[ProcessSample]) -> None:
    found = used(taken)

    figures = found.figures()

    assert figures["avg_cpu_percent"] is None
    assert figures["max_cpu_percent"] is None
    assert figures["max_memory_bytes"] == 10
    assert found.cpu_ratio == 0


def test_nothing_sampled_is_nothing_said() -> None:
    with usage.Usage(lambda: None) as found:
        pass

    assert found.samples == ()
    assert found.course() == {"timestamps": [], "cpu_percent": [], "memory_mb": []}
    assert found.figures() == {
        "avg_cpu_percent": None,
        "max_cpu_percent": None,
        "avg_memory_bytes": None,
        "max_memory_bytes": None,
        "probe_cpu_seconds": pytest.approx(0, abs=0.1),
    }


def test_the_course_begins_with_the_first_window_and_joins_the_last_stub() -> None:
    course = used(
        samples((10, 0, 0), (10.5, 0.1, 2**20), (11, 0.1, 2**21), (11.1, 0.4, 2**20))
    ).course()

    assert course["timestamps"] == pytest.approx([0.5, 1.1])
    assert course["cpu_percent"] == pytest.approx([20, 50])
    assert course["memory_mb"] == [1.0, 1.0]


def test_a_server_is_watched_only_if_the_process_is_its() -> None:
    class Remote(FakeTarget):
        def info(self) -> Any:
            info = super().info()
            return type(info)(
                info.name, "", info.capabilities, (), {"server_process_id": "1", "address": "far"}
            )

    assert usage.server_probe(Remote()) is None
    assert not usage.is_in_process(Remote())
    assert usage.is_in_process(FakeTarget())
