"""Keeps work apart: the worker from a dead parent, and one case from another's heap."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from agentmem_observe.errors import BenchmarkError

_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29


def bind_to_parent() -> None:
    """Die when the parent process does, and wake from sleeps on time; Linux only.

    The kernel lets sleepers oversleep by 50 µs by default; this process asks for 1 ns.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(_PR_SET_TIMERSLACK, 1)


def in_child(function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Call a function in a forked child, so that it starts with a heap that nothing has grown.

    Args:
        function: Returns JSON-like values.

    Raises:
        BenchmarkError: If the child raised or died; the message says how.
    """
    receiving, sending = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(receiving)
        bind_to_parent()
        _report_and_exit(function, sending)
    os.close(sending)
    with os.fdopen(receiving, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0 or not answer:
        raise BenchmarkError(f"the case's process ended with exit code {code} before it was done")
    decoded: dict[str, Any] = msgspec.msgpack.decode(answer)
    if "error" in decoded:
        raise BenchmarkError(decoded["error"])
    result: dict[str, Any] = decoded["result"]
    return result


def _report_and_exit(function: Callable[[], dict[str, Any]], sending: int) -> None:
    """Send what the function returns, or how it failed, and leave without any clean-up."""
    try:
        answer: dict[str, Any] = {"result": function()}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    with os.fdopen(sending, "wb") as stream:
        stream.write(msgspec.msgpack.encode(answer))
    os._exit(0)
