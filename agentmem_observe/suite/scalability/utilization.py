"""What a steady load takes from the machine, and who takes it: the seeds' resource utilization."""

import gc
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agentmem_observe.analysis.samples import fewest_samples_for
from agentmem_observe.bench.context import AGENT, Bench
from agentmem_observe.bench.measurement import Measurement
from agentmem_observe.measure.process import ProcessProbe, summarise
from agentmem_observe.measure.recorder import Aggregate, fold
from agentmem_observe.model import Hit, Record, Vector
from agentmem_observe.suite.scalability.leaking import leak_figures
from agentmem_observe.suite.scalability.steady import HITS, SteadyLoad
from agentmem_observe.suite.scalability.usage import Usage, own_probe, server_probe
from agentmem_observe.suite.storage.footprint import quiet_rss_bytes
from agentmem_observe.targets.base import Capability, MemoryTarget, Query, TargetInfo
from agentmem_observe.workload.driver import open_loop

RECORDS = 1000
"""Different states that are stored over and over, under ids of their own: the seeds' number."""

_INTERVAL_SECONDS = 0.5  # between samples, as in the seeds
_CALIBRATION_SHARE, _CALIBRATION_SECONDS = 0.1, (1.5, 10.0)
_WARM_UP_SECONDS = 0.3  # first times are dear: they are not the load's price
_CYCLE_RECORDS = 500  # 2,000 operations: an object that one in a thousand leaves shows
_CYCLES_SHARE, _SHORTEST_CYCLES_SECONDS = 0.1, 2.0  # of the load's length, for all cycles
_METHOD = (
    "the load generator's CPU time per second is that of the same load on a target that does "
    "nothing; the rest of this process is the target's, client and all. Its memory is the RSS "
    "before the target was opened; what came after is the target's."
)


class Utilization:
    """Runs a steady load and watches what this process, and the target's server, take for it.

    Args:
        bench: The run; no target of it may be open yet.
        load: What to send.
    """

    def __init__(self, bench: Bench, load: SteadyLoad) -> None:
        self._bench, self._load = bench, load
        self._records = [
            replace(record, record_id=f"resource_state_{number}")
            for number, record in enumerate(bench.generate(RECORDS))
        ]
        gc.collect()
        gc.freeze()  # the load generator's own objects must not make the target's collections long
        self._own_cpu_ratio = self._calibrate()
        self._own_bytes = quiet_rss_bytes()

    def run(self, target: MemoryTarget, cycles: int) -> dict[str, Any]:
        """Fill the target, send the load, and return the seeds' figures and then ours.

        Args:
            target: Open and empty.
            cycles: To run after the load, to see whether it leaks.
        """
        self._bench.fill(target, self._records)
        load = self._load
        if Capability.THREAD_SAFE not in target.info().capabilities:
            load = replace(load, workers=1)
        script = load.script(target, self._records)
        server = Usage(server_probe(target) or _nothing, _INTERVAL_SECONDS)
        with server, Usage(own_probe(), _INTERVAL_SECONDS) as own:
            measured = self._bench.open_loop(script, load.arrivals, workers=load.workers)
        figures = own.figures()
        sampling = {
            "interval_seconds": _INTERVAL_SECONDS,
            "sample_count": len(own.samples),
            "probe_cpu_seconds": figures.pop("probe_cpu_seconds"),
        }
        return {
            **_seed_figures(measured),
            "resource_utilization": figures,
            "resource_efficiency": _efficiency(measured.throughput, figures),
            "time_series": own.course(),
            "load": measured.summary(),
            "workers": load.workers,
            "operations": {
                operation.name: _durations(measured.of(operation.name))
                for operation in script.operations
            },
            **_io_figures(own),
            "attribution": self._attribution(measured, own, server),
            "leak": leak_figures(
                target,
                [replace(r, record_id=f"cycle_{r.step}") for r in self._records[:_CYCLE_RECORDS]],
                server.samples or own.samples,
                cycles,
                max(_SHORTEST_CYCLES_SECONDS, _CYCLES_SHARE * self._load.seconds),
            ),
            "sampling": sampling,
        }

    def _calibrate(self) -> float:
        """Return the CPU time per second of the load generator and its sampler."""
        shortest, longest = _CALIBRATION_SECONDS
        seconds = min(longest, max(shortest, _CALIBRATION_SHARE * self._load.seconds))
        self._send_to_nobody(_WARM_UP_SECONDS)
        return self._send_to_nobody(seconds)

    def _send_to_nobody(self, seconds: float) -> float:
        """Send the load to a target that does nothing; return CPU time per second."""
        load = replace(self._load, seconds=seconds)
        script = load.script(_Echo(self._records), self._records)
        aggregate = Aggregate()
        with Usage(own_probe(), _INTERVAL_SECONDS) as usage:
            open_loop(
                script,
                load.arrivals,
                lambda batch: aggregate.merge(fold(batch)),
                workers=load.workers,
            )
        return usage.cpu_ratio

    def _attribution(self, measured: Measurement, own: Usage, server: Usage) -> dict[str, Any]:
        generator = min(own.cpu_ratio, self._own_cpu_ratio)
        figures, seconds = own.figures(), measured.load.elapsed_seconds
        parties = {
            "load_generator": _party(generator, seconds, self._own_bytes),
            "target": _party(
                own.cpu_ratio - generator,
                seconds,
                max(0.0, figures["avg_memory_bytes"] - self._own_bytes),
            ),
        }
        if server.samples:
            resident = server.figures()["avg_memory_bytes"]
            parties["target_server"] = _party(server.cpu_ratio, seconds, resident)
        return parties | {"method": _METHOD}


