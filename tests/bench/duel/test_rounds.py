"""How two sides take turns, and what a round makes of what it measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.bench.duel.rounds import (
    KindFigures,
    Plan,
    Times,
    figures_of,
    overall,
    plan_for,
    take_turns,
)
from agentmem_observe.bench.duel.side import Done, Turn
from agentmem_observe.clock import FakeClock

plans = st.builds(Plan, st.integers(1, 7), st.integers(1, 5), st.integers(0, 2))
sides = st.sampled_from(["A", "B"])


@dataclass
class ScriptedFighter:
    """Takes as long for each operation as it is told, on a clock that both sides share."""

    clock: FakeClock
    nanoseconds: Callable[[int, int], int]
    done: list[int] = field(default_factory=list)

    def turn(self, turn: Turn) -> Done:
        took = []
        for number in range(turn.first, turn.stop):
            took.append(self.nanoseconds(number, self.clock.now_ns()))
            self.clock.advance(took[-1] / 1e9)
            self.done.append(number)
        return Done(np.array(took, dtype=np.int64).tobytes(), 0.25, 1)


def fought(
    plan: Plan, first: str, **nanoseconds: Callable[[int, int], int]
) -> tuple[Times, Mapping[str, ScriptedFighter]]:
    """Fight a round of scripted sides."""
    clock = FakeClock()
    fighters = {name: ScriptedFighter(clock, each) for name, each in nanoseconds.items()}
    return take_turns(fighters, plan, first, clock), fighters


def only(times: Times, plan: Plan) -> KindFigures:
    """Return the figures of a round of one kind."""
    (figures,) = figures_of(times, plan, ["search_memory"], bytes(plan.operations)).values()
    return figures


@pytest.mark.parametrize(("first", "order"), [("A", "ABBAABBA"), ("B", "BAABBAAB")])
def test_the_side_that_begins_also_ends(first, order):
    assert "".join(side for side, _ in Plan(3, 2, warm=0).turns(first)) == order


@given(plans, sides)
def test_both_sides_do_every_operation_once_and_in_the_same_order(plan, first):
    _, fighters = fought(plan, first, A=lambda *_: 5, B=lambda *_: 7)

    assert fighters["A"].done == fighters["B"].done == list(range(plan.operations))


@given(plans, sides)
def test_neither_side_is_ever_more_than_two_blocks_ahead(plan, first):
    ahead = 0
    for side, turn in plan.turns(first):
        ahead += (turn.stop - turn.first) * (1 if side == first else -1)
        assert abs(ahead) <= 2 * plan.block
    assert ahead == 0


def test_a_host_that_slows_down_all_the_while_favours_nobody():
    plan = Plan(10, 20, warm=1)

    def drifting(number: int, now: int) -> int:
        return 100_000 + now // 1_000  # half as long again after 50 ms

    times, _ = fought(plan, "A", A=drifting, B=drifting)

    assert abs(only(times, plan).log_ratio) < 0.0005


@pytest.mark.parametrize("first", ["A", "B"])
def test_a_side_that_takes_longer_is_found_to_whoever_begins(first):
    plan = Plan(10, 20, warm=1)

    times, _ = fought(plan, first, A=lambda *_: 200_000, B=lambda *_: 206_000)

    assert only(times, plan).log_ratio == pytest.approx(np.log(1.03))
    assert only(times, plan).p50_seconds == {"A": 0.0002, "B": pytest.approx(0.000206)}


def test_operations_that_differ_among_themselves_do_not_hide_a_small_difference():
    """The ratio of the medians would be 1.5: an interrupted one moves the median of two kinds."""
    plan = Plan(10, 20, warm=1)

    def uneven(number: int, now: int) -> int:
        return (100_000, 300_000)[number % 2]

    def slower_and_interrupted(number: int, now: int) -> int:
        return 4_000_000 if number % 20 == 0 else round(1.01 * uneven(number, now))

    times, _ = fought(plan, "A", A=uneven, B=slower_and_interrupted)

    assert only(times, plan).log_ratio == pytest.approx(np.log(1.01))


def test_some_operations_that_were_interrupted_do_not_count():
    plan = Plan(10, 20, warm=1)

    def interrupted(number: int, now: int) -> int:
        return 4_000_000 if number % 5 == 0 else 100_000

    times, _ = fought(plan, "A", A=lambda *_: 100_000, B=interrupted)

    assert only(times, plan).log_ratio == 0


def test_the_warm_up_does_not_count():
    plan = Plan(5, 4, warm=2)

    def cold(number: int, now: int) -> int:
        return 100_000 if number >= plan.first_counted else 9_000_000

    times, _ = fought(plan, "A", A=lambda *_: 100_000, B=cold)

    assert only(times, plan).log_ratio == 0
    assert only(times, plan).operations == plan.operations - plan.first_counted


def test_a_round_adds_up_what_its_turns_cost():
    plan = Plan(5, 4, warm=1)

    times, _ = fought(plan, "A", A=lambda *_: 1_000_000, B=lambda *_: 3_000_000)

    assert times.seconds == pytest.approx(0.004 * plan.operations)
    assert (times.cpu_seconds, times.switches) == (5.0, 20)


def test_a_few_operations_have_no_p95():
    plan = Plan(5, 4, warm=1)

    times, _ = fought(plan, "A", A=lambda *_: 100, B=lambda *_: 100)

    assert only(times, plan).p95_log_ratio is None


def test_each_kind_has_figures_of_its_own():
    plan = Plan(10, 20, warm=1)
    sequence = bytes([0, 0, 1] * (plan.operations // 3 + 1))[: plan.operations]

    times, _ = fought(plan, "A", A=lambda *_: 100, B=lambda n, _: 100 if sequence[n] == 0 else 200)
    figures = figures_of(times, plan, ["create_memory", "search_memory", "rare"], sequence)

    assert list(figures) == ["create_memory", "search_memory"]
    assert figures["create_memory"].log_ratio == 0
    assert figures["search_memory"].log_ratio == pytest.approx(np.log(2))
    assert sum(each.operations for each in figures.values()) == 400


def figures(log_ratio: float, p50_seconds: float) -> KindFigures:
    return KindFigures(log_ratio, None, {"A": p50_seconds, "B": p50_seconds}, 100)


def test_a_kind_weighs_as_much_as_the_time_that_goes_into_it():
    kinds = {"create_memory": figures(0.0, 0.001), "search_memory": figures(0.08, 0.003)}

    assert overall(kinds, {"create_memory": 0.5, "search_memory": 0.5}) == pytest.approx(0.06)
    assert overall(kinds, {"create_memory": 0.75, "search_memory": 0.25}) == pytest.approx(0.04)


@given(
    st.lists(
        st.tuples(st.floats(-1, 1), st.floats(1e-6, 1.0), st.floats(1e-6, 1.0)),
        min_size=1,
        max_size=3,
    )
)
def test_the_whole_turns_around_when_the_sides_change_places(rows):
    ours = {
        str(n): KindFigures(ratio, None, {"A": a, "B": b}, 9)
        for n, (ratio, a, b) in enumerate(rows)
    }
    theirs = {
        str(n): KindFigures(-ratio, None, {"A": b, "B": a}, 9)
        for n, (ratio, a, b) in enumerate(rows)
    }
    shares = {kind: 1 / len(ours) for kind in ours}

    assert overall(ours, shares) == pytest.approx(-overall(theirs, shares))


@given(st.floats(1e-7, 2.0))
def test_blocks_are_short_and_rounds_too_unless_operations_are_long(operation_seconds):
    plan = plan_for(operation_seconds)

    assert 1 <= plan.block <= 500
    assert plan.quartets >= 4
    assert plan.warm >= 1
    assert plan.block * operation_seconds <= max(0.003, operation_seconds)
    seconds = 2 * plan.operations * operation_seconds
    assert seconds <= max(
        0.09, 1.1 * 4 * operation_seconds * max(5, min(12, 0.25 / operation_seconds))
    )


@pytest.mark.parametrize("operation_seconds", [1e-6, 1e-4, 1e-3, 0.01, 0.02])
def test_a_round_has_operations_enough_for_a_median(operation_seconds):
    plan = plan_for(operation_seconds)

    assert plan.operations - plan.first_counted >= 20
