"""Transitions: lost, doubled, wrong and invisible records are counted exactly, and named first."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from agentmem_observe.analysis.validity import Validity
from agentmem_observe.bench import context
from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.measurement import Measurement
from agentmem_observe.errors import BenchmarkError
from agentmem_observe.measure.recorder import Aggregate
from agentmem_observe.model import ObservationBatch, Record
from agentmem_observe.suite.memory_transition.foreground import (
    Case,
    Run,
    during,
    overhead,
    part_during,
)
from agentmem_observe.suite.memory_transition.moves import due, important_records, judge_moves
from agentmem_observe.suite.memory_transition.retention import retention
from agentmem_observe.targets.fake import FakeScript, FakeTarget
from agentmem_observe.workload.driver import Load

RunHere = Callable[..., Any]
Use = Callable[[Callable[[], FakeTarget]], None]
SEED = 1  # of a run by `run_here`
WEIGHTS = {"recency": 0.5, "relevance": 0.3, "frequency": 0.2}
WRONG = ("lost", "duplicated", "left_behind", "moved_undue", "changed")

forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Return a function that makes every target one that a callable builds."""

    def use(build: Callable[[], FakeTarget]) -> None:
        monkeypatch.setattr(context, "build_target", lambda *_: build())

    return use


def a_bench(tmp_path: Path, target: str = "fake") -> Bench:
    return Bench(target, tmp_path, lambda *_: None, seed=SEED)


def accuracy(run_here: RunHere, target: str = "fake", **params: Any) -> tuple[Any, dict[str, Any]]:
    """Move 30 % of 200 records of 4 agents; return the run and its figures by pair of tiers."""
    params = {
        "transition_thresholds": [0.3],
        "record_count": 200,
        "records_per_agent": 50,
    } | params
    ran = run_here("memory_transition", "transition_accuracy", target=target, **params)
    assert ran.metadata["status"] == "ok", ran.metadata
    return ran, ran.document["results"]["fraction_0.3"]


def wrong(figures: dict[str, Any]) -> dict[str, int]:
    return {name: count for name in WRONG if (count := figures[f"{name}_count"])}


# --- transition_accuracy ---


@pytest.mark.parametrize("target", ["fake", "embedded", "embedded?exact=true"])
def test_a_truthful_target_moves_what_it_should_and_loses_nothing(
    run_here: RunHere, target: str
) -> None:
    ran, figures = accuracy(run_here, target, transition_thresholds=[0.3, 0.5, 1])

    assert set(ran.document["results"]) == {"fraction_0.3", "fraction_0.5", "fraction_1"}
    for case, share in [("fraction_0.3", 15), ("fraction_0.5", 25), ("fraction_1", 50)]:
        for pair in ("stm_to_im", "im_to_ltm"):
            figures = ran.document["results"][case][pair]
            assert figures == {
                "accuracy_ratio": 1,
                "stored_count": 200,
                "due_count": 4 * share,
                "reported_count": 4 * share,
                **dict.fromkeys((f"{name}_count" for name in WRONG), 0),
            }
    assert ran.finished.facts["warnings"] == []


@pytest.mark.parametrize(
    ("script", "expected", "sentence"),
    [
        ("transition_loses_one_in=7", {"lost": 8}, "8 are lost"),
        ("transition_loses_one_in=60", {"lost": 1}, "1 are lost"),
        ("transition_duplicates_one_in=7", {"duplicated": 8}, "8 are in two tiers"),
        ("transition_duplicates_one_in=60", {"duplicated": 1}, "1 are in two tiers"),
        # A record that stays and does not arrive has not moved: every 20th.
        ("transition_loses_one_in=10&transition_duplicates_one_in=4",
         {"lost": 3, "duplicated": 12, "left_behind": 3},
         "3 are lost, 12 are in two tiers, 3 should have moved and did not"),
    ],
)  # fmt: skip
def test_records_that_a_transition_loses_or_doubles_are_counted_exactly_and_named_first(
    run_here: RunHere, script: str, expected: dict[str, int], sentence: str
) -> None:
    ran, figures = accuracy(run_here, f"fake?{script}")  # moves 60 records

    for pair in ("stm_to_im", "im_to_ltm"):
        assert wrong(figures[pair]) == expected
        assert figures[pair]["accuracy_ratio"] == 1 - sum(expected.values()) / 200
    assert ran.finished.facts["warnings"] == [
        f"stm to im, fraction 0.3: of 200 records {sentence}",
        f"im to ltm, fraction 0.3: of 200 records {sentence}",
    ]


