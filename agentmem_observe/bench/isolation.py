"""Keeps work apart: the worker from a dead parent, and one case from another's heap."""

import ctypes
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import msgspec

from agentmem_observe.errors import (
    AgentMemObserveError,
    BenchmarkError,
    ChildError,
    TargetError,
)
from agentmem_observe.results.schema import plain

_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29

_encode = msgspec.msgpack.Encoder().encode


def bind_to_parent(parent: int) -> None:
    """Die when the parent process does, and wake from sleeps on time; Linux only.

    The kernel lets sleepers oversleep by 50 µs by default; this process asks for 1 ns.

    Args:
        parent: Process id of the parent, which may have died already.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(_PR_SET_TIMERSLACK, 1)
    if os.getppid() != parent:
        os._exit(1)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started; they must be a session of their own.

    Args:
        process: Was started with ``start_new_session``, and not waited for yet.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def in_child(function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Call a function in a forked child, so that it starts with a heap that nothing has grown.

    Args:
        function: Returns JSON-like values. What it reports to its `Bench` is lost: return it.

    Raises:
        TargetError: If it raised one; with its words.
        BenchmarkError: If it raised another error of ours, or died; the message says how.
        ChildError: If it raised anything else.
    """
    receiving, sending = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _report_and_exit(function, sending, parent)
    os.close(sending)
    with os.fdopen(receiving, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0 or not answer:
        raise BenchmarkError(f"the case's process ended with exit code {code} before it was done")
    decoded: dict[str, Any] = msgspec.msgpack.decode(answer)
    if "error" in decoded:
        if stack := decoded["stack"]:
            raise ChildError(decoded["error"], stack)
        raise (TargetError if decoded["of_target"] else BenchmarkError)(decoded["error"])
    result: dict[str, Any] = decoded["result"]
    return result


def _told(error: BaseException) -> dict[str, Any]:
    if isinstance(error, AgentMemObserveError):
        of_target = isinstance(error, TargetError)
        return {"error": str(error), "stack": "", "of_target": of_target}
    return {"error": f"{type(error).__name__}: {error}", "stack": traceback.format_exc()}


def _report_and_exit(
    function: Callable[[], dict[str, Any]], sending: int, parent: int
) -> NoReturn:
    """Send what the function returns, or how it failed, and leave without any clean-up.

    Whatever happens it leaves: it must not go on with its copy of the parent's work.
    """
    code = 1
    try:
        bind_to_parent(parent)
        try:
            answer = _encode({"result": plain(function())})
        except BaseException as error:
            traceback.print_exc()
            answer = _encode(_told(error))
        with os.fdopen(sending, "wb") as stream:
            stream.write(answer)
        code = 0
    finally:
        os._exit(code)