class _Echo(MemoryTarget):
    """Answers at once with what was asked for, so that nothing but the load generator works."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = {record.record_id: record for record in records}
        self._hits = [Hit(record.record_id, 1.0, AGENT) for record in records[:HITS]]

    def info(self) -> TargetInfo:
        capabilities = frozenset({Capability.AGENT_SCOPE, Capability.THREAD_SAFE})
        return TargetInfo("echo", "", capabilities)

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def store(self, record: Record) -> str:
        return record.record_id

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        return self._records[record_id]

    def search(
        self,
        agent_id: str,
        query: Query,
        k: int,
        *,
        vector: Vector | None = None,
        tier: str | None = None,
    ) -> list[Hit]:
        return self._hits


def _nothing() -> None:
    return None


def _party(cpu_ratio: float, seconds: float, resident_bytes: float) -> dict[str, float]:
    return {
        "cpu_seconds": cpu_ratio * seconds,
        "avg_cpu_percent": 100 * cpu_ratio,
        "avg_memory_bytes": resident_bytes,
    }


def _seed_figures(measured: Measurement) -> dict[str, Any]:
    times = measured.aggregate.total().service_time
    enough = times.count >= fewest_samples_for(0.95)
    return {
        "duration_seconds": measured.load.elapsed_seconds,
        "operation_count": measured.ok,
        "actual_rate_ops_per_second": measured.throughput,
        "avg_operation_time_ms": 1e3 * times.mean_seconds if times.count else None,
        "p95_operation_time_ms": 1e3 * times.percentile(95) if enough else None,
    }


def _efficiency(rate: float, figures: dict[str, Any]) -> dict[str, float | None]:
    cpu, resident = figures["avg_cpu_percent"], figures["avg_memory_bytes"]
    return {
        "operations_per_cpu_percent": rate / cpu if cpu else None,
        "operations_per_mb": rate * 1024 * 1024 / resident if resident else None,
    }


def _durations(measured: Measurement) -> dict[str, Any]:
    # Of one operation of three: the others share the loop, its time and its verdict.
    left_out = ("total_time_seconds", "loop", "validity", "offered_ops_per_second")
    return {key: value for key, value in measured.summary().items() if key not in left_out}


def _io_figures(own: Usage) -> dict[str, Any]:
    summary = summarise(own.samples)
    ended = ProcessProbe(os.getpid()).sample(with_uss=True)
    names = (
        "disk_read_bytes",
        "disk_write_bytes",
        "network_received_bytes",
        "network_sent_bytes",
        "loopback_bytes",
    )
    return {
        "uss_start_bytes": own.samples[0].uss_bytes,
        "uss_end_bytes": ended and ended.uss_bytes,
        **{name: summary[name] for name in names},
    }