class Reordered(FakeTarget):
    """Moves the first by another order than the contract's."""

    def order(self, records: list[Record]) -> list[Record]:
        return sorted(records, key=lambda record: record.step)

    def transition(
        self,
        source: str,
        destination: str,
        *,
        agent_id: str | None = None,
        fraction: float | None = None,
        record_ids: Sequence[str] | None = None,
    ) -> int:
        held = self.order(list(self._agents[str(agent_id)][source].values()))
        chosen = held[: round((fraction or 0) * len(held))]
        ids = [record.record_id for record in chosen]
        return super().transition(source, destination, agent_id=agent_id, record_ids=ids)


class YoungestOfEqualsFirst(Reordered):
    def order(self, records: list[Record]) -> list[Record]:
        return sorted(records, key=lambda record: (record.importance, -record.step))


def first(records: Sequence[Record], count: int, key: Callable[[Record], Any]) -> set[str]:
    """Return the ids of each agent's first records by a key."""
    agents = sorted({record.agent_id for record in records})
    return {
        f"{record.agent_id} {record.record_id}"
        for agent in agents
        for record in sorted((r for r in records if r.agent_id == agent), key=key)[:count]
    }


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (Reordered, lambda record: record.step),
        (YoungestOfEqualsFirst, lambda record: (record.importance, -record.step)),
    ],
)
def test_a_target_that_moves_other_records_than_the_contract_says_is_caught(
    run_here: RunHere,
    use: Use,
    tmp_path: Path,
    kind: type[Reordered],
    key: Callable[[Record], Any],
) -> None:
    use(kind)
    records = important_records(a_bench(tmp_path), 800, 200, WEIGHTS, "stm")
    should = first(records, 60, lambda record: (record.importance, record.step))
    does = first(records, 60, key)

    ran, figures = accuracy(run_here, record_count=800, records_per_agent=200)

    assert wrong(figures["stm_to_im"]) == {
        "left_behind": len(should - does),
        "moved_undue": len(does - should),
    }
    assert 1 <= len(does - should) == len(should - does)
    assert ran.finished.facts["warnings"][0] == (
        f"stm to im, fraction 0.3: of 800 records {len(should - does)} should have moved and did "
        f"not, {len(does - should)} should not be where they are"
    )


class Changing(FakeTarget):
    """Drops all but one field of each state that moves."""

    def _move(self, record: Record, source: str, destination: str) -> None:
        super()._move(record, source, destination)
        held = self._agents[record.agent_id][destination]
        held[record.record_id] = replace(held[record.record_id], state={"step": record.step})


def test_records_that_come_back_changed_are_counted(run_here: RunHere, use: Use) -> None:
    use(Changing)

    _, figures = accuracy(run_here)

    assert wrong(figures["stm_to_im"]) == {"changed": 60}
    assert figures["stm_to_im"]["accuracy_ratio"] == 0.7


class Boasting(FakeTarget):
    """Says that twice as many have moved."""

    def transition(self, source: str, destination: str, **choice: Any) -> int:
        return 2 * super().transition(source, destination, **choice)


def test_a_target_that_says_it_moved_more_than_it_did_is_named(
    run_here: RunHere, use: Use
) -> None:
    use(Boasting)

    ran, figures = accuracy(run_here)

    assert (figures["stm_to_im"]["due_count"], figures["stm_to_im"]["reported_count"]) == (60, 120)
    assert wrong(figures["stm_to_im"]) == {}
    assert ran.finished.facts["warnings"][0].endswith(
        "of 200 records the target says 120 moved where 60 should have"
    )


def test_records_that_were_not_there_before_are_no_fault_of_the_transition(
    run_here: RunHere,
) -> None:
    ran, figures = accuracy(run_here, "embedded?stm_capacity=20")

    assert figures["stm_to_im"]["stored_count"] < 200
    assert wrong(figures["stm_to_im"]) == {}
    assert "were there before anything was moved; give agents fewer records" in str(
        ran.metadata["warnings"]
    )


