"""Records whose nearest neighbours are known, and what is to be made of a target's answers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from agentmem_observe.analysis.neighbours import (
    Neighbours,
    exact_neighbours,
    found_neighbours,
    similarity_gain,
)
from agentmem_observe.bench.context import AGENT, Bench
from agentmem_observe.model import Hit, Int64Array, Outcome, Record, Vector
from agentmem_observe.targets.base import Capability, MemoryTarget, Query
from agentmem_observe.workload.clusters import generate_clusters

_LEAST_GAIN = 0.5  # nearer to a random answer than to the exact one is wrong, not approximate
_UNKNOWN = -1  # the place of a hit that was never stored


class Collection(Protocol):
    """Records of one agent, and queries whose answers can be judged."""

    @property
    def record_count(self) -> int:
        """How many records there are, >= 1."""
        ...

    @property
    def query_count(self) -> int:
        """How many different queries there are, >= 1."""
        ...

    def records(self, tiers: Sequence[str]) -> Iterator[Record]:
        """Yield the records in order of their places, equal parts for each tier in turn.

        The tier "" leaves it to the target.
        """
        ...

    def query(self, number: int) -> tuple[Query, Vector | None]:
        """Return the text or state, or else the vector, of the number-th query."""
        ...

    def scope(self, tier: str, depth: int, members: Int64Array | None = None) -> "Scope":
        """Return what a search of a tier can find, and the exact answers if they are known.

        Args:
            tier: The tier, or "" for all.
            depth: Neighbours per query, >= 1.
            members: Positions of the records that are in it; None for all.
        """
        ...

    def judge(self, number: int, hits: Sequence[Hit], k: int, scope: "Scope") -> Outcome:
        """Judge an answer to the number-th query.

        ``EMPTY`` is an answer without hits. ``WRONG`` is one with records that were never stored,
        or not there where was searched, or twice, or more than ``k``; and one that is wrong by
        what the kind of collection knows.
        """
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search can find.

    Attributes:
        tier: The tier that is searched, "" for all.
        members: Positions of the records in it; None for all records.
        neighbours: The exact answers among them; None if they are not known.
    """

    tier: str
    members: Int64Array | None = None
    neighbours: Neighbours | None = None


