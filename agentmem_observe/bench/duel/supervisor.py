"""Runs a duel: round after round, until the verdict is sure or hopeless."""

import os
import resource
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agentmem_observe.analysis.duel import FIRST_LOOK, Judgement, judge_duel
from agentmem_observe.bench.duel.installation import Installation
from agentmem_observe.bench.duel.process import SideProcess, started
from agentmem_observe.bench.duel.rounds import (
    SIDES,
    A,
    B,
    KindFigures,
    Plan,
    figures_of,
    overall,
    plan_for,
    take_turns,
    typical_seconds,
)
from agentmem_observe.bench.duel.script import EQUAL_PARTS, Mix, write_script
from agentmem_observe.bench.duel.side import Done, Move, Opened, Script, Start, Turn
from agentmem_observe.measure.noise import Noise, NoiseProbe, noise_between

_PILOT_OPERATIONS = 2_000
_PILOT_SECONDS = 0.02
_PILOT_MOST_SECONDS = 0.5
_PILOT_LEAST = 64
_UNKNOWN = Judgement("inconclusive", False, 0.0, None, None, ("no round was fought",))


@dataclass(frozen=True, slots=True)
class Contender:
    """One side.

    Attributes:
        spec: Name of its target.
        installation: Where its code is from.
    """

    spec: str
    installation: Installation


@dataclass(frozen=True, slots=True)
class DuelOptions:
    """How a duel is fought.

    Attributes:
        mix: Which operations there are.
        records: That each side holds before the first operation, >= 1.
        threshold_ratio: A change of less than this is as good as none, > 0.
        rounds: At the most, 3 to 200; fewer if no more fit into the time.
        seconds: Of taking turns, at the most, > 0.
        seed: For everything random.
        timeout_seconds: After this a side that does not answer has failed.
    """

    mix: Mix = field(default_factory=lambda: Mix(EQUAL_PARTS))
    records: int = 500
    threshold_ratio: float = 0.01
    rounds: int = 20
    seconds: float = 10.0
    seed: int = 1
    timeout_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Round:
    """One round.

    Attributes:
        number: From 1.
        first: The side that began.
        cpu: The CPU that both worked on; None if none was chosen for them.
        figures: By kind of operation.
        log_ratio: All kinds together, see `rounds.overall`.
        seconds: How long the turns took.
        cpu_seconds: CPU time that they took.
        switches: How often a side had to leave the CPU to others in its turn.
    """

    number: int
    first: str
    cpu: int | None
    figures: Mapping[str, KindFigures]
    log_ratio: float
    seconds: float
    cpu_seconds: float
    switches: int


@dataclass(slots=True)
class Duel:
    """A duel, as far as it came.

    Attributes:
        opened: What each side says of itself.
        mix: The operations that both sides can do.
        plan: How each round goes.
        most_rounds: When it ends at the latest.
        rounds: That were fought.
        judgement: On all of them.
        noise: What else the host did meanwhile.
        seconds: The whole duel, starting processes too.
    """

    opened: Mapping[str, Opened]
    mix: Mix
    plan: Plan
    most_rounds: int
    rounds: list[Round] = field(default_factory=list)
    judgement: Judgement = _UNKNOWN
    noise: Noise | None = None
    seconds: float = 0.0

    @property
    def measured_seconds(self) -> float:
        """Return how long both sides took turns, warm-ups included."""
        return sum(each.seconds for each in self.rounds)


class Listener:
    """Is told how a duel goes. This one takes no notice."""

    def began(self, duel: Duel) -> None:
        """Both sides work; the first round comes."""

    def round_ended(self, duel: Duel) -> None:
        """One more round was fought and judged."""


def fight(contenders: Mapping[str, Contender], options: DuelOptions, listener: Listener) -> Duel:
    """Let two targets fight until it is sure which one is slower, or hopeless to say.

    Args:
        contenders: Both, under the names ``A`` and ``B``.
        options: How.
        listener: Is told how it goes.

    Raises:
        BenchmarkError: If a side fails, in whatever way; the message says which and why.
        UsageError: If both can do none of the operations.
    """
    began, noise = time.monotonic(), NoiseProbe()
    quiet, cpu_before = noise.read(), _cpu_seconds()
    with tempfile.TemporaryDirectory(prefix="agentmem-observe-") as directory:
        ring = _Ring(contenders, options, Path(directory))
        duel = ring.pilot()
        listener.began(duel)
        while not duel.judgement.final and duel.measured_seconds < options.seconds:
            duel.rounds.append(ring.round(len(duel.rounds) + 1, duel))
            duel.judgement = judge_duel(
                [each.log_ratio for each in duel.rounds], duel.most_rounds, options.threshold_ratio
            )
            listener.round_ended(duel)
    own = _cpu_seconds() - cpu_before
    duel.noise = noise_between(quiet, noise.read(), own_cpu_seconds=own)
    duel.seconds = time.monotonic() - began
    return duel