def test_a_tier_that_takes_no_record_at_all_is_a_failure(run_here: RunHere, use: Use) -> None:
    use(lambda: FakeTarget(FakeScript(loses_one_in=1)))

    ran = run_here("memory_transition", "transition_accuracy", record_count=10)

    assert ran.metadata["status"] == "failed"
    assert ran.metadata["reason"] == (
        "no record that was stored into stm is there; nothing can move"
    )


@pytest.mark.parametrize(
    "name", ["transition_accuracy", "transition_overhead", "importance_scoring"]
)
@pytest.mark.parametrize("lacks", ["transition", "retrieve"])
def test_a_target_without_transitions_is_skipped(run_here: RunHere, name: str, lacks: str) -> None:
    ran = run_here("memory_transition", name, target=f"fake?lacks={lacks}")

    assert ran.metadata["status"] == "skipped"
    assert ran.metadata["reason"] == f"target 'fake' lacks {lacks}"


STM, IM, LTM = "stm", "im", "ltm"


@pytest.mark.parametrize(
    ("found", "counted", "expected"),
    [
        ([IM, IM, STM], (1, 2, 0), {}),
        ([IM, None, STM], (1, 1, 0), {"lost": 1}),
        ([IM, STM, STM], (2, 1, 0), {"left_behind": 1}),
        ([IM, IM, IM], (0, 3, 0), {"moved_undue": 1}),
        ([IM, LTM, STM], (1, 1, 1), {"moved_undue": 1}),
        ([STM, IM, STM], (2, 2, 0), {"duplicated": 1}),  # read from the source
        ([IM, IM, STM], (2, 2, 0), {"duplicated": 1}),  # read from the destination
        ([IM, IM, STM], (1, 2, 1), {"duplicated": 1}),  # the copy is in a third tier
        ([STM, STM, STM], (3, 1, 0), {"left_behind": 1, "duplicated": 1}),
        ([IM, None, STM], (1, 2, 0), {"lost": 1, "duplicated": 1}),
    ],
)
def test_where_two_of_three_records_should_have_moved(
    found: list[str | None], counted: tuple[int, int, int], expected: dict[str, int]
) -> None:
    keys = [("a", str(number)) for number in range(3)]
    should = dict(zip(keys, (IM, IM, STM), strict=True))
    read = {key: tier for key, tier in zip(keys, found, strict=True) if tier is not None}

    judged = judge_moves(should, read, dict(zip((STM, IM, LTM), counted, strict=True)), STM)

    assert {name: count for name, count in judged.items() if count} == expected


@pytest.mark.parametrize(
    ("fraction", "reported", "count"),
    [(0.5, 2, 2), (0.5, 3, 3), (0.5, 1, 2), (0.5, 9, 3), (0.4, 5, 2), (1, 0, 5), (0.01, 0, 0)],
)
def test_a_share_may_be_rounded_either_way_and_no_further(
    fraction: float, reported: int, count: int
) -> None:
    youngest_first = [Record("a", str(number), step=number) for number in reversed(range(5))]

    moving = due(youngest_first, fraction, reported)

    assert moving == {("a", str(number)) for number in range(count)}


def test_a_share_that_floats_miss_by_a_hair_is_a_whole_number() -> None:
    records = [Record("a", str(number), step=number) for number in range(100)]

    assert len(due(records, 0.29, reported=0)) == 29


# --- importance ---


def test_importance_is_the_weighted_mean_of_its_parts(tmp_path: Path) -> None:
    def importances(**weights: float) -> list[float]:
        records = important_records(a_bench(tmp_path), 300, 100, weights, "stm")
        return [record.importance for record in records]

    recent, relevant, frequent = (
        importances(**{part: 0.7}) for part in ("recency", "relevance", "frequency")
    )
    mixed = importances(recency=2, relevance=1, frequency=1)

    assert recent == [round(step / 99, 2) for step in range(100)] * 3
    for part in (relevant, frequent):
        assert all(0 <= value <= 1 for value in part)
        assert abs(np.corrcoef(part, recent)[0, 1]) < 0.2
    assert np.mean(frequent) < 0.35 < 0.45 < np.mean(relevant)
    parts = zip(recent, relevant, frequent, strict=True)
    expected = [(2 * a + b + c) / 4 for a, b, c in parts]
    assert mixed == pytest.approx(expected, abs=0.011)


