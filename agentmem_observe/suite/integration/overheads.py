"""Two ways of doing the same, in turn: what the one takes longer than the other."""

import gc
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentmem_observe.analysis.samples import fewest_samples_for
from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.measurement import QUANTILES, Measurement
from agentmem_observe.bench.verification import is_kept
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.model import Hit, ObservationBatch, Outcome, Record
from agentmem_observe.suite.integration.raw.path import RawPath, RawPathMaker
from agentmem_observe.targets.base import MemoryTarget
from agentmem_observe.workload.driver import Load, Sink, closed_loop
from agentmem_observe.workload.operations import Operation, Script

_RAW = "raw_"
_TURNS = (0, 1, 1, 0)  # each goes first as often as the other: what drifts cancels out


_K = 10  # hits of a search
_PER_AGENT = 100  # no agent outgrows a tier, and both search through as many


def compared(bench: Bench, make: RawPathMaker, tier: str, count: int) -> dict[str, Any]:
    """Compare a raw path with the run's target on fresh records.

    Args:
        bench: Builds, generates and measures.
        make: Makes the raw path.
        tier: Where to store the records, "" for where the target puts them.
        count: Records, >= 1: each is stored, read and searched for once either way.
    """
    records = list(bench.generate(count, 1, tier, per_agent=_PER_AGENT))
    with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
        raw = make(replace(bench.spec, directory=Path(directory)), records, _K)
        with closing(raw), bench.target() as target:
            gc.collect()
            gc.freeze()  # what is stored must not make the target's collections longer
            figures = Overheads(bench, raw, target, records, _K).figures()
    return {"raw_path": raw.description, **figures}


class Overheads:
    """Compares a raw path with an adapter, operation by operation on the same records.

    Args:
        bench: Measures.
        raw: Holds nothing yet.
        target: Open, holds nothing of these records' agents yet.
        records: What both store, each with a vector.
        k: Hits of a search, >= 1.
    """

    def __init__(
        self, bench: Bench, raw: RawPath, target: MemoryTarget, records: Sequence[Record], k: int
    ) -> None:
        self._bench = bench
        self._raw = raw
        self._target = target
        self._records = records
        self._k = k
        self._best: dict[str, list[str]] = {"raw": [], "adapter": []}

    def figures(self) -> dict[str, Any]:
        """Store, read back and search every record both ways, and return what each takes.

        ``same_best_ratio`` is the share of searches in which both find the same record first.
        """
        figures: dict[str, Any] = {
            "create_memory": self._compare(
                "create_memory", self._raw.store, self._store, self._check_id
            ),
            "retrieve_memory": self._compare(
                "retrieve_memory", self._raw.retrieve, self._retrieve, self._check_record
            ),
            "search_memory": self._compare(
                "search_memory", self._raw.search, self._search, self._check_hits
            ),
        }
        pairs = list(zip(self._best["raw"], self._best["adapter"], strict=False))
        same = sum(raw == adapter for raw, adapter in pairs)
        return figures | {"same_best_ratio": same / len(pairs) if pairs else None}

    def _compare(
        self,
        name: str,
        raw: Callable[[int], Any],
        adapter: Callable[[int], Any],
        check: Callable[[int, Any], Outcome],
    ) -> dict[str, Any]:
        tier = self._records[0].tier or ""

        def check_raw(number: int, found: Any) -> Outcome:
            if name == "search_memory" and found:
                self._best["raw"].append(found[0])
            return Outcome.OK if found else Outcome.EMPTY

        operations = (
            Operation(_RAW + name, lambda number: raw(number // 2), check_raw, tier),
            Operation(
                name,
                lambda number: adapter(number // 2),
                lambda number, found: check(number // 2, found),
                tier,
            ),
        )
        turns = bytes(_TURNS[number % 4] for number in range(2 * len(self._records)))
        return overhead(
            self._bench.measure(_in_turn(self._bench, Script(operations, turns))), name
        )

    def _store(self, place: int) -> str:
        return self._target.store(self._records[place])

    def _check_id(self, place: int, record_id: str) -> Outcome:
        return Outcome.OK if record_id == self._records[place].record_id else Outcome.WRONG

    def _retrieve(self, place: int) -> Record | None:
        record = self._records[place]
        return self._target.retrieve(record.agent_id, record.record_id)

    def _check_record(self, place: int, found: Record | None) -> Outcome:
        if found is None:
            return Outcome.EMPTY
        return Outcome.OK if is_kept(self._records[place], found) else Outcome.WRONG

    def _search(self, place: int) -> list[Hit]:
        record = self._records[place]
        return self._target.search(
            record.agent_id, None, self._k, vector=record.vector, tier=record.tier
        )

    def _check_hits(self, place: int, hits: list[Hit]) -> Outcome:
        if not hits:
            return Outcome.EMPTY
        self._best["adapter"].append(hits[0].record_id)
        own = self._records[place].agent_id
        return Outcome.OK if all(hit.agent_id == own for hit in hits) else Outcome.WRONG


def overhead(measured: Measurement, name: str) -> dict[str, Any]:
    """Return what an adapter's operation takes beside the raw one, at each quantile that is known.

    Args:
        measured: Of a loop with the operations ``name`` and ``raw_<name>``.
        name: Of the adapter's operation.
    """
    raw = measured.aggregate.total(_RAW + name).service_time
    adapter = measured.aggregate.total(name).service_time
    figures: dict[str, Any] = {"raw_count": raw.count, "adapter_count": adapter.count}
    for label, quantile in QUANTILES.items():
        if min(raw.count, adapter.count) >= fewest_samples_for(quantile):
            figures |= _at(label, raw, adapter, 100 * quantile)
    return figures | {"outcomes": measured.aggregate.outcomes(name)}


def _at(label: str, raw: Histogram, adapter: Histogram, q: float) -> dict[str, float]:
    one, other = raw.percentile(q), adapter.percentile(q)
    figures = {
        f"raw_service_time_{label}_seconds": one,
        f"adapter_service_time_{label}_seconds": other,
        f"overhead_{label}_seconds": other - one,
    }
    return figures | ({f"overhead_{label}_ratio": other / one} if one > 0 else {})


def _in_turn(bench: Bench, script: Script) -> Callable[[Sink], Load]:
    def run(sink: Sink) -> Load:
        inside_ns = 0

        def count(batch: ObservationBatch) -> None:
            nonlocal inside_ns
            inside_ns += int((batch.finished - batch.started).sum())
            sink(batch)

        load = closed_loop([script], count, bench.driver)
        # Nobody asks for the throughput of taking turns: the loop's own time must not be judged.
        return replace(load, active_seconds=inside_ns * 1e-9)

    return run
