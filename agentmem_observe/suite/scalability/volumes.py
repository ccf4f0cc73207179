"""One memory that grows, and what operations take at each volume: the seeds' size scaling."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from agentmem_observe.analysis.neighbours import exact_neighbours
from agentmem_observe.bench.context import AGENT, Bench
from agentmem_observe.bench.measurement import Measurement
from agentmem_observe.bench.verification import is_kept
from agentmem_observe.model import Hit, Int64Array, Outcome, Record
from agentmem_observe.suite.scalability.usage import server_probe
from agentmem_observe.suite.storage.footprint import quiet_rss_bytes
from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.workload.corpus import Corpus, number_of
from agentmem_observe.workload.operations import Operation, repeat

K = 10
"""Hits of a search, as in the seeds."""

_TRANSITIONS = (("stm", "im", 0.30, 10_000), ("im", "ltm", 0.20, 100_000))
"""The seeds': what share of which tier moves where, and from which volume on."""

_NEAR = 10 * K  # an answer with none of so many nearest is no approximation, but wrong
_JUDGED_QUERIES = 200  # whose exact answers are kept up to date; searches go round through them
_LEAST_RECALL = 0.9  # below it a reader must know that what was fast was not right


class ExactAnswers:
    """The nearest of all records so far to some queries, kept up to date as records come.

    So no vector needs to be kept, nor made again, for the answers to be known at any volume.

    Args:
        queries: Records to search for, all with vectors.
    """

    def __init__(self, queries: Sequence[Record]) -> None:
        self._queries = _vectors(queries)
        self._places: Int64Array = np.empty((len(queries), 0), np.int64)
        self._cosines = np.empty((len(queries), 0), np.float32)

    def see(self, records: Sequence[Record]) -> None:
        """Take records into account, at least one; all with numbers that are new."""
        here = exact_neighbours(_vectors(records), self._queries, _NEAR)
        numbers = np.array([record.step for record in records])
        places = np.concatenate([self._places, numbers[here.places]], axis=1)
        cosines = np.concatenate([self._cosines, here.cosines], axis=1)
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :_NEAR]
        self._places = np.take_along_axis(places, best, axis=1)
        self._cosines = np.take_along_axis(cosines, best, axis=1)

    def nearest(self, query: int) -> list[int]:
        """Return the numbers of the records nearest to a query, best first, at most a hundred."""
        numbers: list[int] = self._places[query].tolist()
        return numbers


