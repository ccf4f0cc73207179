"""Starts the process of a side, gives it orders, and ends it, whatever it does."""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from agentmem_observe.bench.duel import side
from agentmem_observe.bench.duel.installation import Installation
from agentmem_observe.bench.isolation import end_group
from agentmem_observe.errors import BenchmarkError
from agentmem_observe.units import format_seconds

_FLAGS = ("-P", "-u", "-X", "faulthandler")
_LOG_TAIL_BYTES = 4_000
_READ_BYTES = 1 << 20
_LOOK_SECONDS = 0.5
_FAREWELL_SECONDS = 5.0
_SIGNAL_NAMES = {number.value: number.name for number in signal.Signals}  # some have none
_MISSING = re.compile(r"ModuleNotFoundError: No module named '(agentmem_observe|msgspec|numpy)'")

_encode = msgspec.msgpack.Encoder().encode
_answers: msgspec.msgpack.Decoder[side.Answer] = msgspec.msgpack.Decoder(side.Answer)


class SideProcess:
    """The process of one side in one round."""

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        pipe: int,
        log: BinaryIO,
        *,
        python: str,
        patience_seconds: float,
    ) -> None:
        """Take over a process that was just started.

        Args:
            name: ``A`` or ``B``.
            process: It; orders go to its standard input.
            pipe: Brings its answers.
            log: Gets all that it prints.
            python: The interpreter that it runs.
            patience_seconds: After this a side that does not answer has failed.
        """
        self.name, self._python = name, python
        self._process, self._pipe, self._log = process, pipe, log
        self._patience_seconds = patience_seconds
        self._pending = bytearray()

    def turn(self, turn: side.Turn) -> side.Done:
        """Have a turn done; a `rounds.Fighter`."""
        return self.done(turn)

    def done(self, order: side.Order) -> side.Done:
        """Give an order and wait until it was followed."""
        self.tell(order)
        answer = self.answer()
        assert isinstance(answer, side.Done)
        return answer

    def tell(self, order: side.Order) -> None:
        """Give an order, without waiting for it to be followed."""
        body = _encode(order)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its answer, or its exit, says more
            self._process.stdin.write(side.LENGTH.pack(len(body)) + body)
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """Say that there are no more orders."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def answer(self) -> side.Opened | side.Done:
        """Wait for what was ordered.

        Raises:
            BenchmarkError: If it failed, died, or took too long.
        """
        deadline = time.monotonic() + self._patience_seconds
        while (body := self._frame()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._broken(
                    f"no answer after {format_seconds(self._patience_seconds)}; allow more with "
                    "--timeout"
                )
            # Not its pipe alone tells that it has ended: a child of its own may hold it.
            ended = self._process.poll() is not None
            readable = _readable(self._pipe, 0 if ended else min(left, _LOOK_SECONDS))
            data = os.read(self._pipe, _READ_BYTES) if readable else b""
            if not data and (ended or readable):
                raise self._broken(_how_it_ended(self._process))
            self._pending += data
        answer = _answers.decode(body)
        if isinstance(answer, side.Failed):
            raise self._broken(answer.reason, answer.stack)
        return answer

    def _frame(self) -> bytes | None:
        if len(self._pending) < side.LENGTH.size:
            return None
        end = side.LENGTH.size + side.LENGTH.unpack_from(self._pending)[0]
        if len(self._pending) < end:
            return None
        body = bytes(self._pending[side.LENGTH.size : end])
        del self._pending[:end]
        return body

    def _broken(self, reason: str, stack: str = "") -> BenchmarkError:
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), _LOG_TAIL_BYTES, max(0, size - _LOG_TAIL_BYTES))
        said = (stack or tail.decode("utf-8", "replace")).strip()
        if (missing := _MISSING.search(said)) and not stack:
            return BenchmarkError(
                f"side {self.name}: {self._python} has no {missing[1]}; install agentmem-observe "
                f"there: {self._python} -m pip install agentmem-observe"
            )
        told = "".join(f"\n  {line}" for line in said.splitlines())
        return BenchmarkError(f"side {self.name}: {reason}{told}")


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(_FAREWELL_SECONDS)
    except subprocess.TimeoutExpired:
        return "its process closed its pipe and hung"
    if code >= 0:
        return f"its process ended with exit code {code}"
    return f"its process was killed by {_SIGNAL_NAMES.get(-code, f'signal {-code}')}"


def _readable(pipe: int, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        return bool(selector.select(seconds))


@contextlib.contextmanager
def started(
    name: str,
    installation: Installation,
    *,
    cpu: int | None,
    hash_seed: int,
    patience_seconds: float,
) -> Iterator[SideProcess]:
    """Start the process of a side; at the end nothing of its group is left.

    Args:
        name: ``A`` or ``B``.
        installation: Whose code it runs.
        cpu: It starts on this one and stays there until moved; None leaves that to the system.
        hash_seed: Both sides of a round have the same order of sets and hashes of texts.
        patience_seconds: After this a side that does not answer has failed.
    """
    receiving, sending = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, receiving)
        log = stack.enter_context(tempfile.TemporaryFile())
        try:
            with _on(cpu):
                process = subprocess.Popen(
                    [installation.python, *_FLAGS, side.__file__, str(sending), str(os.getpid())],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(sending,),
                    start_new_session=True,
                    env=installation.variables() | {"PYTHONHASHSEED": str(hash_seed)},
                )
        finally:
            os.close(sending)
        stack.callback(end_group, process)
        running = SideProcess(
            name,
            process,
            receiving,
            log,
            python=installation.python,
            patience_seconds=patience_seconds,
        )
        stack.callback(running.dismiss)
        yield running


@contextlib.contextmanager
def _on(cpu: int | None) -> Iterator[None]:
    """Keep this thread on one CPU, and what it starts: libraries count CPUs to start threads."""
    if cpu is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
