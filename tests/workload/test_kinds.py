"""States of the three kinds are seeded, differ from each other, and develop step by step."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from agentmem_observe.targets.embedded.embedding import embed
from agentmem_observe.workload.kinds import EPISODE_STEPS, KINDS, generate_kind


def states(kind: str, count: int = 400, seed: int = 1) -> list[dict[str, Any]]:
    return list(generate_kind(kind, count, seed))


def fields_of(value: Any, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return {path}.union(*(fields_of(inner, f"{path}.{key}") for key, inner in value.items()))
    if isinstance(value, list):
        return {path}.union(*(fields_of(inner, path) for inner in value))
    return {path}


def words_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(words_of, value.values()))
    if isinstance(value, list):
        return set().union(*map(words_of, value))
    return set(value.lower().split()) if isinstance(value, str) else set()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_states_and_another_seed_others(kind: str) -> None:
    assert states(kind, seed=1) == states(kind, seed=1)
    assert states(kind, seed=1)[:5] == states(kind, count=5, seed=1)
    assert all(one != other for one, other in zip(states(kind), states(kind, seed=2), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_states_survive_json_and_are_of_the_documented_size(kind: str) -> None:
    for step, state in enumerate(states(kind)):
        text = json.dumps(state, allow_nan=False)
        assert json.loads(text) == state
        assert state["step"] == step
        assert 200 <= len(text) <= 1_200


def test_kinds_share_neither_fields_nor_vocabulary() -> None:
    seen = {kind: states(kind) for kind in KINDS}

    for kind in KINDS:
        for other in set(KINDS) - {kind}:
            shared = fields_of(seen[kind][0]) & fields_of(seen[other][0])
            assert shared == {"", ".step"}
            words, theirs = (words_of([*seen[name]]) for name in (kind, other))
            assert len(words & theirs) < 0.1 * min(len(words), len(theirs))


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_resembles_its_neighbours_in_time_more_than_other_episodes(kind: str) -> None:
    vectors = np.stack([embed(state) for state in states(kind)])
    cosines = vectors @ vectors.T

    following = [cosines[step, step + 1] for step in range(EPISODE_STEPS - 1)]
    elsewhere = cosines[:EPISODE_STEPS, EPISODE_STEPS:]

    assert np.mean(following) > np.mean(elsewhere) + 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_hardly_any_state_follows_itself(kind: str) -> None:
    bare = [{k: v for k, v in state.items() if k != "step"} for state in states(kind)]

    assert sum(before == after for before, after in pairwise(bare)) < 0.02 * len(bare)


def test_an_inventory_never_holds_more_than_its_slots_or_nothing() -> None:
    assert all(1 <= len(state["slots"]) <= 10 for state in states("inventory", 2_000))


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="no kind 'dialog'; did you mean 'dialogue'"):
        generate_kind("dialog", 1)


def test_no_states_are_no_states() -> None:
    assert states("navigation", 0) == []
