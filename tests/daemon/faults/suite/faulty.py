"""Benchmarks that get into trouble, each in its own way; the daemon must not."""

import os
import resource
import signal
import threading
from pathlib import Path
from typing import Any

import psutil

_ROOM_BYTES = 64 * 1024 * 1024


def benchmark_quick() -> dict[str, Any]:
    """Takes no time."""
    return {"fine": True}


def benchmark_asks(bench: Any) -> dict[str, Any]:
    """Needs the target."""
    with bench.target() as target:
        return {"records": target.count()}


def benchmark_endless(until: str = "") -> dict[str, Any]:
    """Ends when there is a file of this name."""
    while not (until and Path(until).exists()):
        threading.Event().wait(0.1)
    return {"fine": True}


def benchmark_hungry() -> dict[str, Any]:
    """Wants more memory than it may have."""
    most = psutil.Process().memory_info().vms + _ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    return {"bytes": len(bytearray(2 * _ROOM_BYTES))}


def benchmark_slaughtered() -> dict[str, Any]:
    """Ends as when the kernel finds no more memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}