def test_weights_that_are_all_zero_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="give one that is above 0"):
        important_records(a_bench(tmp_path), 10, 10, {"recency": 0, "relevance": 0.0}, "stm")


# --- importance_scoring ---


def score(run_here: RunHere, target: str = "fake") -> tuple[Any, dict[str, Any]]:
    params = {"transition_thresholds": [0.4], "record_count": 200, "records_per_agent": 50}
    ran = run_here("memory_transition", "importance_scoring", target=target, **params)
    assert ran.metadata["status"] == "ok", ran.metadata
    return ran, ran.document["results"]["fraction_0.4"]


def placed(records: Sequence[Record], key: Callable[[Record], Any]) -> list[str]:
    """Return the tier of each record after 20 of an agent's 50, then 8 of these 20 have moved."""
    left_stm, left_im = first(records, 20, key), first(records, 8, key)
    names = [f"{record.agent_id} {record.record_id}" for record in records]
    return [LTM if n in left_im else IM if n in left_stm else STM for n in names]


@pytest.mark.parametrize("target", ["fake", "embedded"])
def test_retention_and_correlation_agree_with_an_independent_computation(
    run_here: RunHere, tmp_path: Path, target: str
) -> None:
    records = important_records(a_bench(tmp_path), 200, 50, WEIGHTS, "stm")
    where = placed(records, lambda record: (record.importance, record.step))
    importances = [record.importance for record in records]

    ran, figures = score(run_here, target)

    youth = [-[STM, IM, LTM].index(tier) for tier in where]
    correlation = spearmanr(importances, youth).statistic
    assert figures["rank_correlation"] == pytest.approx(correlation)
    assert figures["ideal_rank_correlation"] == pytest.approx(correlation)
    assert figures["misplaced_count"] == figures["misplaced_ratio"] == 0
    for tier in (STM, IM, LTM):
        inside = [value for value, place in zip(importances, where, strict=True) if place == tier]
        flags = [place == tier for place in where]
        assert figures["tiers"][tier] == {
            "record_count": len(inside),
            "importance_mean_ratio": pytest.approx(np.mean(inside)),
            "rank_correlation": pytest.approx(spearmanr(importances, flags).statistic),
        }
    pairs = list(zip(importances, where, strict=True))
    level = [tier for importance, tier in pairs if 0.2 <= importance < 0.4]
    assert figures["levels"]["importance_0.2_to_0.4"] == {
        "record_count": len(level),
        "stm_ratio": level.count(STM) / len(level),
        "im_ratio": level.count(IM) / len(level),
        "ltm_ratio": level.count(LTM) / len(level),
        "lost_ratio": 0,
    }
    assert sum(each["record_count"] for each in figures["levels"].values()) == 200
    assert ran.finished.facts["warnings"] == []


def test_a_target_that_moves_by_age_alone_ignores_importance_and_is_named(
    run_here: RunHere, use: Use, tmp_path: Path
) -> None:
    use(Reordered)
    records = important_records(a_bench(tmp_path), 200, 50, WEIGHTS, "stm")
    ideal = placed(records, lambda record: (record.importance, record.step))
    where = placed(records, lambda record: record.step)
    misplaced = sum(a != b for a, b in zip(ideal, where, strict=True))

    ran, figures = score(run_here)

    assert figures["misplaced_count"] == misplaced > 20
    assert figures["rank_correlation"] < figures["ideal_rank_correlation"] - 0.1
    assert ran.finished.facts["warnings"][0] == (
        f"fraction 0.4: {misplaced} of 200 records are not in the tier that their importance and "
        "age call for"
    )


def test_lost_records_are_a_place_of_their_own(run_here: RunHere) -> None:
    _, figures = score(run_here, "fake?transition_loses_one_in=10")

    lost = sum(each["lost_ratio"] * each["record_count"] for each in figures["levels"].values())
    kept = sum(each["record_count"] for each in figures["tiers"].values())
    # 80 leave STM and 8 of them are lost; of the 72 in IM each agent's 40 % go on.
    assert round(lost) == 200 - kept == 10
    assert figures["misplaced_count"] >= 10


