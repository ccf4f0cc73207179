"""What makes a duel doubtful, in sentences for people."""

from collections.abc import Iterator, Mapping

from agentmem_observe.bench.duel.rounds import A, B, KindFigures
from agentmem_observe.bench.duel.supervisor import Contender, Duel

_FOREIGN = 0.25
_STEAL = 0.05
_FEW = 30


def doubts(duel: Duel, contenders: Mapping[str, Contender]) -> list[str]:
    """Return what a reader of the verdict should know.

    Args:
        duel: Which is over.
        contenders: Who fought.
    """
    return [*_of_the_sides(duel, contenders), *_of_the_host(duel), *_of_the_operations(duel)]


def _of_the_sides(duel: Duel, contenders: Mapping[str, Contender]) -> list[str]:
    said = []
    ours, theirs = duel.opened[A], duel.opened[B]
    is_meant = contenders[A] != contenders[B] and contenders[A].spec == contenders[B].spec
    variables = contenders[A].installation.environment != contenders[B].installation.environment
    if is_meant and not variables and ours == theirs:
        said.append(
            f"both sides imported the same files, {ours.origin} and all others: see that each "
            "finds its own code"
        )
    if ours.python != theirs.python:
        said.append(f"A runs on Python {ours.python}, B on {theirs.python}: that is compared too")
    if ours.name != theirs.name and contenders[A].spec == contenders[B].spec:
        said.append(f"A calls itself {ours.name!r}, B {theirs.name!r}")
    return said


def _of_the_host(duel: Duel) -> list[str]:
    said = []
    if any(each.cpu is None for each in duel.rounds):
        said.append(
            "this system does not let a process choose its CPU: the two sides may have worked on "
            "different ones"
        )
    noise = duel.noise
    if noise is None:
        return said
    if noise.foreign_cpu_ratio is not None and noise.foreign_cpu_ratio >= _FOREIGN:
        said.append(
            f"other programs used {noise.foreign_cpu_ratio:.0%} of all CPUs: more rounds were "
            "needed than on a quiet host"
        )
    if noise.steal_ratio is not None and noise.steal_ratio >= _STEAL:
        said.append(f"the hypervisor gave {noise.steal_ratio:.0%} of the CPUs' time to others")
    if noise.throttled_periods_total:
        said.append(
            f"a CPU quota stopped this group of processes in {noise.throttled_periods_total} "
            "periods"
        )
    return said


def _of_the_operations(duel: Duel) -> list[str]:
    counts = {
        kind: min((f.operations for f in _figures(duel, kind)), default=0)
        for kind in duel.mix.shares
    }
    few = [f"{count} of kind {kind}" for kind, count in counts.items() if count < _FEW]
    if not few:
        return []
    return [
        f"a round has but few operations, {', '.join(few)}: where they are slow, give more "
        "--rounds and --seconds"
    ]


def _figures(duel: Duel, kind: str) -> Iterator[KindFigures]:
    return (each.figures[kind] for each in duel.rounds if kind in each.figures)
