"""One window of a soak after the other, each with the evidence that judges it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.holdings import report_holdings
from agentmem_observe.bench.measurement import Measurement
from agentmem_observe.bench.messages import Window
from agentmem_observe.bench.turns import Turns
from agentmem_observe.errors import TargetError
from agentmem_observe.measure.cycles import allocated_blocks
from agentmem_observe.measure.process import ProcessSample, life_of
from agentmem_observe.model import Float64Array, Record
from agentmem_observe.suite.scalability.leaking import (
    OPERATIONS_PER_RECORD,
    as_many_as_fit,
    cycle,
)
from agentmem_observe.suite.scalability.steady import SteadyLoad
from agentmem_observe.suite.scalability.usage import (
    Usage,
    is_in_process,
    server_probe,
    server_process,
)
from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.telemetry.catalog import MEMORY_BYTES, MEMORY_RECORDS, Metric
from agentmem_observe.workload.arrivals import Arrivals

_CYCLE_RECORDS = 500  # 2,000 operations, at the most
_CYCLE_SHARE = 0.05  # of a window's length, for its cycle
_SERVER_EVERY_SECONDS = 1.0


class Soak:
    """A target under a steady load.

    Every window sends the same operations on the same records, then stores and deletes a few
    others, so that what is allocated after each can be compared with the window before.
    """

    def __init__(self, bench: Bench, target: MemoryTarget, load: SteadyLoad, records: int) -> None:
        """Fill the target.

        Args:
            bench: The run.
            target: Open and empty.
            load: What each window sends; on a target that is not thread-safe, one at a time.
            records: Different states that are stored over and over, >= 1.
        """
        capabilities = target.info().capabilities
        if Capability.THREAD_SAFE not in capabilities:
            load = replace(load, workers=1)
        self._bench, self._target, self._load = bench, target, load
        self._records = [
            replace(record, record_id=f"soak_{number}")
            for number, record in enumerate(bench.records(records))
        ]
        bench.phase("storing what is read later")
        self._fill()
        self._script = load.script(target, self._records)
        cycled = [replace(r, record_id=f"cycle_{r.step}") for r in self._records[:_CYCLE_RECORDS]]
        self._cycled: Sequence[Record] = ()
        if is_in_process(target) and Capability.DELETE in capabilities:
            self._cycled, _ = as_many_as_fit(target, cycled, _CYCLE_SHARE * load.seconds)
        self._may_lack_records = False
        self._windows = self._operations = 0
        bench.phase(f"{load.rate:g} operations a second")

    def window(self) -> Window:
        """Send one window's load and return what is known of it.

        Raises:
            TargetError: If not one of its operations succeeded, or what it lacks cannot be
                stored: whoever runs us should wait before trying again.
        """
        if self._may_lack_records:
            self._fill()
        started_at, began = time.time(), time.perf_counter()
        arrivals = _CutShort(self._load.arrivals, self._bench.turns)
        life = _server_life(self._target)
        server = Usage(server_probe(self._target) or _nothing, _SERVER_EVERY_SECONDS)
        with self._bench.turn(self._windows + 1), server:
            measured = self._bench.open_loop(self._script, arrivals, workers=self._load.workers)
        # Months of them would be a leak of our own; what they say goes out with each window.
        del self._bench.measurements[:-1]
        if arrivals.cut:
            # All is over, perhaps before anything was sent: that is no fault of the target.
            self._windows += 1
            self._operations += measured.load.operations
            return Window(self._windows, started_at, time.perf_counter() - began, {"cut": True})
        if not measured.ok:
            raise TargetError(
                f"none of {measured.load.operations:,} operations in a window succeeded "
                f"({_outcomes(measured)}); see that the target is up"
            )
        # A target that was away may have come back with nothing in it; if it is still away, the
        # window that saw it go is told of first.
        self._may_lack_records = measured.ok < measured.load.operations
        blocks = self._cycle()
        self._windows += 1
        self._operations += measured.load.operations
        figures = {
            "cut": False,
            "validity": {
                "verdict": measured.validity.verdict,
                "reasons": list(measured.validity.reasons),
            },
            "offered_operations_per_second": measured.load.offered_rate,
            "achieved_operations_per_second": measured.answered_per_second,
            "operations": measured.load.operations + OPERATIONS_PER_RECORD * len(self._cycled),
            "blocks": blocks,
            **self._holdings(),
            **self._server_figures(life, server),
        }
        seconds = time.perf_counter() - began
        return Window(self._windows, started_at, seconds, figures)

    def figures(self) -> dict[str, Any]:
        """Return what is worth keeping of the whole soak."""
        return {"windows": self._windows, "operations": self._operations}

    def _fill(self) -> None:
        try:
            self._bench.fill(self._target, self._records)
        except Exception as error:  # of a stranger's code, whatever it is
            raise TargetError(
                f"the records to be read cannot be stored: {type(error).__name__}: {error}; see "
                "that the target is up"
            ) from error

    def _cycle(self) -> int | None:
        """Return the blocks that are allocated after a cycle; None where that says nothing."""
        if not self._cycled:
            return None
        cycle(self._target, self._cycled)
        return allocated_blocks()

    def _server_figures(self, life: str, usage: Usage) -> dict[str, Any]:
        """Return who holds the records, and the least RSS of that; after asking for holdings.

        A target learns then that its server is another one by now, as after a restart: what was
        sampled in this window is that of a process that is no more.
        """
        now = _server_life(self._target)
        samples = usage.samples if now == life else ()
        return {
            "in_process": is_in_process(self._target),
            "server": now,
            "server_rss_bytes": min((s.rss_bytes for s in samples), default=None),
        }

    def _holdings(self) -> dict[str, float | None]:
        """Return the records and bytes that the target says it has, and export them."""
        held: dict[Metric, list[float]] = {MEMORY_RECORDS: [], MEMORY_BYTES: []}

        def observe(metric: Metric, labels: Mapping[str, str], value: float) -> None:
            self._bench.observe(metric, labels, value)
            if metric in held:
                held[metric].append(value)

        report_holdings(self._target, observe)
        return {
            "stored_records": sum(held[MEMORY_RECORDS]) if held[MEMORY_RECORDS] else None,
            "stored_bytes": sum(held[MEMORY_BYTES]) if held[MEMORY_BYTES] else None,
        }


class _CutShort:
    """Arrivals that end early when all is over; a block spans less than a second."""

    name = "constant"

    def __init__(self, whole: Arrivals, turns: Turns) -> None:
        self._whole, self._turns = whole, turns
        self._duration = whole.duration
        self.cut = False

    @property
    def rate(self) -> float:
        return self._whole.rate

    @property
    def duration(self) -> float:
        """Return the length; that of what was sent, when the end is known."""
        return self._duration

    def blocks(self) -> Iterator[Float64Array]:
        for block in self._whole.blocks():
            if self._turns.over:
                self.cut, self._duration = True, float(block[0])
                return
            yield block


def _server_life(target: MemoryTarget) -> str:
    """Return which life of which server on this host holds the records; "" if none does."""
    pid = server_process(target)
    return "" if pid is None else life_of(pid)


def _nothing() -> ProcessSample | None:
    return None


def _outcomes(measured: Measurement) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in measured.aggregate.outcomes().items())
