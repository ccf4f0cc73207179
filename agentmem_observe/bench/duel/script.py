"""What both sides of a round do: seeded records, and a seeded order of operations on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np

from agentmem_observe.bench.duel.side import Script
from agentmem_observe.errors import UsageError, did_you_mean
from agentmem_observe.targets.base import Capability
from agentmem_observe.workload.states import generate_states
from agentmem_observe.workload.vectors import generate_vectors

KINDS = {
    "create_memory": None,
    "retrieve_memory": Capability.RETRIEVE,
    "search_memory": Capability.SEARCH,
}
"""Kinds of operation, and what a target must be able to do for them."""

EQUAL_PARTS: Mapping[str, float] = dict.fromkeys(KINDS, 1.0)

_STATES = 500  # different ones; operations may be many more


@dataclass(frozen=True, slots=True)
class Mix:
    """Which operations there are, and how often each comes.

    Attributes:
        weights: Of each kind, >= 0 and not all 0.
    """

    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        for kind, weight in self.weights.items():
            if kind not in KINDS:
                raise UsageError(f"--mix: no operation {kind!r}; {did_you_mean(kind, KINDS)}")
            if not 0 <= weight < float("inf"):
                raise UsageError(f"--mix: the weight of {kind} is {weight!r}; give 0 or more")
        if not any(self.weights.values()):
            raise UsageError("--mix: all weights are 0; give one of them more")

    def within(self, capabilities: set[str]) -> "Mix":
        """Return what is left of it for targets that can do only so much.

        Raises:
            UsageError: If nothing is.
        """
        able = {
            kind: weight
            for kind, weight in self.weights.items()
            if weight and (KINDS[kind] is None or str(KINDS[kind]) in capabilities)
        }
        if not able:
            raise UsageError(
                f"both sides can do none of {', '.join(self.weights)}; choose others with --mix"
            )
        return Mix(able)

    @property
    def shares(self) -> dict[str, float]:
        """Return the share of each kind; together they are 1."""
        total = sum(self.weights.values())
        return {kind: weight / total for kind, weight in self.weights.items() if weight}


def write_script(seed: tuple[int, int], mix: Mix, operations: int, records: int) -> Script:
    """Return a round's script, without the agent.

    Args:
        seed: Of the duel, and the number of the round.
        mix: Which operations.
        operations: How many, >= 1.
        records: How many are there before the first, >= 1; reads and searches are about these.
    """
    random = np.random.default_rng(seed)
    kinds = list(mix.shares)
    sequence = random.choice(len(kinds), size=operations, p=list(mix.shares.values()))
    subjects = random.integers(records, size=operations)
    is_new = np.array([kind == "create_memory" for kind in kinds])[sequence]
    fresh = count(records)
    text_seed = int(random.integers(1 << 31))
    needed = records + int(is_new.sum())
    states = list(generate_states(min(_STATES, needed), seed=text_seed))
    return Script(
        agent="",
        states=states,
        vectors=generate_vectors(len(states), text_seed).tobytes(),
        filled=records,
        kinds=kinds,
        sequence=sequence.astype(np.uint8).tobytes(),
        subjects=[
            next(fresh) if new else int(subject)
            for new, subject in zip(is_new, subjects, strict=True)
        ],
    )