def test_the_most_important_record_is_in_the_highest_level() -> None:
    records = [Record("a", str(n), importance=n / 5, tier="stm") for n in range(6)]
    keys = [("a", str(n)) for n in range(6)]

    figures = retention(records, dict.fromkeys(keys, STM), dict.fromkeys(keys, STM))

    assert [each["record_count"] for each in figures["levels"].values()] == [1, 1, 1, 1, 2]
    assert list(figures["levels"])[-1] == "importance_0.8_to_1"
    assert "rank_correlation" not in figures  # all are in one tier


# --- transition_overhead ---


OVERHEAD = {"moving_count": 60, "records_per_agent": 20, "foreground_seconds": 0.1}


class Held(FakeTarget):
    """Holds records in the middle of a move until operations have met them there.

    Alone, nobody else is there to wait for.
    """

    def __init__(self, script: FakeScript | None = None, hides: bool = False) -> None:
        super().__init__(script)
        self.hides = hides
        self.moving = False
        self.loaded = False
        self.waited_for = threading.Semaphore(0)

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        self.loaded = True
        hidden = self.moving and self.hides
        found = None if hidden else super().retrieve(agent_id, record_id)
        if self.moving:
            self.waited_for.release()
        return found

    def transition(self, source: str, destination: str, **choice: Any) -> int:
        self.moving = threading.current_thread() is not threading.main_thread()
        for _ in range(5 if self.moving else 0):
            assert self.waited_for.acquire(timeout=30)
        moved = super().transition(source, destination, **choice)
        self.moving = False
        return moved


def run_overhead(run_here: RunHere, target: str = "fake", **params: Any) -> tuple[Any, Any]:
    ran = run_here(
        "memory_transition", "transition_overhead", target=target, **(OVERHEAD | params)
    )
    assert ran.metadata["status"] == "ok", ran.metadata
    return ran, ran.document["results"]


@forks
@pytest.mark.parametrize("target", ["fake", "embedded"])
def test_a_transition_is_measured_alone_and_beside_the_same_load(
    run_here: RunHere, target: str
) -> None:
    ran, results = run_overhead(run_here, target)

    for figures in results.values():
        assert figures["alone"]["moved_count"] == figures["under_load"]["moved_count"] == 60
        assert figures["alone"]["duration_seconds"] > 0
        assert figures["alone"]["cpu_seconds"] > 0
        assert isinstance(figures["alone"]["rss_growth_bytes"], int)
        assert figures["without"]["outcomes"] == {"ok": 100}
        assert figures["without"]["sample_count"] == 100
        assert set(figures["during"]["outcomes"]) <= {"ok"}
    assert list(results) == ["stm_to_im", "im_to_ltm"]
    # Two pairs, each loaded twice, with 100 operations: all are in the result's histograms.
    names = ("retrieve_memory", "search_memory", "create_memory")
    assert sum(sum(ran.counts(name).values()) for name in names) == 400


@forks
def test_operations_during_a_transition_are_counted_apart_and_too_few_are_named(
    run_here: RunHere, use: Use
) -> None:
    use(Held)

    ran, results = run_overhead(run_here)

    for pair, figures in results.items():
        during = figures["during"]
        assert 5 <= during["sample_count"] <= 100
        assert sum(during["outcomes"].values()) == during["sample_count"]
        assert during["operations"]["retrieve_memory"]["items_processed"] >= 5
        assert during["total_time_seconds"] == figures["under_load"]["duration_seconds"]
        assert any(
            warning.startswith(
                f"{pair.replace('_', ' ')}: only {during['sample_count']} operations were under "
                "way during the "
            )
            for warning in ran.metadata["warnings"]
        )


@forks
def test_records_that_cannot_be_found_while_they_move_are_no_success(
    run_here: RunHere, use: Use
) -> None:
    use(lambda: Held(hides=True))

    ran, results = run_overhead(run_here)

    for figures in results.values():
        assert figures["without"]["outcomes"] == {"ok": 100}
        assert figures["during"]["outcomes"]["empty"] >= 5
    assert "operations did not succeed" in ran.metadata["warnings"][0]


