"""Builds a target on trial, to see before anything runs whether it can be built.

What belongs to somebody else is built in a process of its own and never imported by the one that
asks: it would stay there.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import BinaryIO

from agentmem_observe.bench.isolation import bind_to_parent, end_group
from agentmem_observe.errors import AgentMemObserveError, TargetError
from agentmem_observe.targets.credentials import Credentials, redact
from agentmem_observe.targets.registry import TARGETS, build_target, parse_spec
from agentmem_observe.units import format_seconds

_COMMAND = [sys.executable, "-P", "-m", "agentmem_observe.bench.target_check"]
_NOT_THE_TARGETS = (str(Path(__file__).parents[1]), importlib.__file__, "<frozen importlib")


def check_target(spec: str, *, time_limit_seconds: float) -> None:
    """See whether a target can be built; it is neither opened nor kept.

    Args:
        spec: Name of the target, see `targets.registry`.
        time_limit_seconds: A target that is not built by then cannot be.

    Raises:
        TargetError: If it cannot; the message says why, and shows no credentials.
    """
    with tempfile.TemporaryDirectory(
        prefix="agentmem-observe-", ignore_cleanup_errors=True
    ) as directory:
        if parse_spec(spec, Path(directory)).scheme in TARGETS:
            build_target(spec, Path(directory))
        else:
            _check_elsewhere(spec, directory, time_limit_seconds)


def _check_elsewhere(spec: str, directory: str, time_limit_seconds: float) -> None:
    with tempfile.TemporaryFile() as answer:
        _build_elsewhere(spec, directory, answer, time_limit_seconds)
        answer.seek(0)
        problem = answer.read().decode("utf-8", "replace")
    if problem:
        raise TargetError(Credentials(spec).hidden_in(problem))


def _build_elsewhere(
    spec: str, directory: str, answer: BinaryIO, time_limit_seconds: float
) -> None:
    """Start a process that writes what is wrong into ``answer``; nothing is left of it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*_COMMAND, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=log,
            start_new_session=True,
        )
        try:
            process.communicate(json.dumps([spec, directory]).encode(), time_limit_seconds)
        except subprocess.TimeoutExpired:
            raise TargetError(
                f"target {redact(spec)!r}: not built after {format_seconds(time_limit_seconds)}; "
                "allow more with --timeout, or connect in its open() instead"
            ) from None
        finally:
            end_group(process)
        if process.returncode:
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
            said = f"; it said: {lines[-1]}" if lines else ""
            raise TargetError(
                Credentials(spec).hidden_in(
                    f"target {redact(spec)!r}: building it ended its process with exit code "
                    f"{process.returncode}{said}"
                )
            )


def main() -> None:
    """Build the target that is named on standard input; write what is wrong, if anything."""
    bind_to_parent(int(sys.argv[1]))
    spec, directory = json.load(sys.stdin)
    own_output = os.dup(sys.stdout.fileno())
    with os.fdopen(own_output, "w", encoding="utf-8", errors="backslashreplace") as answer:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the target prints is no answer
        try:
            build_target(spec, Path(directory))
        except AgentMemObserveError as error:
            answer.write(str(error))
        except BaseException as error:
            answer.write(
                f"target {redact(spec)!r}: building it raised {type(error).__name__}: {error}"
                f"{_place(error)}; call it in Python to see all of it, and mend it"
            )
    os._exit(0)  # whatever threads it has started


def _place(error: BaseException) -> str:
    """Return where, in the target's own files, an error began."""
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(_NOT_THE_TARGETS):
            return f" ({frame.filename}:{frame.lineno})"
    return ""


if __name__ == "__main__":
    main()
