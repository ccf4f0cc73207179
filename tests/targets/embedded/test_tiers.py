from dataclasses import replace

import pytest

from agentmem_observe.clock import FakeClock
from agentmem_observe.model import TIERS, Record
from agentmem_observe.targets.embedded import EmbeddedMemory


def a_record(number: int, tier: str | None = None, importance: float = 0.5) -> Record:
    state = {"room": f"room{number}", "done": False, "path": [1, 2.5]}
    return Record(
        "agent", f"r{number}", state=state, importance=importance, step=number, tier=tier
    )


def tier_of(memory: EmbeddedMemory, number: int) -> str | None:
    found = memory.retrieve("agent", f"r{number}")
    return None if found is None else found.tier


def counts(memory: EmbeddedMemory) -> list[int]:
    return [memory.count("agent", tier) for tier in TIERS]


def test_a_full_stm_gives_its_oldest_tenth_to_im(open_memory) -> None:
    memory = open_memory(stm_capacity=20)

    for number in range(21):
        memory.store(a_record(number))

    assert counts(memory) == [19, 2, 0]
    assert [tier_of(memory, number) for number in (0, 1, 2)] == ["im", "im", "stm"]


def test_a_full_im_gives_its_oldest_tenth_to_ltm(open_memory) -> None:
    memory = open_memory(stm_capacity=10, im_capacity=20)

    for number in range(31):
        memory.store(a_record(number))

    assert counts(memory) == [10, 19, 2]
    assert [tier_of(memory, number) for number in (0, 1, 2)] == ["ltm", "ltm", "im"]


def test_important_records_stay_when_others_have_to_make_room(open_memory) -> None:
    memory = open_memory(stm_capacity=3)
    memory.store(a_record(0, importance=1.0))

    for number in range(1, 10):
        memory.store(a_record(number, importance=0.1))

    assert tier_of(memory, 0) == "stm"


def test_records_leave_a_tier_at_its_age_when_their_agent_stores_again(
    open_memory, clock: FakeClock
) -> None:
    memory = open_memory(stm_age_seconds=10, im_age_seconds=60)
    memory.store(a_record(0))
    clock.advance(9.9)
    memory.store(a_record(1))
    assert counts(memory) == [2, 0, 0]

    clock.advance(0.1)
    memory.store(a_record(2))

    assert [tier_of(memory, number) for number in range(3)] == ["im", "stm", "stm"]
    clock.advance(50)
    memory.store(a_record(3))
    assert [tier_of(memory, number) for number in range(4)] == ["ltm", "im", "im", "stm"]


def test_maintain_ages_the_records_of_an_agent_that_is_idle(open_memory, clock) -> None:
    memory = open_memory(stm_age_seconds=10)
    memory.store(a_record(0))
    clock.advance(10)

    memory.maintain()

    assert tier_of(memory, 0) == "im"


def test_age_is_counted_across_a_reopen(open_memory, clock) -> None:
    memory = open_memory(stm_age_seconds=10)
    memory.store(a_record(0))
    clock.advance(6)
    memory.close()

    memory.open()
    clock.advance(4)
    memory.maintain()

    assert tier_of(memory, 0) == "im"


def test_a_record_stored_again_starts_its_age_anew(open_memory, clock) -> None:
    memory = open_memory(stm_age_seconds=10)
    memory.store(a_record(0))
    clock.advance(6)

    memory.store(a_record(0))
    clock.advance(6)
    memory.maintain()

    assert tier_of(memory, 0) == "stm"


def test_a_smaller_capacity_is_kept_from_the_next_store_on(open_memory) -> None:
    memory = open_memory(stm_capacity=50)
    memory.store_many([a_record(number, "stm") for number in range(50)])
    memory.close()

    memory = open_memory(stm_capacity=5)
    memory.store(a_record(99))

    assert counts(memory) == [5, 46, 0]


def test_a_transition_into_a_small_im_pushes_on_into_ltm(open_memory) -> None:
    memory = open_memory(stm_capacity=30, im_capacity=4)
    memory.store_many([a_record(number) for number in range(30)])

    moved = memory.transition("stm", "im", agent_id="agent", fraction=1.0)

    assert moved == 30
    assert counts(memory) == [0, 4, 26]


def test_in_a_bulk_store_the_last_of_equal_ids_counts_as_the_youngest(open_memory) -> None:
    memory = open_memory(stm_capacity=20)
    records = [replace(a_record(number), step=0) for number in (*range(20), 0)]

    memory.store_many(records)
    memory.store(replace(a_record(20), step=0))

    assert [tier_of(memory, number) for number in (0, 1, 2, 3)] == ["stm", "im", "im", "stm"]


@pytest.mark.parametrize("tier", TIERS)
def test_a_state_is_equal_and_apart_from_the_callers_in_every_tier(open_memory, tier: str) -> None:
    memory = open_memory()
    state = {"nested": {"list": [1, None, {"x": "y"}]}, "number": 0.1, "text": "ä"}
    memory.store(Record("agent", "one", state=state, tier=tier))

    state["nested"] = "changed by the caller"

    found = memory.retrieve("agent", "one")
    assert found is not None
    assert found.state == {"nested": {"list": [1, None, {"x": "y"}]}, "number": 0.1, "text": "ä"}


def test_compressed_records_read_back_before_and_after_the_dictionary_and_a_reopen(
    open_memory,
) -> None:
    memory = open_memory(stm_capacity=10, im_capacity=50)
    records = [a_record(number) for number in range(600)]
    for record in records:
        memory.store(record)
    assert "trained" in memory.info().notes["dictionary"]

    memory.close()
    memory.open()

    found = [memory.retrieve("agent", record.record_id) for record in records]
    assert [f.state for f in found if f] == [record.state for record in records]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "ltm", "destination": "im", "fraction": 1.0}, "records only age"),
        ({"source": "stm", "destination": "stm", "fraction": 1.0}, "records only age"),
        ({"source": "smt", "destination": "im", "fraction": 1.0}, "did you mean 'stm'"),
        ({"source": "stm", "destination": "im"}, "either fraction or record_ids"),
        ({"source": "stm", "destination": "im", "fraction": 0}, "fraction is 0;"),
        ({"source": "stm", "destination": "im", "fraction": 1.1}, "fraction is 1.1;"),
        ({"source": "stm", "destination": "im", "record_ids": ["r"]}, "need the agent_id"),
    ],
)
def test_a_wrong_transition_is_refused(open_memory, arguments, message: str) -> None:
    memory = open_memory()

    with pytest.raises(ValueError, match=message):
        memory.transition(arguments.pop("source"), arguments.pop("destination"), **arguments)
