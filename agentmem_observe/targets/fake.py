"""A scripted memory: truthful and instant until told to be slow, to freeze, to fail or to lie."""

import builtins
import itertools
import math
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np

from agentmem_observe import __version__
from agentmem_observe.clock import SYSTEM_CLOCK, Clock
from agentmem_observe.errors import TargetError
from agentmem_observe.model import TIERS, Hit, Record, Vector
from agentmem_observe.targets.arguments import check_transition, known_tier
from agentmem_observe.targets.base import Capability, MemoryTarget, Query, TargetInfo
from agentmem_observe.targets.cosine import best_first, cosine_scores
from agentmem_observe.targets.registry import TargetSpec

Seconds: TypeAlias = float | tuple[float, ...]
"""A constant, or a sequence that is repeated."""

_CAPABILITIES = frozenset(Capability) - {
    Capability.TTL,
    Capability.PERSISTENT,
    Capability.NATIVE_ASYNC,
    Capability.MULTI_PROCESS,
    Capability.LLM_REQUIRED,
}


@dataclass(frozen=True, slots=True)
class Freeze:
    """Windows in which the whole system stands still, as in a pause for garbage collection.

    Attributes:
        every_seconds: From the start of one window to the start of the next, > ``for_seconds``.
        for_seconds: Length of a window, > 0.
        first_seconds: Start of the first window after ``open``; None means half of
            ``every_seconds``, so that whole periods are cut at neither end.
    """

    every_seconds: float
    for_seconds: float
    first_seconds: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.for_seconds < self.every_seconds < math.inf:
            raise ValueError("a freeze needs 0 < for_seconds < every_seconds")
        if self.first_seconds is not None and not 0 <= self.first_seconds < math.inf:
            raise ValueError("a freeze needs first_seconds >= 0")

    def finish_ns(self, start_ns: int, work_ns: int) -> int:
        """Return when work ends that makes no progress inside the windows. Exact.

        Args:
            start_ns: Begin of the work in nanoseconds after ``open``, >= 0.
            work_ns: How long it takes when nothing is frozen, in nanoseconds, >= 0.

        Examples:
            >>> freeze = Freeze(every_seconds=10, for_seconds=1, first_seconds=5)
            >>> freeze.finish_ns(0, 4_000_000_000)
            4000000000
            >>> freeze.finish_ns(4_999_000_000, 2_000_000)
            6001000000
        """
        every, frozen = _nanoseconds(self.every_seconds), _nanoseconds(self.for_seconds)
        first = self.first_seconds
        first_ns = every // 2 if first is None else _nanoseconds(first)
        until_first = first_ns - start_ns
        if until_first > 0:
            if work_ns <= until_first:
                return start_ns + work_ns
            work_ns -= until_first
            start_ns = first_ns
        # From here on time is a row of periods, each a window and then running time.
        period, offset = divmod(start_ns - first_ns, every)
        worked = max(0, offset - frozen)  # running time of this period already behind us
        full, rest = divmod(worked + work_ns, every - frozen)
        if rest == 0 and full and work_ns:
            full, rest = full - 1, every - frozen  # done as the window begins, not after it
        return first_ns + (period + full) * every + frozen + rest


