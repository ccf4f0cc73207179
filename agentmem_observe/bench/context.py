"""What a benchmark function gets as ``bench``: fresh targets, load, verification, progress."""

import gc
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from agentmem_observe.analysis.validity import judge
from agentmem_observe.bench.holdings import report_holdings
from agentmem_observe.bench.measurement import Measurement
from agentmem_observe.bench.turns import Turns
from agentmem_observe.bench.untraced import Untraced
from agentmem_observe.bench.verification import Verification, is_kept, verify_stored
from agentmem_observe.bench.watch import Watch
from agentmem_observe.measure.recorder import Aggregate, fold
from agentmem_observe.model import ObservationBatch, Outcome, Record
from agentmem_observe.targets.base import Capability, MemoryTarget, TargetInfo
from agentmem_observe.targets.registry import TargetSpec, build_target, parse_spec
from agentmem_observe.telemetry.catalog import LOAD_ACHIEVED, LOAD_OFFERED, RUN, Kind, Metric
from agentmem_observe.workload.arrivals import Arrivals
from agentmem_observe.workload.driver import DriverOptions, Load, Sink, closed_loop, open_loop
from agentmem_observe.workload.operations import Content, Operation, Script, repeat
from agentmem_observe.workload.states import generate_states
from agentmem_observe.workload.vectors import generate_vectors

_FILL_CHUNK = 1_000  # records per bulk store: progress flows, and no chunk is large
AGENT = "benchmark_agent"
"""The agent of benchmarks that need only one; the seeds' name."""

Report = Callable[[float, float, str, Aggregate], None]
"""Called as work is done: done, total, phase, and what was measured since the last call."""


Observe = Callable[[Metric, Mapping[str, str], float], None]
"""Called with a gauge, its labels but for the run's own, and its value."""


class SkipBenchmark(Exception):
    """Raised by a benchmark that cannot run on this target; the message says why."""


