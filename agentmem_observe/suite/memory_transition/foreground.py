"""What other operations feel of a transition that runs beside them, and what it costs alone."""

import gc
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from agentmem_observe.analysis.samples import fewest_samples_for
from agentmem_observe.bench.context import AGENT, Bench
from agentmem_observe.bench.isolation import in_child
from agentmem_observe.bench.measurement import Measurement
from agentmem_observe.bench.verification import is_kept
from agentmem_observe.clock import SYSTEM_CLOCK
from agentmem_observe.measure.recorder import Aggregate, fold
from agentmem_observe.model import Hit, ObservationBatch, Outcome, Record
from agentmem_observe.suite.storage.footprint import quiet_rss_bytes
from agentmem_observe.targets.base import MemoryTarget
from agentmem_observe.workload.arrivals import Constant
from agentmem_observe.workload.driver import Load, Sink, open_loop
from agentmem_observe.workload.operations import Operation, Script, mixed

WORKERS = 4  # operations that can wait in the target at once, as of independent users
_DEPTH = 5  # hits among which a stored record must find itself
_COMPARED = ("latency_p50_seconds", "latency_p95_seconds", "latency_p99_seconds")


@dataclass(frozen=True, slots=True)
class Case:
    """A transition, and the load beside it.

    Attributes:
        records: What is in the source tier, and moves; at least one.
        source: The tier they are in.
        destination: The tier they move to.
        rate: Offered load in operations per second, > 0.
        seconds: How long it is offered, > 0.
    """

    records: Sequence[Record]
    source: str
    destination: str
    rate: float
    seconds: float

    def transition(self, target: MemoryTarget) -> "Run":
        """Move all records now; CPU time is that of the calling thread."""
        cpu_seconds, began_ns = -time.thread_time(), SYSTEM_CLOCK.now_ns()
        moved = target.transition(self.source, self.destination, fraction=1.0)
        ended_ns = SYSTEM_CLOCK.now_ns()
        return Run(moved, began_ns, ended_ns, cpu_seconds + time.thread_time())


@dataclass(frozen=True, slots=True)
class Run:
    """One transition as it went: records moved, begin and end on the clock, and CPU time."""

    moved: int
    began_ns: int
    ended_ns: int
    cpu_seconds: float

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        return (self.ended_ns - self.began_ns) * 1e-9

    def figures(self) -> dict[str, float]:
        """Return duration, CPU time and rate for a result."""
        return {
            "duration_seconds": self.seconds,
            "thread_cpu_seconds": self.cpu_seconds,
            "moved_count": self.moved,
            "moved_per_second": self.moved / self.seconds if self.seconds else 0.0,
        }


def overhead(bench: Bench, case: Case) -> dict[str, Any]:
    """Return a transition alone, a load alone, and both at once; each on a fresh target."""
    gc.collect()
    gc.freeze()  # what the load generator holds must not make the target's collections longer
    pair = f"{case.source} to {case.destination}"
    bench.phase(f"{pair} alone")
    alone = in_child(lambda: _alone(bench, case))
    bench.phase(f"load without {pair}")
    without, _ = _loaded(bench, case, moving=False)
    bench.phase(f"load during {pair}")
    during, run = _loaded(bench, case, moving=True)
    assert run is not None  # it was moving
    _warn(bench, case, run, during)
    figures = {"without": _figures(without), "during": _figures(during)}
    ratios = {
        f"{name.removesuffix('_seconds')}_ratio": figures["during"][name]
        / figures["without"][name]
        for name in _COMPARED
        if name in figures["during"] and figures["without"].get(name)
    }
    return {"alone": alone, "under_load": run.figures(), **figures, **ratios}


def _alone(bench: Bench, case: Case) -> dict[str, Any]:
    with bench.target() as target:
        bench.fill(target, case.records)
        target.maintain()
        rss, cpu_seconds = quiet_rss_bytes(), -time.process_time()
        run = case.transition(target)
        cpu_seconds += time.process_time()
        growth = quiet_rss_bytes() - rss
    return run.figures() | {"cpu_seconds": cpu_seconds, "rss_growth_bytes": growth}


