"""Reports what the exporting process itself takes, read when somebody collects."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from agentmem_observe.measure.procfs import parse_numbers, read_text
from agentmem_observe.telemetry.catalog import EXPORTER_CPU, EXPORTER_RSS, HOST_AVAILABLE
from agentmem_observe.telemetry.registry import MetricRegistry


def _rss_bytes() -> int:
    rss: int = psutil.Process().memory_info().rss
    return rss


def available_bytes(
    of_host: Callable[[], int] = lambda: int(psutil.virtual_memory().available),
    control_group: Path = Path("/sys/fs/cgroup"),
) -> int:
    """Return what processes here can still take: the host has, and the control group allows.

    Args:
        of_host: What the host has, in bytes.
        control_group: Where a container sees its own; elsewhere it sets no limit there.
    """
    limit, used, parts = (
        read_text(control_group / f"memory.{name}") for name in ("max", "current", "stat")
    )
    if limit is None or used is None or not limit.strip().isdigit():
        return of_host()
    # What is only remembered of files is given up when somebody wants the room.
    files = parse_numbers(parts or "")
    remembered = files.get("active_file", 0) + files.get("inactive_file", 0)
    return max(0, min(of_host(), int(limit) - int(used) + remembered))


def watch_own_process(
    registry: MetricRegistry,
    cpu_seconds: Callable[[], float] = time.process_time,
    rss_bytes: Callable[[], int] = _rss_bytes,
) -> None:
    """Have a registry say, at every collect, what this process has taken, and what is left.

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
        registry.set(HOST_AVAILABLE, {}, available_bytes())

    registry.on_collect(read)
