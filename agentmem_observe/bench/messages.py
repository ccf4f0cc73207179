"""What a worker process and its supervisor say to each other, and how it is framed."""

import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec

from agentmem_observe.telemetry.spans import Traces

_LENGTH = struct.Struct(">I")


class Request(msgspec.Struct):
    """What a worker is to run; sent once, on its standard input.

    Attributes:
        path: File of the benchmark.
        name: Name of the benchmark, without ``benchmark_``.
        params: Parameters to pass.
        target: Spec of the target.
        directory: Empty directory of the run's own; the supervisor removes it afterwards.
        seed: For everything random.
        timeout_seconds: An operation that takes longer is a timeout.
        exported: Whether anybody takes gauges.
        traceparent: W3C name of the span that the run is; "" traces nothing.
        in_turns: Whether the run has no end of its own and waits for its turn before each part.
    """

    path: str
    name: str
    params: dict[str, Any]
    target: str
    directory: str
    seed: int
    timeout_seconds: float
    traceparent: str = ""
    exported: bool = False
    in_turns: bool = False


class Progress(msgspec.Struct, tag=True):
    """How far the run is, and what was measured since the last one.

    Attributes:
        done: Work done, in units of the run's own choice.
        total: All the work; 0 while unknown.
        phase: What it is doing, in a few words.
        delta: `Aggregate` bytes of what was measured since the last message.
    """

    done: float
    total: float
    phase: str
    delta: bytes


Gauge = tuple[str, dict[str, str], float]
"""Name of a gauge of the catalog, its labels but for the run's own, and its value."""


class Observed(msgspec.Struct, tag=True):
    """What the worker saw besides operations.

    Attributes:
        gauges: The newest value of each.
    """

    gauges: list[Gauge]


class Asking(msgspec.Struct, tag=True):
    """The worker of a run in turns is ready for the next one, and waits."""


class Alive(msgspec.Struct, tag=True):
    """The worker of a run in turns is at work, or waits, however long its target takes."""


class Window(msgspec.Struct, tag=True):
    """A turn has ended; all that was measured in it was sent before.

    Attributes:
        number: Of this run, counted from 1.
        started_at: Since 1970, in seconds.
        seconds: How long it took.
        figures: What the worker knows of it, as JSON values.
    """

    number: int
    started_at: float
    seconds: float
    figures: dict[str, Any]


class Finished(msgspec.Struct, tag=True):
    """The benchmark returned, or raised.

    Attributes:
        status: ``ok``, ``skipped`` or ``failed``.
        reason: Why it was skipped or failed, in one sentence; "" if ok.
        results: What the function returned.
        facts: What the worker knows of the run: keys of the result's ``metadata``.
        traceback: Of a failure, for people; "" otherwise.
        cause: Of a failure, one of `CAUSES`; "" otherwise.
    """

    status: str
    reason: str
    results: dict[str, Any]
    facts: dict[str, Any]
    traceback: str = ""
    cause: str = ""


CAUSES = (
    "error",
    "target",
    "out_of_memory",
    "crashed",
    "killed",
    "hung",
    "timeout",
    "interrupted",
)
"""Why runs fail: the benchmark raised, its target could not be used, memory ran out; the worker
ended by itself, or by SIGKILL; it said nothing any more, took too long, or was told to stop."""

GO = b"g"
"""What the supervisor writes when it is the worker's turn; it closes the pipe when all is over."""

Message = Progress | Observed | Traces | Asking | Alive | Window | Finished

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write one framed message and flush."""
    body = _encode(message)
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()


class MessageReader:
    """Cuts a byte stream that arrives in pieces into messages."""

    def __init__(self, receive: Callable[[Message], None]) -> None:
        self._receive = receive
        self._pending = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next piece and hand on each message that it completes."""
        self._pending += data
        while len(self._pending) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._pending)
            end = _LENGTH.size + length
            if len(self._pending) < end:
                return
            body = bytes(self._pending[_LENGTH.size : end])
            del self._pending[:end]
            self._receive(_decoder.decode(body))
