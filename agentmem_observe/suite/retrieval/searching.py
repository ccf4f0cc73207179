"""Searches of a collection: sent, timed and judged, and what their answers are worth."""

import gc
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from agentmem_observe.bench.context import AGENT, Bench, SkipBenchmark
from agentmem_observe.bench.measurement import Measurement
from agentmem_observe.model import Hit, Outcome, Record
from agentmem_observe.suite.retrieval.answers import (
    Answer,
    accuracy,
    accuracy_above,
    exact_answers,
    recall,
)
from agentmem_observe.suite.retrieval.collection import (
    ClusteredCollection,
    Collection,
    Scope,
    StatedCollection,
    members,
    places_of,
)
from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.workload.arrivals import Arrivals
from agentmem_observe.workload.operations import Content, Operation, Script
from agentmem_observe.workload.vectors import DIMENSIONS

NEEDED = (Capability.SEARCH, Capability.CALLER_IDS, Capability.READ_YOUR_WRITES)
"""What a target must have before its searches can be judged."""

_PER_CLUSTER = 20
_LEAST_RECALL = 0.8  # below it a reader must know before he compares times
_FEWEST_BATCHES = 20  # for a median


@dataclass(frozen=True, slots=True)
class Length:
    """How long a closed loop of searches is.

    Attributes:
        count: Operations, >= 1.
        seconds: After this time no further operation begins, once those that were begun together
            are done; > 0.
        size: Searches per operation, >= 1.
    """

    count: int
    seconds: float = math.inf
    size: int = 1

    def of_batches(self, size: int) -> "Length":
        """Return the length with as many searches in batches, and enough of those for a median."""
        return Length(max(_FEWEST_BATCHES, self.count // size), self.seconds, size)


SomeCollection = TypeVar("SomeCollection", bound=Collection)


@dataclass(frozen=True, slots=True)
class Case(Generic[SomeCollection]):
    """What is searched.

    Attributes:
        target: Holds the collection and nothing else.
        collection: Whose queries are sent.
        scope: Where, and the exact answers.
    """

    target: MemoryTarget
    collection: SomeCollection
    scope: Scope

    @property
    def searched_count(self) -> int:
        """Return how many records a search has to look through."""
        there = self.scope.members
        return self.collection.record_count if there is None else len(there)

    def closed_loop(
        self, bench: Bench, k: int, length: Length
    ) -> tuple[Measurement, list[Answer]]:
        """Send queries in turn as fast as the target answers.

        Returns:
            The measurement, and every answer that was not an error.
        """
        answers: list[Answer] = []
        operation = self._operation(k, answers, length.size)
        sequence = at_most(length.count, length.seconds)
        measured = bench.closed_loop([Script([operation], sequence)])
        bench.advance(length.count - measured.load.operations)
        return measured, answers

    def open_loop(self, bench: Bench, k: int, arrivals: Arrivals) -> Measurement:
        """Send queries in turn when they are due, from one thread."""
        operation = self._operation(k, [], 1)
        endless = itertools.repeat(0)  # schedules scatter around their rate
        return bench.open_loop(Script([operation], endless), arrivals)

    def _operation(self, k: int, answers: list[Answer], size: int) -> Operation:
        """Return the operation that sends ``size`` queries, one call each."""
        target, collection, scope = self.target, self.collection, self.scope
        tier = scope.tier or None
        count = collection.query_count
        queries = [collection.query(number) for number in range(count)]

        def send(number: int) -> list[list[Hit]]:
            asked = [queries[each % count] for each in range(number * size, (number + 1) * size)]
            return [target.search(AGENT, text, k, vector=v, tier=tier) for text, v in asked]

        def check(number: int, found: list[list[Hit]]) -> Outcome:
            worst = Outcome.OK
            for each, hits in enumerate(found, number * size):
                query = each % count
                answers.append(Answer(query, tuple(places_of(hits, collection.record_count))))
                worst = max(worst, collection.judge(query, hits, k, scope))
            return worst

        def content(number: int, _: object) -> Content:
            asked, _vector = queries[number * size % count]
            return Content("" if asked is None else str(asked))

        return Operation("search_memory", send, check, scope.tier, content)


def collect(bench: Bench, count: int, query_count: int) -> Collection:
    """Return a collection of what the target takes: vectors if it can, else states."""
    bench.require(*NEEDED)
    if bench.target_info and Capability.VECTORS_IN in bench.target_info.capabilities:
        return clustered(bench, count, query_count)
    return StatedCollection(bench, count, query_count)


def clustered(
    bench: Bench,
    count: int,
    query_count: int,
    *,
    dimensions: int = DIMENSIONS,
    per_cluster: int = _PER_CLUSTER,
) -> ClusteredCollection:
    """Return a collection of labelled vectors, of the run's seed."""
    return ClusteredCollection(
        count, query_count, dimensions, per_cluster=per_cluster, seed=bench.seed
    )


@contextmanager
def filled(
    bench: Bench, collection: Collection, tiers: Sequence[str] = ("",)
) -> Iterator[MemoryTarget]:
    """Open a fresh target that holds a collection and has settled.

    Args:
        bench: Builds the target.
        collection: What to store.
        tiers: Where to: equal parts in this order; "" leaves it to the target.
    """
    gc.collect()
    gc.freeze()  # what is known of the records must not make the target's collections longer
    with bench.target() as target:
        bench.fill(target, collection.records(tiers))
        target.maintain()
        yield target


def scope_of(target: MemoryTarget, collection: Collection, tier: str, depth: int) -> Scope:
    """Return what a search of a tier, "" for all, can find now, and what is nearest in it.

    Args:
        target: Holds the collection and nothing else.
        collection: The collection.
        tier: The tier, or "".
        depth: How many exact neighbours per query, >= 1.

    Raises:
        SkipBenchmark: If the tier is empty.
    """
    there = members(target, tier, collection.record_count)
    if there is not None and not len(there):
        raise SkipBenchmark(f"the target keeps nothing in {tier}: there is nothing to search")
    return collection.scope(tier, depth, there)


def accepted_dimensions(bench: Bench, wanted: Sequence[int]) -> tuple[list[int], dict[str, str]]:
    """Try each number of dimensions on a fresh target, and 384 if it takes none of them.

    Args:
        bench: Builds the targets.
        wanted: Numbers of dimensions.

    Returns:
        Those that it stores and searches, and of the others what it said.

    Raises:
        SkipBenchmark: If it takes none.
    """
    refused: dict[str, str] = {}
    taken = [dimensions for dimensions in wanted if _takes(bench, dimensions, refused)]
    if not taken and _takes(bench, DIMENSIONS, refused):
        taken = [DIMENSIONS]
    if not taken:
        raise SkipBenchmark(f"the target takes vectors of none of these dimensions: {refused}")
    if refused:
        others = ", ".join(name.removeprefix("dimensions_") for name in refused)
        bench.warn(
            f"the target takes no vectors of {others} dimensions; measured with "
            + ", ".join(map(str, taken))
        )
    return taken, refused


def times_by_k(
    bench: Bench, collection: Collection, tier: str, k_values: Sequence[int], length: Length
) -> dict[str, Any]:
    """Store a collection into a tier of a fresh target, and return its search times by k."""
    with filled(bench, collection, (tier,)) as target:
        case = Case(target, collection, scope_of(target, collection, tier, max(k_values)))
        figures: dict[str, Any] = {"searched_records_count": case.searched_count}
        for k in k_values:
            measured, _ = case.closed_loop(bench, k, length)
            figures[f"k_{k}"] = measured.summary()
        return figures


def accuracy_figures(
    bench: Bench,
    case: Case[ClusteredCollection],
    k_values: Sequence[int],
    thresholds: Sequence[float],
) -> dict[str, Any]:
    """Send each query once for each k, and return accuracy by k and by least similarity.

    Beside each figure stands under ``exact`` that of the exact answers. Hits are taken to be near
    enough among those of the largest k.
    """
    collection, scope = case.collection, case.scope
    figures: dict[str, Any] = {
        "records_count": collection.record_count,
        "clusters_count": int(collection.clusters.labels.max()) + 1,
    }
    exact = exact_answers(scope)
    answers: list[Answer] = []
    for k in sorted(k_values):
        measured, answers = case.closed_loop(bench, k, Length(collection.query_count))
        figures[f"k_{k}"] = {
            **accuracy(collection, answers, k),
            "exact": accuracy(collection, exact, k),
            **recall(collection, answers, k, scope),
            "searches": measured.summary(),
        }
    for least in thresholds:
        figures[f"threshold_{least:g}"] = {
            **accuracy_above(collection, answers, least),
            "exact": accuracy_above(collection, exact, least),
        }
    return figures


def recall_figures(
    bench: Bench, case: Case[ClusteredCollection], k: int, length: Length
) -> dict[str, Any]:
    """Send queries and return recall@k, warning if it is low, and what the searches took."""
    measured, answers = case.closed_loop(bench, k, length)
    figures = recall(case.collection, answers, k, case.scope)
    if figures.get("recall_at_k_ratio", 1.0) < _LEAST_RECALL:
        bench.warn(
            f"recall@{k} is {figures['recall_at_k_ratio']:.2f} among {case.searched_count:,} "
            f"{case.scope.tier or 'records'}: compare its times with those of equal recall only"
        )
    return figures | {"searches": measured.summary()}


def cost_and_recall(
    bench: Bench,
    case: Case[ClusteredCollection],
    k_values: Sequence[int],
    length: Length,
    everything: Scope,
) -> dict[str, Any]:
    """Return search times of a scope, its recall, and its recall of what is nearest in all."""
    collection = case.collection
    figures: dict[str, Any] = {"searched_records_count": case.searched_count}
    for k in k_values:
        measured, answers = case.closed_loop(bench, k, length)
        of_all = recall(collection, answers, k, everything)
        figures[f"k_{k}"] = {
            **recall(collection, answers, k, case.scope),
            "recall_of_all_ratio": of_all.get("recall_at_k_ratio"),
            "searches": measured.summary(),
        }
    return figures


def at_most(
    count: int, seconds: float, now: Callable[[], float] = time.monotonic
) -> Iterator[int]:
    """Yield zeros, at least one, until they are so many or the time is over.

    Args:
        count: The most there are, >= 1.
        seconds: Counted from the first.
        now: The time in seconds.

    Examples:
        >>> list(at_most(5, seconds=2.5, now=iter(range(9)).__next__))
        [0, 0, 0]
    """
    deadline = now() + seconds
    yield 0
    for _ in range(count - 1):
        if now() > deadline:
            return
        yield 0


def _takes(bench: Bench, dimensions: int, refused: dict[str, str]) -> bool:
    vector = np.full(dimensions, dimensions**-0.5, np.float32)
    with bench.target() as target:
        try:
            target.store(Record(AGENT, "probe", state={}, vector=vector))
            target.search(AGENT, None, 1, vector=vector)
        except Exception as error:
            refused[f"dimensions_{dimensions}"] = f"{type(error).__name__}: {error}"
            return False
    return True