@dataclass(frozen=True, slots=True)
class FakeScript:
    """How a `FakeTarget` departs from being truthful and instant; the defaults do not.

    ``..._one_in=N`` means every N-th call of that kind, 0 means never. ``..._at=N`` means the
    N-th operation of all, counted from 1; 0 means never.

    Attributes:
        service_seconds: Time that each operation takes, >= 0.
        store_seconds: The same for ``store`` alone; None means ``service_seconds``.
        retrieve_seconds: The same for ``retrieve``.
        search_seconds: The same for ``search``.
        service_sigma: Spread of log-normal service times around these medians, >= 0.
        serial_ratio: Share of the service time under one lock, from 0 to 1; at 1 the target
            serves one operation at a time.
        freeze: When everything stands still; None means never.
        error_one_in: Operations that raise.
        error_ratio: Share of operations that raise, at random, from 0 to 1.
        error: What they raise.
        fails_fast: Whether a failing operation skips its service time.
        returns_nothing_one_in: Retrievals that answer None, searches that answer [].
        returns_wrong_one_in: Retrievals that answer with somebody else's record.
        wrong_neighbours_one_in: Searches that answer with the farthest records as the nearest.
        loses_one_in: Stores that are acknowledged and not kept.
        count_lies: Whether ``count`` includes the lost records.
        transition_loses_one_in: Moved records that do not arrive.
        transition_duplicates_one_in: Moved records that also stay where they were.
        leaks_one_in: Operations that leave an object behind for ever.
        leak_bytes: Size of each such object without its header, >= 2.
        hangs_at: From this operation on none answers until the target is closed.
        dies_at: At this operation the process kills itself with SIGKILL.
        lacks: Capabilities that the target says it does not have.
        seed: Of everything random.
    """

    service_seconds: Seconds = 0.0
    store_seconds: Seconds | None = None
    retrieve_seconds: Seconds | None = None
    search_seconds: Seconds | None = None
    service_sigma: float = 0.0
    serial_ratio: float = 0.0
    freeze: Freeze | None = None
    error_one_in: int = 0
    error_ratio: float = 0.0
    error: type[Exception] = TargetError
    fails_fast: bool = False
    returns_nothing_one_in: int = 0
    returns_wrong_one_in: int = 0
    wrong_neighbours_one_in: int = 0
    loses_one_in: int = 0
    count_lies: bool = False
    transition_loses_one_in: int = 0
    transition_duplicates_one_in: int = 0
    leaks_one_in: int = 0
    leak_bytes: int = 64
    hangs_at: int = 0
    dies_at: int = 0
    lacks: tuple[Capability, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name.endswith("_seconds") and value is not None:
                seconds = value if isinstance(value, tuple) else (value,)
                if not seconds or not all(0 <= s < math.inf for s in seconds):
                    raise ValueError(f"{f.name} must be >= 0, not {value!r}")
            if f.name.endswith(("_one_in", "_at")) and value < 0:
                raise ValueError(f"{f.name} must be >= 0, not {value!r}")
            if f.name.endswith("_ratio") and not 0 <= value <= 1:
                raise ValueError(f"{f.name} must be from 0 to 1, not {value!r}")
        if not 0 <= self.service_sigma < math.inf:
            raise ValueError(f"service_sigma must be >= 0, not {self.service_sigma!r}")
        if self.leak_bytes < 2:  # shorter byte strings are shared, not allocated
            raise ValueError(f"leak_bytes must be >= 2, not {self.leak_bytes!r}")
        if not _CAPABILITIES.issuperset(self.lacks):
            raise ValueError(f"lacks must be of {', '.join(sorted(_CAPABILITIES))}")


class FakeTarget(MemoryTarget):
    """An in-memory target with three tiers whose every departure from the truth is scripted.

    Thread-safe. It forgets its records when closed.

    Attributes:
        script: What it was told to do.

    Examples:
        >>> target = FakeTarget(FakeScript(loses_one_in=2))
        >>> target.open()
        >>> [target.store(Record("a", record_id)) for record_id in ("one", "two")]
        ['one', 'two']
        >>> target.retrieve("a", "two") is None, target.count()
        (True, 1)
    """

    def __init__(self, script: FakeScript | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.script = script or FakeScript()
        self._clock = clock
        self._plain = self.script == FakeScript()
        self._lacks = set(self.script.lacks)
        if Capability.TIERS in self._lacks:
            self._lacks.add(Capability.TRANSITION)
        self._tiers = () if Capability.TIERS in self._lacks else TIERS
        self._agents: dict[str, dict[str, dict[str, Record]]] = {}
        self._lost: Counter[tuple[str, str]] = Counter()
        self._leaked: list[bytes] = []
        names = [f.name for f in fields(FakeScript) if f.name.endswith("_one_in")]
        self._one_in = {n: v for n in names if (v := getattr(self.script, n))}
        self._calls = {name: itertools.count(1) for name in names}
        self._numbers = itertools.count(1)
        self._random = random.Random(self.script.seed)
        self._times = {name: self._cycle(name) for name in ("store", "retrieve", "search")}
        self._other_times = self._cycle("service")
        self._timed = self._script_takes_time()
        self._lock = threading.Lock()
        self._serial = threading.Lock()
        self._closed = threading.Event()
        self._origin_ns = clock.now_ns()

    @property
    def leaked_objects(self) -> int:
        """How many objects it has leaked since it was built: the truth for a leak detector."""
        return len(self._leaked)

    def info(self) -> TargetInfo:
        """Describe the fake; its notes are the script's departures from the defaults."""
        default = FakeScript()
        departures = {
            f.name: repr(getattr(self.script, f.name))
            for f in fields(FakeScript)
            if getattr(self.script, f.name) != getattr(default, f.name)
        }
        capabilities = _CAPABILITIES - self._lacks
        return TargetInfo("fake", __version__, capabilities, self._tiers, departures)

    def open(self) -> None:
        """Start the script's time: freezes are counted from here."""
        self._closed.clear()
        self._origin_ns = self._clock.now_ns()

    def close(self) -> None:
        """Forget all records and release what hangs; leaked objects stay leaked."""
        self._closed.set()
        with self._lock:
            self._agents.clear()
            self._lost.clear()

    def store(self, record: Record) -> str:
        """Keep the record as it is, in ``stm`` when it names no tier.

        Raises:
            ValueError: If the tier does not exist.
        """
        if not self._plain:
            self._serve("store")
        self._keep(record)
        return record.record_id

    def store_many(self, records: Sequence[Record]) -> list[str]:
        """Keep the records; one operation, but each can be lost."""
        self._need(Capability.STORE_MANY)
        self._serve("store_many")
        for record in records:
            self._keep(record)
        return [record.record_id for record in records]

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        """Return the record, unless the script says otherwise."""
        if not self._plain:
            self._need(Capability.RETRIEVE)
            self._serve("retrieve")
            if self._due("returns_nothing_one_in"):
                return None
            if self._due("returns_wrong_one_in"):
                return self._somebody_elses(agent_id, record_id)
        with self._lock:
            for held in self._agents.get(agent_id, {}).values():
                if (record := held.get(record_id)) is not None:
                    return record
        return None

    def search(
        self,
        agent_id: str,
        query: Query,
        k: int,
        *,
        vector: Vector | None = None,
        tier: str | None = None,
    ) -> list[Hit]:
        """Return the nearest records by cosine, or without ``vector`` by what they have in common.

        Without a vector a state scores the share of its items that the query has too, and a text
        scores 1 if it is the content; so a stored state or content finds itself first.
        """
        if tier is not None:
            self._need(Capability.TIERS)
        if vector is not None:
            self._need(Capability.VECTORS_IN)
        if not self._plain:
            self._need(Capability.SEARCH)
            self._serve("search")
            if self._due("returns_nothing_one_in"):
                return []
        with self._lock:
            tiers = self._agents.get(agent_id, {})
            found = [r for name in _chosen(tier) for r in tiers.get(name, {}).values()]
        if vector is None:
            scores = np.array([_likeness(query, record) for record in found], dtype=np.float32)
        else:
            found = [record for record in found if record.vector is not None]
            vectors = [record.vector for record in found if record.vector is not None]
            scores = cosine_scores(vectors, vector) if vectors else np.zeros(0, np.float32)
        best = best_first(scores, k)
        shown = best
        if self._due("wrong_neighbours_one_in"):
            shown = best_first(-scores, k)
        return [
            Hit(found[i].record_id, float(scores[j]), agent_id, found[i].tier)
            for i, j in zip(shown, best, strict=True)
        ]

    def delete(self, agent_id: str, record_id: str) -> bool:
        """Forget one record; return whether it was there."""
        self._need(Capability.DELETE)
        self._serve("delete")
        with self._lock:
            held = [h for h in self._agents.get(agent_id, {}).values() if record_id in h]
            for records in held:
                del records[record_id]
        return bool(held)

    def transition(
        self,
        source: str,
        destination: str,
        *,
        agent_id: str | None = None,
        fraction: float | None = None,
        record_ids: Sequence[str] | None = None,
    ) -> int:
        """Move records to an older tier; return how many it says have moved.

        Raises:
            ValueError: If the destination is not older than the source, or the choice of records
                is not exactly one of ``fraction`` in (0, 1] and ``record_ids`` of one agent.
        """
        self._need(Capability.TRANSITION)
        check_transition(
            source, destination, agent_id=agent_id, fraction=fraction, record_ids=record_ids
        )
        self._serve("transition")
        with self._lock:
            agents = [agent_id] if agent_id is not None else list(self._agents)
            held = [r for a in agents for r in self._agents.get(a, {}).get(source, {}).values()]
            if fraction is not None:
                held.sort(key=lambda record: (record.importance, record.step))
                moving = held[: round(fraction * len(held))]
            else:
                wanted = set(record_ids or ())
                moving = [record for record in held if record.record_id in wanted]
            for record in moving:
                self._move(record, source, destination)
        return len(moving)

    def count(self, agent_id: str | None = None, tier: str | None = None) -> int:
        """Return how many records it keeps, or how many it acknowledged if ``count_lies``."""
        self._need(Capability.COUNT)
        if tier is not None:
            self._need(Capability.TIERS)
        self._serve("count")
        with self._lock:
            agents = [agent_id] if agent_id is not None else list(self._agents)
            kept = sum(
                len(self._agents.get(a, {}).get(t, {})) for a in agents for t in _chosen(tier)
            )
            lost = sum(self._lost[a, t] for a in agents for t in _chosen(tier))
        return kept + lost if self.script.count_lies else kept

    def stats(self) -> dict[str, float]:
        """Return how many objects were leaked."""
        return {"leaked_objects_total": float(self.leaked_objects)}

    def _need(self, capability: Capability) -> None:
        if capability in self._lacks:
            self._unsupported(capability)

    def _keep(self, record: Record) -> None:
        tier = known_tier(record.tier) or TIERS[0]
        if self._lacks:
            if record.tier is not None:
                self._need(Capability.TIERS)
            if record.vector is not None:
                self._need(Capability.VECTORS_IN)
        if record.tier is None and self._tiers:
            record = _placed(record, tier)
        with self._lock:
            if self._one_in and self._due("loses_one_in"):
                self._lost[record.agent_id, tier] += 1
                return
            tiers = self._agents.get(record.agent_id)
            if tiers is None:
                tiers = self._agents[record.agent_id] = {name: {} for name in TIERS}
            for held in tiers.values():
                if record.record_id in held:
                    del held[record.record_id]
            tiers[tier][record.record_id] = record

    def _move(self, record: Record, source: str, destination: str) -> None:
        tiers = self._agents[record.agent_id]
        if not self._due("transition_duplicates_one_in"):
            del tiers[source][record.record_id]
        if not self._due("transition_loses_one_in"):
            tiers[destination][record.record_id] = _placed(record, destination)

    def _somebody_elses(self, agent_id: str, record_id: str) -> Record:
        with self._lock:
            for other, tiers in self._agents.items():
                for held in tiers.values():
                    for record in held.values():
                        if other != agent_id or record.record_id != record_id:
                            return record
        return Record(f"not {agent_id}", record_id, content="somebody else's")

    def _due(self, name: str) -> bool:
        one_in = self._one_in.get(name)
        return one_in is not None and next(self._calls[name]) % one_in == 0

    def _serve(self, operation: str) -> None:
        """Take the time, and meet the accidents, that the script has for one operation."""
        if self._plain:
            return
        script = self.script
        number = next(self._numbers)
        if number == script.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if 0 < script.hangs_at <= number:
            self._closed.wait()
            raise TargetError("the fake was closed while an operation hung, as scripted")
        fails = self._due("error_one_in")
        if script.error_ratio:
            fails = fails or self._random.random() < script.error_ratio
        if self._timed and not (fails and script.fails_fast):
            self._take_time(operation)
        if self._due("leaks_one_in"):
            self._leaked.append(b"\xff" * script.leak_bytes)
        if fails:
            raise script.error(f"operation {number} ({operation}) fails as scripted")

    def _script_takes_time(self) -> bool:
        script = self.script
        times = (
            script.service_seconds,
            script.store_seconds,
            script.retrieve_seconds,
            script.search_seconds,
        )
        return script.freeze is not None or any(times)

    def _cycle(self, name: str) -> "itertools.cycle[float]":
        seconds = getattr(self.script, f"{name}_seconds")
        seconds = self.script.service_seconds if seconds is None else seconds
        return itertools.cycle(seconds if isinstance(seconds, tuple) else (seconds,))

    def _take_time(self, operation: str) -> None:
        with self._lock:
            seconds = next(self._times.get(operation, self._other_times))
            if self.script.service_sigma:
                seconds *= math.exp(self._random.gauss(0.0, self.script.service_sigma))
        work_ns = _nanoseconds(seconds)
        serial_ns = round(work_ns * self.script.serial_ratio)
        if serial_ns:
            with self._serial:
                self._work(serial_ns)
        if serial_ns < work_ns or not work_ns:
            self._work(work_ns - serial_ns)

    def _work(self, work_ns: int) -> None:
        start_ns = self._clock.now_ns() - self._origin_ns
        freeze = self.script.freeze
        finish_ns = start_ns + work_ns if freeze is None else freeze.finish_ns(start_ns, work_ns)
        self._clock.sleep_until_ns(self._origin_ns + finish_ns)


def from_spec(spec: TargetSpec) -> FakeTarget:
    """Build a fake from ``fake?field=value&...``, fields as in `FakeScript`.

    A freeze is ``freeze_every_seconds``, ``freeze_for_seconds`` and ``freeze_first_seconds``;
    ``error`` is the name of a built-in exception.

    Raises:
        UsageError: If a field is unknown or its value is wrong, or if there is a location.
    """
    spec.refuse_location()
    freezing = {n: v for n, v in spec.options.items() if n.startswith("freeze_")}
    others = {n: v for n, v in spec.options.items() if n not in freezing}
    script = replace(spec, options=others).read_options(FakeScript, convert=_exception)
    if freezing:
        freeze = replace(spec, options=freezing).read_options(Freeze, prefix="freeze_")
        script = replace(script, freeze=freeze)
    return FakeTarget(script)


def _exception(_wanted: type, name: str) -> type[Exception]:
    found = getattr(builtins, name, None)
    if not (isinstance(found, type) and issubclass(found, Exception)):
        raise ValueError(f"no built-in exception {name!r}")
    return found


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _placed(record: Record, tier: str) -> Record:
    # By hand, because dataclasses.replace costs four times as much.
    return Record(
        record.agent_id,
        record.record_id,
        record.content,
        record.state,
        record.vector,
        record.importance,
        record.step,
        tier,
    )


def _chosen(tier: str | None) -> tuple[str, ...]:
    return TIERS if tier is None else (tier,)


def _likeness(query: Query, record: Record) -> float:
    if query is None:
        raise ValueError("nothing to search for; give a query or a vector")
    if isinstance(query, str):
        return float(query == record.content)
    state = record.state
    if state is None:
        return 0.0
    same = sum(name in state and bool(state[name] == value) for name, value in query.items())
    return same / max(len(query), len(state), 1)
