"""The process of one side of a duel's round: it works when told to, and waits otherwise.

It is run as a file, by the interpreter of its side, and imports of this package only what builds
a target: the side's own version of that, which may be another than ours.
"""

import ctypes
import gc
import importlib
import os
import platform
import resource
import signal
import struct
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from agentmem_observe import __version__
from agentmem_observe.errors import AgentMemObserveError
from agentmem_observe.model import Record
from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.targets.registry import build_target

LENGTH = struct.Struct(">I")
_PR_SET_PDEATHSIG = 1
_READ_BACK = 50  # records that are read at the end, about
HITS = 10
"""Hits of a search, as in the standard benchmarks."""


class Start(msgspec.Struct, tag=True):
    """Build the target and open it.

    Attributes:
        spec: Its name.
        directory: Where it may keep files.
        shadowing: Whether what lies in the current directory may be imported before what is
            installed.
    """

    spec: str
    directory: str
    shadowing: bool


class Script(msgspec.Struct, tag=True):
    """What to do in this round, the same for both sides.

    Attributes:
        agent: Whose memory it is; only that is not the same.
        states: Different states; the i-th record has the ``i % len(states)``-th.
        vectors: Their embeddings, float32 one after the other.
        filled: Records to store before the first turn.
        kinds: Names of the kinds of operation.
        sequence: For each operation the index of its kind.
        subjects: For each operation the number of the record that it is about.
    """

    agent: str
    states: list[dict[str, Any]]
    vectors: bytes
    filled: int
    kinds: list[str]
    sequence: bytes
    subjects: list[int]


class Turn(msgspec.Struct, tag=True):
    """Do the operations from ``first`` up to ``stop``.

    Attributes:
        first: Number of the first one.
        stop: Number behind the last one.
    """

    first: int
    stop: int


class Move(msgspec.Struct, tag=True):
    """Work on another CPU from now on.

    Attributes:
        cpu: Its number.
    """

    cpu: int


class Opened(msgspec.Struct, tag=True):
    """The target is open.

    Attributes:
        name: What it says of itself.
        version: The same.
        capabilities: The same.
        origin: The file that its class is from.
        python: Version of the interpreter.
        observe: Version of this package.
        modules: Checksum of the paths of all modules that were imported.
    """

    name: str
    version: str
    capabilities: list[str]
    origin: str
    python: str
    observe: str
    modules: int


class Done(msgspec.Struct, tag=True):
    """What was asked for is done.

    Attributes:
        durations: Of a turn: service time of each operation, int64 nanoseconds.
        cpu_seconds: CPU time that this process used since the one before.
        switches: How often it had to leave the CPU to others meanwhile.
    """

    durations: bytes = b""
    cpu_seconds: float = 0.0
    switches: int = 0


class Failed(msgspec.Struct, tag=True):
    """The side can't go on.

    Attributes:
        reason: What is wrong.
        stack: The traceback, for people; "" if it would say nothing.
    """

    reason: str
    stack: str = ""


Order = Start | Script | Turn | Move
Answer = Opened | Done | Failed

_encode = msgspec.msgpack.Encoder().encode
_orders: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)


class Refused(Exception):
    """An operation did not do what it should; the message says which and what it did."""


def main() -> None:
    """Follow the orders on standard input; answer on the given descriptor."""
    _die_with(int(sys.argv[2]))
    own_input = os.dup(sys.stdin.fileno())
    # What reads from there is the target, and our orders are not for it.
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    with os.fdopen(own_input, "rb") as orders, os.fdopen(int(sys.argv[1]), "wb") as answers:
        try:
            _follow(orders, answers)
        except Refused as error:
            stack = traceback.format_exc() if error.__cause__ else ""
            _send(answers, Failed(str(error), stack))
        except AgentMemObserveError as error:
            _send(answers, Failed(str(error)))
        except BaseException as error:
            _send(answers, Failed(f"{type(error).__name__}: {error}", traceback.format_exc()))
    os._exit(0)  # whatever threads the target has started


def _die_with(parent: int) -> None:
    """As `bench.isolation.bind_to_parent`, which the side's version of this package may lack."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _follow(orders: BinaryIO, answers: BinaryIO) -> None:
    start = _next_order(orders)
    if not isinstance(start, Start):  # nobody wants anything any more
        return
    side = Side(start)
    _send(answers, side.opened())
    while (order := _next_order(orders)) is not None:
        _send(answers, side.follow(order))
    side.end()
    _send(answers, Done())


def _next_order(stream: BinaryIO) -> Order | None:
    """Return the next order; None when nobody gives any."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return _orders.decode(stream.read(LENGTH.unpack(head)[0]))


def _send(stream: BinaryIO, answer: Answer) -> None:
    body = _encode(answer)
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