@forks
def test_searches_that_do_not_find_a_stored_record_are_no_success(run_here: RunHere) -> None:
    _, results = run_overhead(run_here, "fake?wrong_neighbours_one_in=1")

    for figures in results.values():
        operations = figures["without"]["operations"]
        assert set(operations["search_memory"]["outcomes"]) == {"wrong"}
        assert set(operations["retrieve_memory"]["outcomes"]) == {"ok"}


@forks
def test_a_transition_that_leaves_records_behind_under_load_is_named(
    run_here: RunHere, use: Use
) -> None:
    class Hasty(FakeTarget):
        def transition(self, source: str, destination: str, **choice: Any) -> int:
            alone = threading.current_thread() is threading.main_thread()
            return super().transition(source, destination, fraction=1.0 if alone else 0.5)

    use(Hasty)

    ran, _ = run_overhead(run_here)

    assert "stm to im: 30 of 60 records moved under load" in ran.finished.facts["warnings"]


@forks
def test_late_starts_beside_a_transition_are_no_fault_of_the_load_generator(
    tmp_path: Path,
) -> None:
    bench = a_bench(tmp_path)
    records = list(bench.generate(60, 1, "stm", per_agent=20))

    overhead(bench, Case(records, "stm", "im", rate=1000, seconds=0.05))

    without, beside = (one.aggregate.total().dispatch_delay for one in bench.measurements)
    assert without.max_seconds > 0
    assert beside.max_seconds == 0
    assert (without.count, beside.count) == (50, 50)


@forks
def test_a_transition_that_fails_under_load_fails_the_run(run_here: RunHere, use: Use) -> None:
    class Failing(FakeTarget):
        def transition(self, source: str, destination: str, **choice: Any) -> int:
            if threading.current_thread() is threading.main_thread():
                return super().transition(source, destination, **choice)
            raise OSError("disk full")

    use(Failing)

    ran = run_here("memory_transition", "transition_overhead", target="fake", **OVERHEAD)

    assert (ran.metadata["status"], ran.metadata["reason"]) == ("failed", "OSError: disk full")


def test_a_target_for_one_thread_has_no_transition_beside_a_load(run_here: RunHere) -> None:
    ran = run_here("memory_transition", "transition_overhead", target="fake?lacks=thread_safe")

    assert ran.metadata["reason"] == "target 'fake' lacks thread_safe"


def six_operations() -> ObservationBatch:
    #        before, finishes in it, due in it, spans it, waits through it, after
    intended = np.array([10, 90, 150, 90, 90, 210])
    started = np.array([10, 95, 160, 95, 230, 215])
    finished = np.array([99, 110, 170, 250, 240, 220])
    outcome = np.array([0, 1, 0, 2, 0, 3], dtype=np.uint8)
    return ObservationBatch("op", "", started, finished, outcome, intended, started)


def test_an_operation_is_during_a_transition_if_it_was_due_or_under_way_in_it() -> None:
    chosen = during(six_operations(), began_ns=100, ended_ns=200)

    assert chosen.outcome.tolist() == [1, 0, 2, 0]
    assert chosen.intended is not None
    assert chosen.intended.tolist() == [90, 150, 90, 90]
    assert (chosen.started.tolist(), chosen.finished.tolist()) == (
        [95, 160, 95, 230],
        [110, 170, 250, 240],
    )


def test_what_is_measured_during_a_transition_is_of_its_operations_and_its_time() -> None:
    whole = Measurement(Load(9.0, 12, 4, 500.0), Aggregate(), Validity("valid"))

    part = part_during(whole, [six_operations()] * 2, Run(7, 100, 200, 0.0))

    assert part.load == Load(pytest.approx(100e-9), 8, 4, 500.0)
    assert part.aggregate.outcomes() == {"ok": 4, "empty": 2, "wrong": 2}
    assert part.summary()["items_processed"] == 4
    assert part.summary()["latency_max_seconds"] == 150e-9


def test_a_closed_loop_has_no_operations_that_were_due() -> None:
    empty = np.zeros(0, np.int64)

    with pytest.raises(ValueError, match="no intended times"):
        during(ObservationBatch("op", "", empty, empty, np.zeros(0, np.uint8)), 0, 1)