class ClusteredCollection:
    """Vectors in labelled clusters, for targets that take vectors.

    An answer is also wrong if its true similarity is nearer to that of random records than to that
    of the nearest: no approximate index does that. What an approximate index misses is no error;
    it shows in the recall.

    Args:
        count: Records, >= 1.
        query_count: Queries, >= 1.
        dimensions: Of the vectors, >= 8.
        per_cluster: Records of a cluster, >= 1.
        seed: The same seed gives the same collection.
    """

    def __init__(
        self, count: int, query_count: int, dimensions: int, *, per_cluster: int, seed: int
    ) -> None:
        self.clusters = generate_clusters(
            count, query_count, dimensions, per_cluster=per_cluster, seed=seed
        )
        self.record_count = count
        self.query_count = query_count
        members_of: dict[int, set[int]] = defaultdict(set)
        for place, label in enumerate(self.clusters.labels.tolist()):
            members_of[label].add(place)
        self._by_cluster = members_of

    def records(self, tiers: Sequence[str]) -> Iterator[Record]:
        """Yield the records, each with a small state."""
        for place, vector in enumerate(self.clusters.vectors):
            yield Record(
                AGENT,
                _record_id(place),
                state={"cluster": int(self.clusters.labels[place]), "place": place},
                vector=vector,
                step=place,
                tier=tiers[place * len(tiers) // self.record_count] or None,
            )

    def query(self, number: int) -> tuple[Query, Vector | None]:
        """Return no text, and the number-th query vector."""
        return None, self.clusters.queries[number]

    def scope(self, tier: str, depth: int, members: Int64Array | None = None) -> Scope:
        """Return a scope with its exact answers, found by comparing everything in float32."""
        vectors = self.clusters.vectors if members is None else self.clusters.vectors[members]
        found = exact_neighbours(vectors, self.clusters.queries, depth)
        if members is not None:
            found = Neighbours(members[found.places], found.cosines, found.mean_cosines)
        return Scope(tier, members, found)

    def relevant(self, number: int) -> Set[int]:
        """Return the positions of all records of the cluster that a query was made for."""
        return self._by_cluster[int(self.clusters.query_labels[number])]

    def near(self, number: int, places: Sequence[int], least_cosine: float) -> Set[int]:
        """Return those known records whose true cosine with a query is large enough."""
        cosines = self._cosines(number, places)
        return {place for place, cosine in cosines.items() if cosine >= least_cosine}

    def judge(self, number: int, hits: Sequence[Hit], k: int, scope: Scope) -> Outcome:
        """Judge an answer by its true similarity to the query."""
        places = places_of(hits, self.record_count)
        if outcome := _judge_form(hits, places, k, scope):
            return outcome
        if scope.neighbours is None:
            return Outcome.OK
        exact = scope.neighbours.cosines[number].tolist()
        mean = float(scope.neighbours.mean_cosines[number])
        gain = similarity_gain([*self._cosines(number, places).values()], exact, mean)
        return Outcome.OK if gain is None or gain >= _LEAST_GAIN else Outcome.WRONG

    def recall(self, number: int, places: Sequence[int], k: int, scope: Scope) -> float:
        """Return which share of the k nearest records in the scope an answer has."""
        assert scope.neighbours is not None
        exact = scope.neighbours.cosines[number, :k].tolist()
        cosines = [*self._cosines(number, places).values()]
        return found_neighbours(cosines, exact) / len(exact)

    def _cosines(self, number: int, places: Sequence[int]) -> dict[int, float]:
        """Return the true cosine with a query by record, what was never stored left out."""
        known = [place for place in dict.fromkeys(places) if place != _UNKNOWN]
        cosines = self.clusters.vectors[known] @ self.clusters.queries[number]
        return dict(zip(known, cosines.tolist(), strict=True))


class StatedCollection:
    """States, for targets that make their own vectors: nothing but self-recall is known.

    An answer is also wrong if the record whose state is the query is not in it.

    Args:
        bench: Makes the records.
        count: Records, >= 1.
        query_count: Queries, >= 1; no more than the records are used.
    """

    def __init__(self, bench: Bench, count: int, query_count: int) -> None:
        self._records = list(bench.generate(count))
        self.record_count = count
        self.query_count = min(query_count, count)
        random = np.random.default_rng(bench.seed)
        self._asked = random.choice(count, size=self.query_count, replace=False).tolist()

    def records(self, tiers: Sequence[str]) -> Iterator[Record]:
        """Yield the records."""
        for place, record in enumerate(self._records):
            tier = tiers[place * len(tiers) // self.record_count] or None
            yield Record(AGENT, _record_id(place), state=record.state, step=place, tier=tier)

    def query(self, number: int) -> tuple[Query, Vector | None]:
        """Return the state of a stored record, and no vector."""
        return self._records[self._asked[number]].state, None

    def scope(self, tier: str, depth: int, members: Int64Array | None = None) -> Scope:
        """Return a scope without exact answers: how the target makes its vectors is unknown."""
        return Scope(tier, members)

    def judge(self, number: int, hits: Sequence[Hit], k: int, scope: Scope) -> Outcome:
        """Judge an answer by whether the record that was asked for is in it."""
        places = places_of(hits, self.record_count)
        if outcome := _judge_form(hits, places, k, scope):
            return outcome
        asked = self._asked[number]
        is_there = scope.members is None or asked in scope.members
        return Outcome.WRONG if is_there and asked not in places else Outcome.OK


def places_of(hits: Sequence[Hit], count: int) -> list[int]:
    """Return the positions of an answer's records, -1 for one that was never stored."""
    return [_place(hit, count) for hit in hits]


def members(target: MemoryTarget, tier: str, count: int) -> Int64Array | None:
    """Return which of a collection's records are in a tier now.

    Args:
        target: Holds the collection and nothing else.
        tier: The tier, or "" for all.
        count: Records of the collection.

    Returns:
        Their positions, ascending; None if all are there, or the target cannot tell.
    """
    capabilities = target.info().capabilities
    if not tier or Capability.RETRIEVE not in capabilities:
        return None
    if Capability.COUNT in capabilities and target.count(AGENT, tier) == count:
        return None
    found = (target.retrieve(AGENT, _record_id(place)) for place in range(count))
    there = [place for place, record in enumerate(found) if record and record.tier == tier]
    return np.array(there, np.int64)


def _record_id(place: int) -> str:
    return f"record_{place}"


def _place(hit: Hit, count: int) -> int:
    name, _, digits = hit.record_id.rpartition("_")
    known = name == "record" and digits.isdecimal() and hit.agent_id == AGENT
    return int(digits) if known and int(digits) < count else _UNKNOWN


def _judge_form(hits: Sequence[Hit], places: list[int], k: int, scope: Scope) -> Outcome:
    """Judge what can be said of an answer without knowing what is near."""
    if not hits:
        return Outcome.EMPTY
    strange = _UNKNOWN in places or len(set(places)) < len(places) or len(places) > k
    if scope.members is not None:
        strange = strange or not np.isin(places, scope.members).all()
    elsewhere = scope.tier and any(hit.tier != scope.tier for hit in hits)
    return Outcome.WRONG if strange or elsewhere else Outcome.OK
