"""Records that can be made again by number."""

import numpy as np
import pytest

from agentmem_observe.model import Record
from agentmem_observe.workload.corpus import BLOCK_SIZE, Corpus, number_of

CORPUS = Corpus("agent", seed=3)


def made(first: int, stop: int, corpus: Corpus = CORPUS) -> list[Record]:
    return [record for part in corpus.parts(first, stop) for record in part]


def same(one: Record, other: Record) -> bool:
    assert one.vector is not None
    assert other.vector is not None
    return (one.record_id, one.state, one.step) == (
        other.record_id,
        other.state,
        other.step,
    ) and np.array_equal(one.vector, other.vector)


@pytest.mark.parametrize(("first", "stop"), [(0, 3), (498, 503), (500, 500), (999, 1501)])
def test_parts_hold_exactly_the_numbers_asked_for(first: int, stop: int) -> None:
    records = made(first, stop)

    assert [record.step for record in records] == list(range(first, stop))
    assert [number_of(record.record_id) for record in records] == list(range(first, stop))


def test_a_record_is_the_same_however_it_is_made() -> None:
    (picked, again) = CORPUS.pick([BLOCK_SIZE + 7, BLOCK_SIZE + 7])

    assert same(picked, made(0, 600)[BLOCK_SIZE + 7])
    assert same(picked, again)
    assert picked.state is not None
    assert picked.state["step"] == BLOCK_SIZE + 7


def test_no_two_records_are_alike_nor_is_one_a_query() -> None:
    records = [*made(0, 1000), *CORPUS.queries(200)]

    assert len({repr(record.state) for record in records}) == 1200
    assert (
        len({record.vector.tobytes() for record in records if record.vector is not None}) == 1200
    )


def test_all_blocks_are_about_the_same_topics() -> None:
    first = np.stack([record.vector for record in made(0, 500)])  # type: ignore[misc]
    far = np.stack([record.vector for record in made(500_000, 500_100)])  # type: ignore[misc]
    other = np.stack([r.vector for r in made(0, 100, Corpus("agent", seed=4))])  # type: ignore[misc]

    nearest = (far @ first.T).max(axis=1)

    assert np.median(nearest) > 0.75
    assert np.median((other @ first.T).max(axis=1)) < 0.5


def test_a_seed_makes_other_records_than_another() -> None:
    assert made(0, 1)[0].state != made(0, 1, Corpus("agent", seed=4))[0].state


def test_without_vectors_there_are_states_alone() -> None:
    (record,) = Corpus("agent", with_vectors=False).pick([5])

    assert record.vector is None
    assert record.state is not None