def _loaded(bench: Bench, case: Case, *, moving: bool) -> tuple[Measurement, Run | None]:
    """Offer the load; return what was measured, of operations during the transition if any.

    A transition in this process may hold the interpreter, so that operations start late: the
    target's doing, not the load generator's. Whether that keeps up is judged from the load without
    a transition.
    """
    batches: list[ObservationBatch] = []
    arrivals = Constant(case.rate, case.seconds)
    with bench.target() as target, ThreadPoolExecutor(1) as mover:
        bench.fill(target, case.records)
        target.maintain()
        script = _script(target, case, bench.seed)

        def offer(sink: Sink) -> Load:
            def both(batch: ObservationBatch) -> None:
                batches.append(batch)
                sink(replace(batch, ready=batch.started) if moving else batch)

            return open_loop(script, arrivals, both, bench.driver, workers=WORKERS)

        future = mover.submit(case.transition, target) if moving else None
        measurement = bench.measure(offer)
        run = None if future is None else future.result()
    return (measurement if run is None else part_during(measurement, batches, run)), run


def part_during(
    measurement: Measurement, batches: Sequence[ObservationBatch], run: Run
) -> Measurement:
    """Return the measurement of those operations that were under way while records moved.

    Args:
        measurement: Of the whole load.
        batches: All that it sent.
        run: The transition.
    """
    aggregate = Aggregate()
    for batch in batches:
        aggregate.merge(fold(during(batch, run.began_ns, run.ended_ns)))
    count = aggregate.total(outcome=None).service_time.count
    load = replace(measurement.load, elapsed_seconds=run.seconds, operations=count)
    return replace(measurement, load=load, aggregate=aggregate)


def during(batch: ObservationBatch, began_ns: int, ended_ns: int) -> ObservationBatch:
    """Return the operations of an open loop that were due or under way in a stretch of time."""
    if batch.intended is None or batch.ready is None:
        raise ValueError("a closed loop has no intended times")
    chosen = np.flatnonzero((batch.intended <= ended_ns) & (batch.finished >= began_ns))
    return replace(
        batch,
        started=batch.started[chosen],
        finished=batch.finished[chosen],
        outcome=batch.outcome[chosen],
        intended=batch.intended[chosen],
        ready=batch.ready[chosen],
    )


def _script(target: MemoryTarget, case: Case, seed: int) -> Script:
    """Return reads and searches of the records that move, and stores for agents of their own."""
    records = case.records
    count = round(case.rate * case.seconds) + 1
    places: list[int] = np.random.default_rng(seed).integers(len(records), size=count).tolist()
    per_agent = sum(record.agent_id == records[0].agent_id for record in records)

    def sought(number: int) -> Record:
        return records[places[number]]

    def store(number: int) -> str:
        agent = f"{AGENT}_new_{number // per_agent}"
        return target.store(replace(sought(number), agent_id=agent, tier=None))

    def retrieve(number: int) -> Record | None:
        return target.retrieve(sought(number).agent_id, sought(number).record_id)

    def search(number: int) -> list[Hit]:
        record = sought(number)
        return target.search(record.agent_id, record.state, _DEPTH, vector=record.vector)

    def same(number: int, found: Record | None) -> Outcome:
        if found is None:
            return Outcome.EMPTY
        return Outcome.OK if is_kept(sought(number), found) else Outcome.WRONG

    def itself(number: int, hits: list[Hit]) -> Outcome:
        if not hits:
            return Outcome.EMPTY
        ids = {hit.record_id for hit in hits}
        return Outcome.OK if sought(number).record_id in ids else Outcome.WRONG

    operations = (
        Operation("retrieve_memory", retrieve, same),
        Operation("search_memory", search, itself),
        Operation("create_memory", store),
    )
    return mixed(operations, count, seed)


def _figures(measurement: Measurement) -> dict[str, Any]:
    operations = sorted({key.operation for key, _ in measurement.aggregate})
    parts = {name: measurement.of(name).summary() for name in operations}
    return measurement.summary() | {
        "sample_count": measurement.load.operations,
        "operations": {name: _own(figures) for name, figures in parts.items()},
    }


def _own(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in figures.items()
        if name.startswith(("latency", "service_time", "outcomes", "items"))
    }


def _warn(bench: Bench, case: Case, run: Run, measured: Measurement) -> None:
    pair = f"{case.source} to {case.destination}"
    if run.moved != len(case.records):
        bench.warn(f"{pair}: {run.moved} of {len(case.records)} records moved under load")
    if measured.load.operations < fewest_samples_for(0.95):
        bench.warn(
            f"{pair}: only {measured.load.operations} operations were under way during the "
            f"{run.seconds:.3g} s in which records moved: too few for a p95; raise moving_count "
            "or foreground_rate"
        )
