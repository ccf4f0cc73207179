"""One round: two sides do the same operations in turns, and what that says of them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from agentmem_observe.bench.duel.side import Done, Turn
from agentmem_observe.clock import SYSTEM_CLOCK, Clock
from agentmem_observe.model import Float64Array, Int64Array, Uint8Array

A, B = "A", "B"
SIDES = (A, B)

_BLOCK_SECONDS = 0.002
_ROUND_SECONDS = 0.06
"""Of work, for both sides. Short, for the process is what differs from round to round: where the
host leaves us a sixth of a CPU, twice as many rounds of half the length find more."""
_WARM_RATIO = 0.1
_MOST_BLOCK_OPERATIONS = 500
_LEAST_QUARTETS = 4
_ENOUGH_OPERATIONS = 24  # long operations get longer rounds to have so many, up to a second
_MOST_ROUND_SECONDS = 1.0


class Fighter(Protocol):
    """A side that takes turns."""

    def turn(self, turn: Turn) -> Done:
        """Do the operations of a turn and return when they are done."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How a round goes.

    Attributes:
        block: Operations in a turn, >= 1.
        quartets: How often both sides have two turns, >= 1.
        warm: How many of these come before and do not count.
    """

    block: int
    quartets: int
    warm: int = 1

    @property
    def operations(self) -> int:
        """Return how many operations each side does."""
        return 2 * self.block * (self.warm + self.quartets)

    @property
    def first_counted(self) -> int:
        """Return the number of the first operation that counts."""
        return 2 * self.block * self.warm

    def turns(self, first: str) -> Iterator[tuple[str, Turn]]:
        """Yield whose turn it is, and what is to be done in it.

        Args:
            first: The side that begins.

        Examples:
            >>> [(side, turn.first, turn.stop) for side, turn in Plan(10, 1, warm=0).turns("B")]
            [('B', 0, 10), ('A', 0, 10), ('A', 10, 20), ('B', 10, 20)]
        """
        second = A if first == B else B
        for start in range(0, self.operations, 2 * self.block):
            middle, stop = start + self.block, start + 2 * self.block
            for side, begin, end in (
                (first, start, middle),
                (second, start, middle),
                (second, middle, stop),
                (first, middle, stop),
            ):
                yield side, Turn(begin, end)


def typical_seconds(seconds: Float64Array, kinds: Uint8Array) -> float:
    """Return what operations take on average, each counted as the median of its kind.

    On a busy host one of ten takes ten times as long because others had the CPU meanwhile.

    Args:
        seconds: How long each took, at least one.
        kinds: The index of its kind, of the same shape.

    Examples:
        >>> seconds = np.array([0.1, 0.1, 0.1, 9.0, 0.3])
        >>> round(typical_seconds(seconds, np.array([0, 0, 0, 0, 1], np.uint8)), 3)
        0.14
    """
    present, counts = np.unique(kinds, return_counts=True)
    typical = [np.median(seconds[kinds == kind]) for kind in present]
    return float(np.average(typical, weights=counts))


def plan_for(operation_seconds: float) -> Plan:
    """Return a plan for operations that take so long.

    Args:
        operation_seconds: On average, on the slower side, > 0.

    Examples:
        >>> plan_for(0.0002)
        Plan(block=10, quartets=7, warm=1)
        >>> plan_for(0.01)
        Plan(block=1, quartets=11, warm=1)
        >>> plan_for(0.2)
        Plan(block=1, quartets=4, warm=1)
    """
    block = min(max(1, round(_BLOCK_SECONDS / operation_seconds)), _MOST_BLOCK_OPERATIONS)
    per_second = 1 / (4 * block * operation_seconds)
    enough = min(_ENOUGH_OPERATIONS / (2 * block), _MOST_ROUND_SECONDS * per_second)
    quartets = round(max(_ROUND_SECONDS * per_second, enough))
    warm = max(1, round(_WARM_RATIO * quartets))
    return Plan(block, max(_LEAST_QUARTETS, quartets - warm), warm)


@dataclass(frozen=True, slots=True)
class Times:
    """What a round measured.

    Attributes:
        nanoseconds: Service time of each operation by side, both in the same order.
        seconds: How long the turns took, those of the warm-up too.
        cpu_seconds: CPU time of both sides in their turns.
        switches: How often one of them had to leave the CPU to others in its turn.
    """

    nanoseconds: Mapping[str, Int64Array]
    seconds: float
    cpu_seconds: float
    switches: int


def take_turns(
    fighters: Mapping[str, Fighter], plan: Plan, first: str, clock: Clock = SYSTEM_CLOCK
) -> Times:
    """Let two sides take turns; only one works at any moment.

    Args:
        fighters: Both, by name.
        plan: How many operations each does, and in which portions.
        first: The side that begins.
        clock: Tells how long it takes.
    """
    parts: dict[str, list[bytes]] = {A: [], B: []}
    began = clock.now_ns()
    cpu_seconds, switches = 0.0, 0
    for side, turn in plan.turns(first):
        done = fighters[side].turn(turn)
        parts[side].append(done.durations)
        cpu_seconds += done.cpu_seconds
        switches += done.switches
    times = {
        side: np.frombuffer(b"".join(blocks), dtype=np.int64) for side, blocks in parts.items()
    }
    return Times(times, (clock.now_ns() - began) / 1e9, cpu_seconds, switches)


@dataclass(frozen=True, slots=True)
class KindFigures:
    """What a round says of one kind of operation.

    Attributes:
        log_ratio: Median over operations of the logarithm of what each took on B over what the
            same one took on A.
        p95_log_ratio: Logarithm of the ratio of the 95th percentiles; None of few operations.
        p50_seconds: Median service time by side.
        operations: How many each side did.
    """

    log_ratio: float
    p95_log_ratio: float | None
    p50_seconds: Mapping[str, float]
    operations: int


_LEAST_FOR_P95 = 60


def figures_of(
    times: Times, plan: Plan, kinds: list[str], sequence: bytes
) -> dict[str, KindFigures]:
    """Return what a round says of each kind that it had at least one operation of.

    Args:
        times: As measured.
        plan: How it went.
        kinds: Names.
        sequence: For each operation the index of its kind.
    """
    counted = slice(plan.first_counted, None)
    order = np.frombuffer(sequence, dtype=np.uint8)[counted]
    figures = {}
    for index, kind in enumerate(kinds):
        chosen = order == index
        if not chosen.any():
            continue
        a, b = (np.maximum(times.nanoseconds[side][counted][chosen], 1) for side in SIDES)
        p95 = None
        if len(a) >= _LEAST_FOR_P95:
            p95 = float(np.log(np.percentile(b, 95) / np.percentile(a, 95)))
        figures[kind] = KindFigures(
            float(np.median(np.log(b / a))),
            p95,
            {A: float(np.median(a)) / 1e9, B: float(np.median(b)) / 1e9},
            len(a),
        )
    return figures


def overall(figures: Mapping[str, KindFigures], shares: Mapping[str, float]) -> float:
    """Return the logarithm of how much longer the mix takes on B: the mean of the kinds'.

    Each kind weighs as much as the time that goes into it: its share of the operations times its
    median service time, the geometric mean of both sides'.

    Args:
        figures: By kind.
        shares: Of each kind in the mix.
    """
    weights = {
        kind: shares[kind] * math.sqrt(each.p50_seconds[A] * each.p50_seconds[B])
        for kind, each in figures.items()
    }
    total = sum(weights.values())
    return sum(weights[kind] * each.log_ratio for kind, each in figures.items()) / total