class Bench:
    """The context of one run.

    Attributes:
        directory: The run's own directory, removed after it.
        seed: For everything random.
        warnings: What a reader of the result must know, in the order found.
        measurements: One per measured loop.
        driver: How operations are timed and judged.
        turns: When work without an end of its own may go on.
        target_info: What the target says of itself; None before the first was built.
    """

    def __init__(
        self,
        target: str,
        directory: Path,
        report: Report,
        *,
        seed: int = 0,
        driver: DriverOptions | None = None,
        observe: Observe | None = None,
        tracing: Untraced | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.turns = turns or Turns()
        self._tracing = tracing or Untraced()
        self._observe = observe
        self.directory = directory
        self.seed = seed
        self.warnings: list[str] = []
        self.measurements: list[Measurement] = []
        self.target_info: TargetInfo | None = None
        self._spec = target
        self._report = report
        self.driver = driver or DriverOptions()
        self._done = self._total = 0.0
        self._phase = ""

    @property
    def spec(self) -> TargetSpec:
        """The target's name in its parts; may hold credentials."""
        return parse_spec(self._spec, self.directory)

    def require(self, *needed: Capability) -> None:
        """Skip the benchmark unless the target has every capability.

        Raises:
            SkipBenchmark: Naming what is missing.
        """
        info = self._info()
        missing = [str(capability) for capability in needed if capability not in info.capabilities]
        if missing:
            raise SkipBenchmark(f"target {info.name!r} lacks {', '.join(missing)}")

    def tiers(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Return those of the wanted tiers that the target has, or ``("",)`` if it has no tiers.

        Raises:
            SkipBenchmark: If the target has tiers, but none of these.
        """
        info = self._info()
        if not info.tiers:
            return ("",)
        tiers = tuple(tier for tier in wanted if tier in info.tiers)
        if not tiers:
            raise SkipBenchmark(
                f"target {info.name!r} has the tiers {', '.join(info.tiers)}, none of {wanted!r}"
            )
        return tiers

    @contextmanager
    def target(self) -> Iterator[MemoryTarget]:
        """Open a fresh target, empty and in a directory of its own; close and remove it after."""
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            target = self._build(Path(directory))
            try:
                target.open()
                yield target
                if self._observe is not None:
                    report_holdings(target, self._observe)
            except BaseException:
                # What went wrong first counts; a server that is gone cannot be tidied up either.
                try:
                    target.close()
                except Exception as error:  # of a stranger's code, whatever it is
                    self.warn(f"closing the target failed too: {type(error).__name__}: {error}")
                raise
            target.close()

    def records(
        self, count: int, complexity: int = 1, tier: str = "", *, per_agent: int | None = None
    ) -> list[Record]:
        """Return seeded records, each with a state and, if taken, a vector.

        Vectors come along so that a store measures the target, not the making of embeddings.
        They are exempt from garbage collection: what the load generator holds must not make the
        target's collections longer.

        Args:
            count: How many, >= 0.
            complexity: Size factor of the states, >= 1.
            tier: Where to store them; "" leaves it to the target.
            per_agent: Spread them over agents who get this many each, >= 1; None is one agent.
        """
        records = list(self.generate(count, complexity, tier, per_agent=per_agent))
        gc.collect()
        gc.freeze()
        return records

    def generate(
        self, count: int, complexity: int = 1, tier: str = "", *, per_agent: int | None = None
    ) -> Iterator[Record]:
        """Yield the same records one by one, keeping none.

        Args:
            count: How many, >= 0.
            complexity: Size factor of the states, >= 1.
            tier: Where to store them; "" leaves it to the target.
            per_agent: Spread them over agents who get this many each, >= 1; None is one agent.
        """
        takes_vectors = Capability.VECTORS_IN in self._info().capabilities
        states = generate_states(count, complexity, self.seed)
        vectors = generate_vectors(count, self.seed) if takes_vectors else [None] * count
        for step, (state, vector) in enumerate(zip(states, vectors, strict=True)):
            agent = AGENT if per_agent is None else f"{AGENT}_{step // per_agent}"
            yield Record(
                agent, f"state_{step}", state=state, vector=vector, step=step, tier=tier or None
            )

    def turn(self, number: int) -> AbstractContextManager[None]:
        """Return the context of a turn of work without an end.

        Args:
            number: Of the turn, from 1.
        """
        return self._tracing.turn(number)

    def expect(self, total: float) -> None:
        """Say how much work the run is, so that progress can be shown; any unit."""
        self._total = total

    def phase(self, name: str) -> None:
        """Name what comes next, for the progress display."""
        self._phase = name
        self._tracing.phase(name)
        self.advance(0)

    def advance(self, work: float, measured: Aggregate | None = None) -> None:
        """Report work as done; loops do this themselves, one unit per operation."""
        self._done += work
        self._report(self._done, self._total, self._phase, measured or Aggregate())

    def warn(self, text: str) -> None:
        """Add a sentence to the result's warnings."""
        if text not in self.warnings:
            self.warnings.append(text)

    def observe(self, metric: Metric, labels: Mapping[str, str], value: float) -> None:
        """Export something besides operations, if anything is exported.

        Args:
            metric: A gauge of the catalog.
            labels: Its labels, but for those of the run.
            value: The newest.

        Raises:
            ValueError: If it is no gauge, or has other labels.
        """
        further = set(metric.labels) - set(RUN)
        if metric.kind is not Kind.GAUGE or labels.keys() != further:
            raise ValueError(
                f"{metric.name} is a {metric.kind} with the labels {sorted(further)}, no gauge "
                f"with {sorted(labels)}"
            )
        if self._observe is not None:
            self._observe(metric, labels, float(value))

    def closed_loop(self, scripts: Sequence[Script]) -> Measurement:
        """Run each script in a thread as fast as it goes, and measure."""
        return self.measure(lambda sink: closed_loop(scripts, sink, self.driver))

    def open_loop(self, script: Script, arrivals: Arrivals, *, workers: int = 1) -> Measurement:
        """Send a script's operations when they are due, and measure."""
        return self.measure(
            lambda sink: open_loop(script, arrivals, sink, self.driver, workers=workers)
        )

    def fill(self, target: MemoryTarget, records: Iterable[Record]) -> None:
        """Store records without measuring, in bulk where the target can; advances by one each."""
        bulk = Capability.STORE_MANY in target.info().capabilities
        remaining = iter(records)
        while chunk := list(islice(remaining, _FILL_CHUNK)):
            if bulk:
                target.store_many(chunk)
            else:
                for record in chunk:
                    target.store(record)
            self.advance(len(chunk))

    def store(self, target: MemoryTarget, records: Sequence[Record]) -> Measurement:
        """Store records one after the other, as fast as the target goes, and verify them.

        A store that was acknowledged but whose record is gone or changed counts as ``wrong``.

        Args:
            target: An open target that holds nothing of these records' agents yet.
            records: What to store, at least one.

        Returns:
            The measurement; its ``verification`` has the counts.
        """
        ids = [""] * len(records)

        def keep_id(number: int, record_id: object) -> Outcome:
            if not record_id:
                return Outcome.EMPTY
            ids[number] = str(record_id)
            return Outcome.OK

        operation = Operation(
            "create_memory",
            lambda number: target.store(records[number]),
            keep_id,
            records[0].tier or "",
            lambda number, _: Content(records=[records[number]]),
        )
        script = repeat(operation, len(records))
        return self.measure(
            lambda sink: closed_loop([script], sink, self.driver),
            lambda: verify_stored(target, records, ids, self.seed),
        )

    def read(
        self, target: MemoryTarget, records: Sequence[Record], *, batch_size: int, count: int
    ) -> Measurement:
        """Read stored records back in random order, as fast as the target goes.

        Args:
            target: An open target that holds the records under their own ids.
            records: What it holds, at least one; their tier labels the measurement.
            batch_size: Records read per timed operation, >= 1.
            count: Timed operations, >= 1.

        Returns:
            The measurement; an operation is ``empty`` or ``wrong`` if one of its records is.
        """
        random = np.random.default_rng([self.seed, batch_size])
        batches = random.integers(len(records), size=(count, batch_size)).tolist()
        agents = [record.agent_id for record in records]
        ids = [record.record_id for record in records]

        def read(number: int) -> list[Record | None]:
            return [target.retrieve(agents[place], ids[place]) for place in batches[number]]

        def check(number: int, found: list[Record | None]) -> Outcome:
            for place, record in zip(batches[number], found, strict=True):
                if record is None:
                    return Outcome.EMPTY
                if not is_kept(records[place], record):
                    return Outcome.WRONG
            return Outcome.OK

        def content(number: int, found: list[Record | None]) -> Content:
            return Content(records=[record for record in found or () if record is not None])

        tier = records[0].tier or ""
        operation = Operation("retrieve_memory", read, check, tier, content)
        return self.closed_loop([repeat(operation, count)])

    def facts(self) -> dict[str, Any]:
        """Return what the run learned, as keys of the result's metadata."""
        info = self.target_info
        return {
            "warnings": list(self.warnings),
            "validities": [
                {
                    "verdict": loop.validity.verdict,
                    "reasons": list(loop.validity.reasons),
                    "elapsed_seconds": loop.load.elapsed_seconds,
                }
                for loop in self.measurements
            ],
            "load": _load_of(self.measurements[-1]) if self.measurements else {},
            "target": None
            if info is None
            else {
                "name": str(info.name),
                "version": str(info.version),
                "capabilities": sorted(map(str, info.capabilities)),
                "tiers": list(map(str, info.tiers)),
                "notes": {str(name): str(text) for name, text in info.notes.items()},
            },
        }

    def _info(self) -> TargetInfo:
        """Return what the target says of itself; one is built to ask, the first time."""
        if self.target_info is None:
            self._build(self.directory)
        assert self.target_info is not None  # _build sets it
        return self.target_info

    def _build(self, directory: Path) -> MemoryTarget:
        target = build_target(self._spec, directory)
        self.target_info = target.info()
        return target

    def measure(
        self, run: Callable[[Sink], Load], verify: Callable[[], Verification] | None = None
    ) -> Measurement:
        """Run a loop, fold what it measured, and judge it.

        With ``verify`` nothing is folded before it is known which operations kept their promise.
        """
        aggregate = Aggregate()
        held: list[ObservationBatch] = []
        watch = Watch()

        def sink(batch: ObservationBatch) -> None:
            watch.see(batch)
            if verify is not None:
                held.append(batch)
                self.advance(len(batch))
                return
            measured = fold(batch)
            loop.saw(batch)
            aggregate.merge(measured)
            self.advance(len(batch), measured)

        loop = self._tracing.loop()
        with loop, watch:
            load = run(sink)
        figures: dict[str, Any] = {}
        if verify is not None:
            verification = verify()
            figures = verification.figures
            for warning in verification.warnings:
                self.warn(warning)
            for batch in _judged(held, verification.unkept):
                aggregate.merge(fold(batch))
                loop.saw(batch)
            self.advance(0, aggregate)
        validity = judge(watch.evidence(load, aggregate))
        measurement = Measurement(load, aggregate, validity, figures)
        self.measurements.append(measurement)
        if load.offered_rate is not None:
            self.observe(LOAD_OFFERED, {}, load.offered_rate)
        self.observe(LOAD_ACHIEVED, {}, measurement.answered_per_second)
        self._tracing.flush()
        return measurement


def _load_of(loop: Measurement) -> dict[str, float | None]:
    return {
        "offered_operations_per_second": loop.load.offered_rate,
        "achieved_operations_per_second": loop.answered_per_second,
    }


def _judged(batches: list[ObservationBatch], unkept: list[int]) -> Iterator[ObservationBatch]:
    """Yield batches of one script with the operations at these places marked as wrong."""
    outcome = np.concatenate([batch.outcome for batch in batches])
    outcome[unkept] = Outcome.WRONG
    first = 0
    for batch in batches:
        yield replace(batch, outcome=outcome[first : first + len(batch)])
        first += len(batch)