class GrowingMemory:
    """One agent's records in one target, up to some volume, and what operations take there.

    Args:
        bench: The run.
        target: Open and empty.
        stores: Stores to measure at each volume, >= 1; they are the last ones before it.
        lookups: Reads, and searches, to measure at each volume, >= 1.
    """

    def __init__(self, bench: Bench, target: MemoryTarget, stores: int, lookups: int) -> None:
        self._bench, self._target = bench, target
        self._stores, self._lookups = stores, lookups
        self._can = target.info().capabilities
        takes_vectors = Capability.VECTORS_IN in self._can
        self._corpus = Corpus(AGENT, bench.seed, takes_vectors)
        self._queries = self._corpus.queries(min(lookups, _JUDGED_QUERIES))
        self._exact = ExactAnswers(self._queries) if takes_vectors else None
        self._recalls: dict[int, float] = {}
        self._held = 0
        self._server = server_probe(target)
        self._empty_bytes = quiet_rss_bytes()

    def grow(self, volume: int) -> dict[str, Any]:
        """Store all records up to a volume but those whose stores are to be measured; move some.

        Returns:
            What that took.
        """
        began = time.perf_counter()
        count = max(0, volume - self._held - self._stores)
        self._bench.fill(self._target, self._next_records(count))
        filled = time.perf_counter()
        moved = self._move(volume)
        moved_at = time.perf_counter()
        self._target.maintain()
        return {
            "filled_count": count,
            "fill_seconds": filled - began,
            "moved_total": moved,
            "transition_seconds": moved_at - filled,
            "maintain_seconds": time.perf_counter() - moved_at,
        }

    def figures(self, volume: int) -> dict[str, Any]:
        """Store the last records up to a volume, read and search, and return the seeds' figures.

        Args:
            volume: Records held when this returns; at least one more than before.
        """
        stored = self._measure_stores(volume - self._held)
        read = self._measure_reads()
        tiers = ["", *self._target.info().tiers]
        self._recalls = {}
        searched = {tier: self._measure_searches(tier) for tier in tiers}
        apart = [searched[tier] for tier in tiers[1:]] or [searched[""]]
        rss = quiet_rss_bytes()
        summaries = {
            "create_memory": stored.summary(),
            "retrieve_memory": read.summary(),
            "search_memory": searched[""].summary(),
        }
        return {
            "store_latency_ms": _milliseconds(stored),
            "retrieve_latency_ms": _milliseconds(read),
            "search_latency_ms": _milliseconds(searched[""]),
            "cross_tier_latency_ms": _sum_of_means(apart),
            "memory_usage_bytes": rss,
            "rss_bytes_per_record": (rss - self._empty_bytes) / self._held,
            **self._server_figures(),
            **self._recall_figures(),
            **self._count_figures(),
            "operations": summaries,
            "searches_by_tier": {tier: m.summary() for tier, m in searched.items() if tier},
        }

    def work(self, volumes: Sequence[int]) -> int:
        """Return how many operations it takes to measure at all these volumes, ascending."""
        searches = 1 + len(self._target.info().tiers)
        return volumes[-1] + len(volumes) * self._lookups * (1 + searches)

    def _next_records(self, count: int) -> Iterator[Record]:
        first, self._held = self._held, self._held + count
        for part in self._corpus.parts(first, self._held):
            if self._exact is not None:
                self._exact.see(part)
            yield from part

    def _move(self, volume: int) -> int:
        if Capability.TRANSITION not in self._can:
            return 0
        return sum(
            self._target.transition(source, destination, fraction=fraction)
            for source, destination, fraction, least in _TRANSITIONS
            if volume >= least
        )

    def _measure_stores(self, count: int) -> Measurement:
        records = list(self._next_records(count))
        readable = {Capability.RETRIEVE, Capability.READ_YOUR_WRITES} <= self._can

        def check(number: int, record_id: object) -> Outcome:
            if not record_id:
                return Outcome.EMPTY
            sent = records[number]
            found = self._target.retrieve(AGENT, sent.record_id) if readable else sent
            return Outcome.OK if found is not None and is_kept(sent, found) else Outcome.WRONG

        operation = Operation(
            "create_memory", lambda number: self._target.store(records[number]), check
        )
        return self._bench.closed_loop([repeat(operation, count)])

    def _measure_reads(self) -> Measurement:
        random = np.random.default_rng([self._bench.seed, self._held])
        sent = self._corpus.pick(random.integers(self._held, size=self._lookups).tolist())

        def check(number: int, found: Record | None) -> Outcome:
            if found is None:
                return Outcome.EMPTY
            return Outcome.OK if is_kept(sent[number], found) else Outcome.WRONG

        operation = Operation(
            "retrieve_memory",
            lambda number: self._target.retrieve(AGENT, sent[number].record_id),
            check,
        )
        return self._bench.closed_loop([repeat(operation, self._lookups)])

    def _measure_searches(self, tier: str) -> Measurement:
        queries = self._queries

        def search(number: int) -> list[Hit]:
            query = queries[number % len(queries)]
            return self._target.search(
                AGENT, query.state, K, vector=query.vector, tier=tier or None
            )

        def check(number: int, hits: list[Hit]) -> Outcome:
            return self._judge(number % len(queries), hits)

        # What one tier holds is for the target to say: only the search of all is judged.
        operation = Operation("search_memory", search, None if tier else check, tier)
        return self._bench.closed_loop([repeat(operation, self._lookups)])

    def _judge(self, query: int, hits: Sequence[Hit]) -> Outcome:
        if not hits:
            self._recalls[query] = 0.0
            return Outcome.EMPTY
        numbers = {number_of(hit.record_id) for hit in hits}
        known = all(number is not None and number < self._held for number in numbers)
        if not known or len(numbers) < len(hits) or len(hits) > K:
            self._recalls[query] = 0.0
            return Outcome.WRONG
        if self._exact is None:
            return Outcome.OK
        nearest = self._exact.nearest(query)
        self._recalls[query] = len(numbers.intersection(nearest[:K])) / len(nearest[:K])
        # Of few records a hundred are no small part: then it is to be among the nearer half.
        near = nearest[: max(K, min(_NEAR, self._held // 2))]
        return Outcome.OK if numbers.intersection(near) else Outcome.WRONG

    def _recall_figures(self) -> dict[str, float]:
        if self._exact is None:
            return {}
        recall = float(np.mean(list(self._recalls.values()) or [0.0]))
        if recall < _LEAST_RECALL:
            self._bench.warn(
                f"at {self._held:,} records a search finds {recall:.0%} of the {K} nearest"
            )
        return {"recall_at_10_ratio": recall}

    def _count_figures(self) -> dict[str, Any]:
        if Capability.COUNT not in self._can:
            return {}
        counted = self._target.count(AGENT)
        if counted != self._held:
            self._bench.warn(
                f"the target counts {counted:,} records where {self._held:,} were stored"
            )
        tiers = self._target.info().tiers
        return {
            "counted": counted,
            "counted_by_tier": {tier: self._target.count(AGENT, tier) for tier in tiers},
        }

    def _server_figures(self) -> dict[str, int]:
        sample = self._server and self._server()
        return {"server_rss_bytes": sample.rss_bytes} if sample else {}


def _vectors(records: Sequence[Record]) -> Any:
    return np.stack([record.vector for record in records if record.vector is not None])


def _milliseconds(measured: Measurement) -> dict[str, float | None]:
    """Return the seeds' three figures of the service time; None where nothing succeeded."""
    times = measured.aggregate.total().service_time
    if not times.count:
        return {"avg": None, "min": None, "max": None}
    seconds = {"avg": times.mean_seconds, "min": times.min_seconds, "max": times.max_seconds}
    return {name: 1e3 * value for name, value in seconds.items()}


def _sum_of_means(searches: Sequence[Measurement]) -> float | None:
    means = [_milliseconds(measured)["avg"] for measured in searches]
    return sum(mean for mean in means if mean is not None) if None not in means else None
