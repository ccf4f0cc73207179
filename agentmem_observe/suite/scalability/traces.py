"""What each resource shows while agents work: the figures that a bottleneck is named by."""

import os
import resource
import time
from typing import Any

from agentmem_observe.analysis.bottleneck import UsageEvidence
from agentmem_observe.measure.noise import NoiseProbe, noise_between
from agentmem_observe.measure.process import ProcessProbe
from agentmem_observe.suite.scalability.usage import is_in_process, server_probe
from agentmem_observe.targets.base import MemoryTarget


class Traces:
    """Reads the counters of this process, the target's and the host before and after a load.

    A context manager. Enter it when all threads of the load live, and leave it before any ends:
    the kernel forgets how long a thread waited for a CPU.

    Args:
        target: Open.
    """

    def __init__(self, target: MemoryTarget) -> None:
        self._in_process = is_in_process(target)
        self._server = server_probe(target)
        self._process = ProcessProbe(os.getpid())
        self._noise = NoiseProbe()
        self._figures: dict[str, Any] = {}

    def __enter__(self) -> "Traces":
        self._noise_before = self._noise.read()
        self._server_before = self._server and self._server()
        self._before = self._process.sample()
        self._switches_before = resource.getrusage(resource.RUSAGE_SELF)
        self._began, self._cpu_began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *exc: object) -> None:
        elapsed = time.perf_counter() - self._began
        cpu_seconds = time.process_time() - self._cpu_began
        switches = resource.getrusage(resource.RUSAGE_SELF)
        after = self._process.sample()
        server = self._server and self._server()
        noise = noise_between(self._noise_before, self._noise.read())
        before = self._before
        assert before is not None  # we live
        assert after is not None

        def rate(name: str, first: object = before, last: object = after) -> float | None:
            start, end = getattr(first, name, None), getattr(last, name, None)
            return None if start is None or end is None else max(0.0, end - start) / elapsed

        self._elapsed_seconds = elapsed
        moved = [rate("disk_read_bytes"), rate("disk_write_bytes")]
        self._voluntary = switches.ru_nvcsw - self._switches_before.ru_nvcsw
        self._involuntary = switches.ru_nivcsw - self._switches_before.ru_nivcsw
        self._figures = {
            "cpu_ratio": cpu_seconds / elapsed,
            "target_cpu_ratio": rate("cpu_seconds", self._server_before, server),
            "cpu_wait_ratio": rate("run_queue_wait_seconds"),
            "disk_bytes_per_second": None if None in moved else sum(filter(None, moved)),
            "host_cpu_ratio": noise.host_cpu_ratio,
            "io_pressure_ratio": noise.io_pressure_ratio,
            "cpu_count": noise.cpu_count or os.cpu_count(),
        }

    @property
    def cpu_wait_seconds(self) -> float | None:
        """Return for how long threads were ready to run without a CPU, summed; None if unknown."""
        ratio = self._figures["cpu_wait_ratio"]
        return None if ratio is None else ratio * self._elapsed_seconds

    def evidence(self, agents: int, operations: int, **known: float | None) -> UsageEvidence:
        """Return what was seen, for `find_bottleneck`.

        Args:
            agents: Agents at work, >= 1.
            operations: What they did together, >= 1.
            known: Further fields of the evidence, such as ``throughput``.
        """
        return UsageEvidence(
            agents,
            self._in_process,
            voluntary_switches_per_operation=self._voluntary / operations,
            involuntary_switches_per_operation=self._involuntary / operations,
            **self._figures,
            **known,
        )