class Side:
    """A target, and what it is asked to do."""

    def __init__(self, start: Start) -> None:
        """Build the target and open it.

        Args:
            start: Which one, and where.
        """
        if not start.shadowing and os.getcwd() not in sys.path:
            # The registry puts it in front if it is missing.
            sys.path.append(os.getcwd())
        self._target: MemoryTarget = build_target(start.spec, Path(start.directory))
        self._target.open()
        self._info = self._target.info()
        self._script = Script("", [], b"", 0, [], b"", [])
        self._vectors: Sequence[Any] = ()
        self._ids: dict[int, str] = {}
        self._makers: list[Callable[[int], Callable[[], Any]]] = []

    def opened(self) -> Opened:
        """Describe the target."""
        module = importlib.import_module(type(self._target).__module__)
        return Opened(
            str(self._info.name),
            str(self._info.version),
            sorted(map(str, self._info.capabilities)),
            str(getattr(module, "__file__", "")),
            platform.python_version(),
            __version__,
            _modules_checksum(),
        )

    def follow(self, order: Order) -> Done:
        """Do what is ordered.

        Raises:
            Refused: If an operation fails.
        """
        match order:
            case Script():
                self._prepare(order)
            case Turn():
                return self._measured(order)
            case Move():
                _move(order.cpu)
        return Done()

    def end(self) -> None:
        """See whether what was stored is there, and close the target.

        Raises:
            Refused: If it is not.
        """
        if Capability.RETRIEVE in self._info.capabilities:
            numbers = sorted(self._ids)
            for number in numbers[:: 1 + len(numbers) // _READ_BACK]:
                found = self._target.retrieve(self._script.agent, self._ids[number])
                self._expect_record("retrieve_memory, after all was done,", number, found)
        if {Capability.MULTI_PROCESS, Capability.PERSISTENT, Capability.DELETE} <= (
            self._info.capabilities
        ):
            for record_id in self._ids.values():  # others will use that store after us
                self._target.delete(self._script.agent, record_id)
        self._target.close()

    def _prepare(self, script: Script) -> None:
        self._script = script
        if Capability.VECTORS_IN in self._info.capabilities:
            flat = np.frombuffer(script.vectors, dtype=np.float32)
            self._vectors = list(flat.reshape(len(script.states), -1))
        makers = {
            "create_memory": self._create,
            "retrieve_memory": self._retrieve,
            "search_memory": self._search,
        }
        self._makers = [makers[kind] for kind in script.kinds]
        records = [self._record(number) for number in range(script.filled)]
        if Capability.STORE_MANY in self._info.capabilities:
            ids = self._target.store_many(records) if records else []
        else:
            ids = [self._target.store(record) for record in records]
        self._ids = {number: str(record_id) for number, record_id in enumerate(ids)}
        gc.collect()
        gc.freeze()  # what we hold ourselves must not make the target's collections longer

    def _measured(self, turn: Turn) -> Done:
        kinds, subjects = self._script.sequence, self._script.subjects
        numbers = range(turn.first, turn.stop)
        calls = [self._makers[kinds[number]](subjects[number]) for number in numbers]
        before = _usage()
        answers: list[Any] = []
        try:
            durations = timed(calls, answers)
        except Exception as error:  # of a stranger's code, whatever it is
            kind = self._script.kinds[kinds[turn.first + len(answers)]]
            raise Refused(f"{kind} raised {type(error).__name__}: {error}") from error
        cpu_seconds, switches = _usage()
        self._check(numbers, answers)
        return Done(
            np.array(durations, dtype=np.int64).tobytes(),
            cpu_seconds - before[0],
            switches - before[1],
        )

    def _record(self, number: int) -> Record:
        place = number % len(self._script.states)
        return Record(
            self._script.agent,
            f"record_{number}",
            state=self._script.states[place],
            vector=self._vectors[place] if len(self._vectors) else None,
            step=number,
        )

    def _create(self, number: int) -> Callable[[], Any]:
        return partial(self._target.store, self._record(number))

    def _retrieve(self, number: int) -> Callable[[], Any]:
        return partial(self._target.retrieve, self._script.agent, self._ids[number])

    def _search(self, number: int) -> Callable[[], Any]:
        record = self._record(number)
        return partial(
            self._target.search, record.agent_id, record.state, HITS, vector=record.vector
        )

    def _check(self, numbers: range, answers: Sequence[Any]) -> None:
        """Refuse answers that are none: failing fast is not speed."""
        for number, answer in zip(numbers, answers, strict=True):
            kind = self._script.kinds[self._script.sequence[number]]
            subject = self._script.subjects[number]
            if kind == "retrieve_memory":
                self._expect_record(kind, subject, answer)
            elif not answer:
                raise Refused(f"{kind} number {number} answered {answer!r}")
            if kind == "create_memory":
                self._ids[subject] = str(answer)

    def _expect_record(self, what: str, number: int, found: Record | None) -> None:
        if found is None:
            raise Refused(f"{what} found nothing where record {number} had been stored")
        if found.state != self._script.states[number % len(self._script.states)]:
            raise Refused(f"{what} found another state than was stored as record {number}")


def timed(calls: Sequence[Callable[[], Any]], answers: list[Any]) -> list[int]:
    """Call one after the other and return how many nanoseconds each took.

    Args:
        calls: What is timed.
        answers: Gets what each returned, as far as they came.
    """
    now = time.perf_counter_ns
    durations = []
    for call in calls:
        started = now()
        answer = call()
        finished = now()
        durations.append(finished - started)
        answers.append(answer)
    return durations


def _move(cpu: int) -> None:
    """Keep all threads of this process on one CPU."""
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {cpu})


def _modules_checksum() -> int:
    paths = {str(getattr(module, "__file__", "")) for module in list(sys.modules.values())}
    return zlib.crc32("\n".join(sorted(paths)).encode())


def _usage() -> tuple[float, int]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_nivcsw


if __name__ == "__main__":
    main()
