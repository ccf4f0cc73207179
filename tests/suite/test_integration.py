"""Integration's figures: overheads that are known, agents who profit, clients who are counted."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agentmem_observe.bench.context import Bench
from agentmem_observe.clock import FakeClock
from agentmem_observe.model import ObservationBatch, Outcome, Record
from agentmem_observe.suite.integration import hooks
from agentmem_observe.suite.integration.agent_loops import explore, live
from agentmem_observe.suite.integration.hooks import HookedTarget, LoggingHook, NoHook, SpanHook
from agentmem_observe.suite.integration.notebook import Notebook
from agentmem_observe.suite.integration.overheads import Overheads
from agentmem_observe.suite.integration.raw.embedded import Arrays, File
from agentmem_observe.suite.integration.raw.path import raw_paths
from agentmem_observe.suite.scalability.clients import Client
from agentmem_observe.targets.base import MemoryTarget
from agentmem_observe.targets.fake import FakeScript, FakeTarget
from agentmem_observe.targets.registry import parse_spec
from agentmem_observe.workload.driver import DriverOptions
from agentmem_observe.workload.gridworld import GridWorld
from agentmem_observe.workload.recollection import NoRecollection

RunHere = Callable[..., Any]


def run(run_here: RunHere, name: str, target: str, **params: Any) -> tuple[Any, dict[str, Any]]:
    ran = run_here("integration", name, target=target, **params)
    assert ran.metadata["status"] == "ok", ran.metadata["reason"]
    return ran, ran.document["results"]


def bench_of(directory: Path, clock: FakeClock, target: str = "fake") -> Bench:
    driver = DriverOptions(clock=clock)
    return Bench(target, directory, lambda *progress: None, seed=1, driver=driver)


def scripted(clock: FakeClock, **script: Any) -> FakeTarget:
    target = FakeTarget(FakeScript(**script), clock)
    target.open()
    return target


# --- api_overhead ---


class ScriptedPath:
    """A raw path that takes a known time: a fake without its adapter."""

    description = "scripted"

    def __init__(self, target: FakeTarget, records: Sequence[Record]) -> None:
        self._target = target
        self._records = records

    def store(self, place: int) -> object:
        return self._target.store(self._records[place])

    def retrieve(self, place: int) -> object:
        return self._target.retrieve("benchmark_agent_0", self._records[place].record_id)

    def search(self, place: int) -> Sequence[str]:
        vector = self._records[place].vector
        return [
            h.record_id for h in self._target.search("benchmark_agent_0", None, 3, vector=vector)
        ]

    def close(self) -> None:
        self._target.close()


def overheads(
    tmp_path: Path, raw: dict[str, Any], adapter: dict[str, Any], count: int = 20
) -> dict[str, Any]:
    clock = FakeClock()
    bench = bench_of(tmp_path, clock)
    records = list(bench.generate(count, per_agent=1000))
    path = ScriptedPath(scripted(clock, **raw), records)
    return Overheads(bench, path, scripted(clock, **adapter), records, k=3).figures()


def test_an_adapter_that_takes_three_times_as_long_has_a_ratio_of_three(tmp_path: Path) -> None:
    figures = overheads(tmp_path, {"service_seconds": 0.001}, {"service_seconds": 0.003})

    for operation in ("create_memory", "retrieve_memory", "search_memory"):
        found = figures[operation]
        assert found["raw_count"] == found["adapter_count"] == 20
        assert found["raw_service_time_p50_seconds"] == pytest.approx(0.001, rel=0.003)
        assert found["adapter_service_time_p50_seconds"] == pytest.approx(0.003, rel=0.003)
        assert found["overhead_p50_seconds"] == pytest.approx(0.002, rel=0.01)
        assert found["overhead_p50_ratio"] == pytest.approx(3, rel=0.006)
        assert "overhead_p95_ratio" not in found  # 20 operations know no p95
    assert figures["same_best_ratio"] == 1


def test_a_drift_of_both_is_no_overhead(tmp_path: Path) -> None:
    clock = FakeClock()
    bench = bench_of(tmp_path, clock)
    records = list(bench.generate(40, per_agent=1000))
    slower = iter(range(1, 1000))

    class Drifting(FakeTarget):
        def store(self, record: Record) -> str:
            clock.advance(next(slower) * 0.001)  # each call 1 ms longer than the one before
            return super().store(record)

    raw, adapter = Drifting(clock=clock), Drifting(clock=clock)
    Overheads(bench, ScriptedPath(raw, records), adapter, records, k=3).figures()

    totals = [
        bench.measurements[0].aggregate.total(name).service_time.sum_seconds
        for name in ("raw_create_memory", "create_memory")
    ]
    assert totals[0] == pytest.approx(totals[1])


def test_the_loop_that_takes_turns_is_not_judged_by_its_own_time(tmp_path: Path) -> None:
    clock = FakeClock()
    bench = bench_of(tmp_path, clock)
    records = list(bench.generate(20, per_agent=1000))
    path = ScriptedPath(scripted(clock, service_seconds=0.001), records)

    Overheads(bench, path, scripted(clock, service_seconds=0.003), records, k=3).figures()

    inside = [loop.load.active_seconds for loop in bench.measurements]
    assert inside == pytest.approx([20 * 0.004] * 3)


def test_what_the_adapter_answers_is_checked(tmp_path: Path) -> None:
    figures = overheads(tmp_path, {}, {"returns_wrong_one_in": 5, "returns_nothing_one_in": 10})

    assert figures["create_memory"]["outcomes"] == {"ok": 20}
    # Every tenth call answers nothing; of the other 18 reads every fifth answers wrong.
    assert figures["retrieve_memory"]["outcomes"] == {"ok": 15, "wrong": 3, "empty": 2}
    assert figures["search_memory"]["outcomes"] == {"ok": 18, "empty": 2}
    assert figures["retrieve_memory"]["adapter_count"] == 15


def test_paths_that_find_different_records_do_not_do_the_same(tmp_path: Path) -> None:
    figures = overheads(tmp_path, {}, {"wrong_neighbours_one_in": 2})

    assert figures["same_best_ratio"] == 0.5


@pytest.mark.parametrize(
    ("target", "tiers"), [("embedded", ["stm", "ltm"]), ("langgraph", ["all"])]
)
def test_each_target_with_a_raw_path_is_compared_with_it(
    run_here: RunHere, target: str, tiers: list[str]
) -> None:
    ran, results = run(run_here, "api_overhead", target, operations_per_test=150)

    assert list(results) == tiers
    for tier in tiers:
        figures = results[tier]
        for operation in ("create_memory", "retrieve_memory", "search_memory"):
            found = figures[operation]
            assert (found["raw_count"], found["adapter_count"]) == (150, 150)
            assert found["overhead_p50_ratio"] > 0
            assert found["outcomes"] == {"ok": 150}
        assert figures["same_best_ratio"] == 1
    assert ran.finished.facts["warnings"] == []


def test_a_target_without_a_raw_path_is_skipped_with_those_that_have_one(
    run_here: RunHere,
) -> None:
    target = "agentmem_observe.targets.fake:FakeTarget"

    ran = run_here("integration", "api_overhead", target=target)

    assert ran.metadata["status"] == "skipped"
    assert ran.metadata["reason"] == (
        "no raw path to compare target 'module:factory' with; "
        "known: embedded, fake, langgraph, redis"
    )


def test_frameworks_that_were_changed_are_said_to_have_no_effect(run_here: RunHere) -> None:
    default = ["langchain", "llama_index", "custom"]

    for names, warned in ((default, False), (["langchain"], True)):
        ran, _ = run(
            run_here, "api_overhead", "embedded", operations_per_test=20, frameworks=names
        )
        warnings = ran.finished.facts["warnings"]
        assert [text.startswith("frameworks has no effect") for text in warnings] == [
            True
        ] * warned


@pytest.mark.parametrize("path", [Arrays, File])
def test_raw_paths_keep_what_they_are_given(path: type[Arrays], tmp_path: Path) -> None:
    records = list(bench_of(tmp_path, FakeClock()).generate(30, per_agent=10))
    raw = path(parse_spec("embedded", tmp_path), records, 5)

    for place in range(30):
        assert raw.retrieve(place) is None
        assert raw.store(place)
    for place, record in enumerate(records):
        assert raw.retrieve(place)
        found = raw.search(place)
        assert found[0] == record.record_id
        assert len(found) == len(set(found)) == 5
        assert set(found) <= {r.record_id for r in records if r.agent_id == record.agent_id}
    raw.close()


def test_every_raw_path_can_be_loaded() -> None:
    loaded = {name: list(raw_paths(name)) for name in ("embedded", "langgraph", "redis")}

    assert loaded == {"embedded": ["stm", "ltm"], "langgraph": [""], "redis": [""]}


# --- hook_overhead ---


class Witness:
    """A hook that writes down what it is told."""

    def __init__(self, name: str, told: list[str]) -> None:
        self._name = name
        self._told = told

    def before(self, operation: str, agent_id: str) -> str:
        self._told.append(f"{self._name} before {operation} of {agent_id}")
        return f"{self._name}'s own"

    def after(self, operation: str, begun: str) -> None:
        assert begun == f"{self._name}'s own"
        self._told.append(f"{self._name} after {operation}")


def call_all(target: MemoryTarget) -> list[Any]:
    record = Record("me", "one", content="text")
    return [
        target.store(record),
        target.retrieve("me", "one"),
        target.search("me", "text", 1),
    ]


def test_hooks_are_told_around_each_operation_the_first_one_outermost() -> None:
    told: list[str] = []
    hooked = HookedTarget(FakeTarget(), [Witness("a", told), Witness("b", told)])

    call_all(hooked)

    assert told == [
        text
        for operation in ("create_memory", "retrieve_memory", "search_memory")
        for text in (
            f"a before {operation} of me",
            f"b before {operation} of me",
            f"b after {operation}",
            f"a after {operation}",
        )
    ]


def test_a_hooked_target_answers_as_the_target_does() -> None:
    assert call_all(HookedTarget(FakeTarget(), [NoHook()] * 5)) == call_all(FakeTarget())


def test_hooks_are_told_of_operations_that_raise() -> None:
    told: list[str] = []
    target = FakeTarget(FakeScript(error_ratio=1, error=OSError))
    hooked = HookedTarget(target, [Witness("a", told)])

    with pytest.raises(OSError, match="scripted"):
        hooked.retrieve("me", "one")

    assert told == ["a before retrieve_memory of me", "a after retrieve_memory"]


def test_the_span_hook_makes_a_span_of_each_operation() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    call_all(HookedTarget(FakeTarget(), [SpanHook(provider.get_tracer("test"))]))

    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["create_memory", "retrieve_memory", "search_memory"]
    assert spans[0].attributes == {
        "gen_ai.operation.name": "create_memory",
        "gen_ai.agent.id": "me",
    }


def test_the_logging_hook_writes_a_line_for_each_operation() -> None:
    lines: list[str] = []
    logger = logging.Logger("test", logging.INFO)
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]  # what handlers are for
    logger.addHandler(handler)

    call_all(HookedTarget(FakeTarget(), [LoggingHook(logger)]))

    names = [line.partition(":")[0] for line in lines]
    assert names == ["create_memory of me", "retrieve_memory of me", "search_memory of me"]


def test_the_best_round_of_each_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(hooks.time, "thread_time", lambda: now)
    taken = {"a": iter([3.0, 1.0, 2.0]), "b": iter([0.5, 4.0, 9.0])}

    def work(name: str) -> None:
        nonlocal now
        now += next(taken[name])

    costs = hooks._cpu_seconds({name: lambda name=name: work(name) for name in taken}, rounds=3)

    assert costs == {"a": 1.0, "b": 0.5}


def test_hooks_are_measured_around_nothing_and_around_the_target(run_here: RunHere) -> None:
    _, results = run(run_here, "hook_overhead", "embedded", operations_per_test=300, rounds=3)

    sets = ["hooks_0", "hooks_1", "hooks_5", "logging", "otel_span"]
    assert list(results["added_cpu_seconds"]) == sets
    assert list(results["wrapped_read_cpu_seconds"]) == ["bare", *sets]
    own = results["operation_cpu_seconds"]
    assert list(own) == ["create_memory", "retrieve_memory", "search_memory"]
    added = results["added_cpu_seconds"]
    assert added["otel_span"] > added["hooks_5"]  # some 17 against 0.6 µs
    for name in sets:
        ratio = results["added_cpu_ratio"][name]["search_memory"]
        assert ratio == pytest.approx(added[name] / own["search_memory"])


# --- real_world_agent ---


def test_agents_with_memory_do_better_and_on_every_right_target_the_same(
    run_here: RunHere,
) -> None:
    achieved = []
    for target in ("fake", "embedded", "langgraph", "fake?lacks=tiers"):
        ran, results = run(run_here, "real_world_agent", target, visits=5, world_size=6, turns=120)
        assert ran.finished.facts["warnings"] == []
        grid, talk = results["grid_world"], results["dialogue"]
        figures = [
            part[name] for part in (grid, talk) for name in ("with_memory", "without_memory")
        ]
        achieved.append(
            [
                {
                    name: value
                    for name, value in part.items()
                    if name.endswith(("_count", "ers_ratio"))
                }
                for part in figures
            ]
        )
        for part in (grid, talk):
            assert 0 < part["with_memory"]["memory_time_ratio"] <= 1

    assert achieved[0] == achieved[1] == achieved[2] == achieved[3]
    with_memory, without, talk_with, talk_without = achieved[0]
    assert with_memory["first_visit_steps_count"] == without["first_visit_steps_count"]
    again = with_memory["repeated_visit_steps_mean_count"]
    assert grid["shortest_way_steps_count"] <= again < without["repeated_visit_steps_mean_count"]
    assert grid["steps_saved_ratio"] == 1 - again / without["repeated_visit_steps_mean_count"]
    assert talk_with["right_answers_ratio"] == 1 > talk_without["right_answers_ratio"]
    assert talk["right_answers_gain_ratio"] == pytest.approx(
        1 - talk_without["right_answers_ratio"]
    )


def test_what_an_agent_achieves_is_of_the_visits_that_it_did_not_give_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = GridWorld(6, seed=1)
    taken = {0: 30, 1: 10, 2: None, 3: 20}
    visit = "agentmem_observe.suite.integration.agent_loops.visit"
    monkeypatch.setattr(visit, lambda world, memory, number: taken[number])

    figures = explore(world, 4, NoRecollection())

    assert figures == {
        "steps_count": 60 + world.most_steps,
        "visits_count": 4,
        "given_up_count": 1,
        "first_visit_steps_count": 30,
        "repeated_visit_steps_mean_count": 15,
    }


def test_a_memory_of_no_use_is_warned_of(run_here: RunHere) -> None:
    ran, results = run(
        run_here, "real_world_agent", "fake?loses_one_in=1", visits=3, world_size=5, turns=60
    )

    assert results["grid_world"]["steps_saved_ratio"] == 0
    assert results["dialogue"]["right_answers_gain_ratio"] == 0
    with_memory = results["grid_world"]["with_memory"]
    assert with_memory["steps_count"] == results["grid_world"]["without_memory"]["steps_count"]
    assert list(with_memory["operations"]["search_memory"]["outcomes"])[-1] == "empty"
    assert "operations did not succeed" in ran.metadata["warnings"][0]
    warnings = " ".join(ran.finished.facts["warnings"])
    assert "memory saves the agent of the grid world no steps" in warnings
    assert "memory makes no more answers right in the dialogue" in warnings


def test_time_in_memory_is_told_from_the_agent_s_own(tmp_path: Path) -> None:
    clock = FakeClock()
    bench = bench_of(tmp_path, clock)

    class Slow(FakeTarget):
        def store(self, record: Record) -> str:
            clock.advance(0.003)
            return super().store(record)

    bench._build = lambda directory: Slow(clock=clock)  # type: ignore[method-assign]  # a target on this clock

    def life(memory: Any) -> dict[str, Any]:
        for number in range(10):
            memory.remember(f"key_{number}", "text", {"number": number})
            clock.advance(0.001)
        return {"steps_count": 10}

    lived = live(bench, life)

    assert lived["with_memory"]["memory_time_ratio"] == pytest.approx(0.75)
    assert lived["with_memory"]["steps_per_second"] == pytest.approx(250)
    assert lived["without_memory"]["steps_per_second"] == pytest.approx(1000)
    assert lived["with_memory"]["operations"]["create_memory"]["outcomes"] == {"ok": 10}


def notebook(**script: Any) -> tuple[Notebook, dict[str, list[int]]]:
    """Return a notebook on a scripted target, after 20 things were remembered and recalled."""
    clock = FakeClock()
    target = scripted(clock, **script)
    book = Notebook(target, DriverOptions(clock=clock, timeout_seconds=1.0))
    for number in range(20):
        book.remember(f"key_{number}", {"number": number}, {"value": number})
    for number in range(20):
        book.recall(f"key_{number}", {"number": number})
    outcomes: dict[str, list[int]] = {}

    def sink(batch: ObservationBatch) -> None:
        outcomes[batch.operation] = batch.outcome.tolist()

    book.hand_over(sink)
    return book, outcomes


def test_a_truthful_memory_has_no_wrong_answers() -> None:
    book, outcomes = notebook()

    assert {name: set(codes) for name, codes in outcomes.items()} == {
        "create_memory": {Outcome.OK},
        "search_memory": {Outcome.OK},
        "retrieve_memory": {Outcome.OK},
    }
    assert len(outcomes["retrieve_memory"]) == 60
    assert book.operations == 20 + 20 + 60


def test_searches_that_miss_what_was_remembered_are_wrong() -> None:
    _, outcomes = notebook(wrong_neighbours_one_in=4)

    assert outcomes["search_memory"].count(Outcome.WRONG) == 5


def test_records_that_are_gone_or_changed_are_counted_as_what_they_are() -> None:
    _, outcomes = notebook(returns_wrong_one_in=6)

    assert outcomes["retrieve_memory"].count(Outcome.WRONG) == 10
    _, outcomes = notebook(returns_nothing_one_in=8)  # every 8th of all searches and reads
    empty = [codes.count(Outcome.EMPTY) for codes in outcomes.values()]
    assert empty[0] == 0
    assert sum(empty) > 5


def test_operations_that_raise_are_errors_and_the_agent_lives_on() -> None:
    _, outcomes = notebook(error_one_in=2)

    assert outcomes["create_memory"].count(Outcome.ERROR) == 10
    assert Outcome.OK in outcomes["search_memory"]


def test_operations_that_take_too_long_are_timeouts() -> None:
    _, outcomes = notebook(retrieve_seconds=1.5)

    assert set(outcomes["retrieve_memory"]) == {Outcome.TIMEOUT}
    assert set(outcomes["search_memory"]) == {Outcome.OK}


# --- concurrent_clients ---


def test_every_client_s_operations_are_counted(run_here: RunHere) -> None:
    ran, results = run(
        run_here, "concurrent_clients", "fake", concurrent_clients=[1, 3], operations_per_test=60
    )

    for clients in (1, 3):
        figures = results[f"clients_{clients}"]
        assert figures["outcomes"] == {"ok": 60 * clients}
        parts = [figures["operations"][name]["items_processed"] for name in figures["operations"]]
        assert len(parts) == 3
        assert sum(parts) == 60 * clients
        assert min(parts) > 0
        assert figures["sharing"] == "one instance, called by all agents at once"
    first, third = (results[f"clients_{n}"]["throughput_ops_per_second"] for n in (1, 3))
    assert results["clients_1"]["speedup_ratio"] == 1
    assert results["clients_3"]["speedup_ratio"] == pytest.approx(third / first)
    assert ran.finished.facts["warnings"] == []


def test_a_target_that_is_not_thread_safe_takes_one_call_at_a_time_and_says_so(
    run_here: RunHere,
) -> None:
    _, results = run(
        run_here,
        "concurrent_clients",
        "langgraph",
        concurrent_clients=[4],
        operations_per_test=30,
    )

    assert results["clients_4"]["sharing"].startswith("one instance, one call at a time")
    assert results["clients_4"]["outcomes"] == {"ok": 120}


def test_clients_that_get_wrong_answers_have_less_throughput(run_here: RunHere) -> None:
    ran, results = run(
        run_here,
        "concurrent_clients",
        "fake?returns_wrong_one_in=5",
        concurrent_clients=[2],
        operations_per_test=100,
    )

    reads = results["clients_2"]["operations"]["retrieve_memory"]["outcomes"]
    assert reads["wrong"] == (reads["ok"] + reads["wrong"]) // 5 > 0
    assert results["clients_2"]["items_processed"] == 200 - reads["wrong"]
    assert "did not succeed" in ran.metadata["warnings"][0]


def test_clients_do_different_things_in_the_same_way_each_run(tmp_path: Path) -> None:
    records = list(bench_of(tmp_path, FakeClock()).generate(100))

    orders = [
        bytes(Client(FakeTarget(), number, records, seed=1).script(50).sequence)
        for number in (0, 1, 0)
    ]

    assert orders[0] == orders[2] != orders[1]


@pytest.mark.parametrize("name", ["hook_overhead", "real_world_agent", "concurrent_clients"])
def test_what_a_target_lacks_skips_the_benchmark_with_the_reason(
    run_here: RunHere, name: str
) -> None:
    ran = run_here("integration", name, target="fake?lacks=search")

    assert ran.metadata["status"] == "skipped"
    assert ran.metadata["reason"] == "target 'fake' lacks search"
