"""What both sides are asked to do: seeded, possible, and of the mix that was asked for."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.bench.duel.script import EQUAL_PARTS, Mix, write_script
from agentmem_observe.errors import UsageError


@pytest.fixture
def mix() -> Mix:
    return Mix(EQUAL_PARTS)


def test_the_same_seed_and_round_give_the_same_script(mix):
    assert write_script((1, 2), mix, 50, 20) == write_script((1, 2), mix, 50, 20)


@pytest.mark.parametrize("other", [(1, 3), (2, 2)])
def test_another_round_or_seed_gives_another_script(other, mix):
    ours, theirs = write_script((1, 2), mix, 50, 20), write_script(other, mix, 50, 20)

    assert ours.sequence != theirs.sequence
    assert ours.states != theirs.states
    assert ours.vectors != theirs.vectors


@given(st.integers(1, 300), st.integers(1, 50))
def test_what_is_read_was_there_before_and_what_is_stored_was_not(operations, records):
    script = write_script((1, 1), Mix(EQUAL_PARTS), operations, records)

    stored = []
    for kind, subject in zip(script.sequence, script.subjects, strict=True):
        if script.kinds[kind] == "create_memory":
            stored.append(subject)
        else:
            assert 0 <= subject < records
    assert stored == list(range(records, records + len(stored)))
    assert len(script.sequence) == operations


def test_operations_come_as_often_as_their_weights_say():
    mix = Mix({"create_memory": 1, "retrieve_memory": 0, "search_memory": 3})

    script = write_script((1, 1), mix, 4_000, 10)

    counts = Counter(script.kinds[kind] for kind in script.sequence)
    assert set(counts) == {"create_memory", "search_memory"}
    assert counts["search_memory"] == pytest.approx(3_000, rel=0.1)


def test_what_one_of_both_cannot_do_is_left_out(mix):
    assert mix.within({"retrieve", "delete"}).shares == {
        "create_memory": 0.5,
        "retrieve_memory": 0.5,
    }


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"serch_memory": 1.0}, "no operation 'serch_memory'; did you mean 'search_memory'"),
        ({"search_memory": -1.0}, "the weight of search_memory is -1.0; give 0 or more"),
        ({"search_memory": float("nan")}, "the weight of search_memory is nan"),
        ({"search_memory": 0.0}, "all weights are 0"),
    ],
)
def test_a_mix_that_is_none_is_refused(weights, said):
    with pytest.raises(UsageError, match=said):
        Mix(weights)


def test_targets_that_can_do_nothing_of_the_mix_are_refused():
    with pytest.raises(UsageError, match="both sides can do none of search_memory"):
        Mix({"search_memory": 1.0}).within({"retrieve"})
