"""Reports what the exporting process itself takes, read when somebody collects."""

import threading
import time
from collections.abc import Callable

import psutil

from agentmem_observe.telemetry.catalog import EXPORTER_CPU, EXPORTER_RSS
from agentmem_observe.telemetry.registry import MetricRegistry


def _rss_bytes() -> int:
    rss: int = psutil.Process().memory_info().rss
    return rss


def watch_own_process(
    registry: MetricRegistry,
    cpu_seconds: Callable[[], float] = time.process_time,
    rss_bytes: Callable[[], int] = _rss_bytes,
) -> None:
    """Have a registry say, at every collect, what CPU time and memory this process has taken.

    Args:
        registry: To be told once: twice would count the CPU time twice.
        cpu_seconds: CPU time since the process began.
        rss_bytes: Its RSS.
    """
    counted = 0.0
    lock = threading.Lock()

    def read() -> None:
        nonlocal counted
        with lock:  # two collects at once must not both count what is new
            now = max(counted, cpu_seconds())
            registry.add(EXPORTER_CPU, {}, now - counted)
            counted = now
        registry.set(EXPORTER_RSS, {}, rss_bytes())

    registry.on_collect(read)