class _Ring:
    """Where rounds are fought: each in a fresh pair of processes."""

    def __init__(
        self, contenders: Mapping[str, Contender], options: DuelOptions, directory: Path
    ) -> None:
        self._contenders, self._options, self._directory = contenders, options, directory
        self._series = secrets.token_hex(4)
        self._cpus = usable_cpus()
        # A toss before each round decides which side comes first in everything. Then whatever the
        # host does from round to round favours either side as likely, and it is by chance alone
        # that one is favoured in most of them. Not from the seed: its tosses would be the same in
        # every duel.
        self._tosses = np.random.default_rng()

    def pilot(self) -> Duel:
        """Fight twice for nothing, to see what both can do and how long it takes them."""
        with self._pair(0, A, self._cpus[0] if self._cpus else None) as (sides, opened):
            mix = self._options.mix.within(
                set(opened[A].capabilities) & set(opened[B].capabilities)
            )
            script = self._script(0, mix, _PILOT_OPERATIONS)
            self._prepare(sides, script)
            slower = max(_operation_seconds(sides[name], script) for name in SIDES)
            _finish(sides)
        duel = Duel(opened, mix, plan_for(slower), self._options.rounds)
        # The judge must know how many rounds there can be; so many fit into the time.
        fitting = int(self._options.seconds / self.round(0, duel).seconds)
        duel.most_rounds = min(duel.most_rounds, max(fitting, FIRST_LOOK))
        return duel

    def round(self, number: int, duel: Duel) -> Round:
        """Fight a round that counts."""
        first = SIDES[self._tosses.integers(2)]
        cpu = int(self._tosses.choice(self._cpus)) if self._cpus else None
        with self._pair(number, first, cpu) as (sides, _):
            script = self._script(number, duel.mix, duel.plan.operations)
            self._prepare(sides, script)
            times = take_turns(sides, duel.plan, first)
            _finish(sides)
        figures = figures_of(times, duel.plan, script.kinds, script.sequence)
        return Round(
            number,
            first,
            cpu,
            figures,
            overall(figures, duel.mix.shares),
            times.seconds,
            times.cpu_seconds,
            times.switches,
        )

    def _hash_seed(self, number: int) -> int:
        return int(np.random.default_rng((self._options.seed, number)).integers(1, 1 << 32))

    @contextmanager
    def _pair(
        self, number: int, first: str, cpu: int | None
    ) -> Iterator[tuple[Mapping[str, SideProcess], Mapping[str, Opened]]]:
        """Start both sides at the same time, on two CPUs if there are; then they share one.

        What is done to one after the other is done in the order in which they begin, and they are
        named by their place in that: the pages that a process gets depend on who came before.
        """
        others = [other for other in self._cpus if other != cpu]
        root = self._directory / str(number)
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, root, ignore_errors=True)
            sides: dict[str, SideProcess] = {}
            for place, name in enumerate((first, *(each for each in SIDES if each != first))):
                contender = self._contenders[name]
                own = root / str(place)
                own.mkdir(parents=True)
                sides[name] = stack.enter_context(
                    started(
                        name,
                        contender.installation,
                        cpu=others[0] if others and name != first else cpu,
                        hash_seed=self._hash_seed(number),
                        patience_seconds=self._options.timeout_seconds,
                    )
                )
                shadowing = contender.installation.is_ours
                sides[name].tell(Start(contender.spec, str(own), shadowing))
            opened = {}
            for name, side in sides.items():
                answer = side.answer()
                assert isinstance(answer, Opened)
                opened[name] = answer
            if cpu is not None and others:
                for side in sides.values():
                    side.done(Move(cpu))
            yield sides, opened

    def _script(self, number: int, mix: Mix, operations: int) -> Script:
        return write_script((self._options.seed, number), mix, operations, self._options.records)

    def _prepare(self, sides: Mapping[str, SideProcess], script: Script) -> None:
        for place, side in enumerate(sides.values()):
            # Two sides of one store must not meet.
            agent = f"duel_{self._series}_{place}"
            side.done(
                Script(
                    agent,
                    script.states,
                    script.vectors,
                    script.filled,
                    script.kinds,
                    script.sequence,
                    script.subjects,
                )
            )


def usable_cpus() -> Sequence[int]:
    """Return the CPUs that this process may use; none where the system can't say."""
    if not hasattr(os, "sched_getaffinity") or not os.path.isdir("/proc/self/task"):
        return ()
    return sorted(os.sched_getaffinity(0))


def _operation_seconds(side: SideProcess, script: Script) -> float:
    """Return how long an operation takes on average, if nothing interrupts it."""
    kinds = np.frombuffer(script.sequence, dtype=np.uint8)
    first, count = 0, 1
    while True:
        stop = min(first + count, len(kinds))
        done = side.turn(Turn(first, stop))
        seconds = np.frombuffer(done.durations, dtype=np.int64) / 1e9
        # One that was slow because it was the first, or interrupted, is not typical.
        is_typical = len(seconds) >= _PILOT_LEAST or seconds.sum() >= _PILOT_MOST_SECONDS
        if stop == len(kinds) or (is_typical and seconds.sum() >= _PILOT_SECONDS):
            return max(1e-7, typical_seconds(seconds, kinds[first:stop]))
        first, count = stop, 2 * count


def _finish(sides: Mapping[str, SideProcess]) -> None:
    for side in sides.values():
        side.dismiss()
        assert isinstance(side.answer(), Done)


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of those of its children that have ended."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in times)
