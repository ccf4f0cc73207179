"""What every target owes the rest of the project, asked of each shipped one."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmem_observe.errors import UnsupportedError
from agentmem_observe.model import TIERS, Record, Vector
from agentmem_observe.targets.base import Capability, MemoryTarget
from agentmem_observe.targets.registry import build_target

DIMENSIONS = 384
TARGETS = [
    pytest.param("embedded", id="embedded"),
    pytest.param("embedded?exact=true", id="embedded-exact"),
    pytest.param("fake", id="fake"),
    pytest.param("fake?lacks=tiers,count,delete,store_many,vectors_in", id="fake-core-only"),
    pytest.param("langgraph", id="langgraph"),
    pytest.param("redis://{redis}", id="redis", marks=pytest.mark.server),
    pytest.param(
        "redis://{redis}?keep=true&prefix={unique}", id="redis-kept", marks=pytest.mark.server
    ),
]


@pytest.fixture(params=TARGETS)
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], MemoryTarget]:
    """Build the same target, on the same data, as often as it is called."""
    text = request.param
    if "{redis}" in text:
        location = request.getfixturevalue("redis_location")
        text = text.format(redis=location, unique=uuid.uuid4().hex)
    return lambda: build_target(text, tmp_path)


@pytest.fixture
def target(build: Callable[[], MemoryTarget]) -> Iterator[MemoryTarget]:
    target = build()
    target.open()
    yield target
    target.close()


@cache
def capabilities_of(text: str) -> frozenset[Capability]:
    """Return what a target says it can do; it is asked without a server."""
    return build_target(text.format(redis="127.0.0.1:1/0", unique="x"), Path()).info().capabilities


def having(*capabilities: Capability) -> pytest.MarkDecorator:
    """Ask only targets that can do all of these."""
    able = [one for one in TARGETS if capabilities_of(one.values[0]).issuperset(capabilities)]
    return pytest.mark.parametrize("build", able, indirect=True)


def lacking(capability: Capability) -> pytest.MarkDecorator:
    """Ask only targets that can not do this."""
    unable = [one for one in TARGETS if capability not in capabilities_of(one.values[0])]
    return pytest.mark.parametrize("build", unable, indirect=True)


def a_state(number: int) -> dict[str, Any]:
    names = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath")
    return {
        "goal": f"{names[number % 8]} {names[number // 8 % 8]}",
        "room": f"room{number}",
        "position": [number * 10, -number],
        "done": number % 2 == 0,
    }


def a_record(number: int, agent_id: str = "agent", tier: str | None = None) -> Record:
    return Record(agent_id, f"record-{number}", state=a_state(number), step=number, tier=tier)


def a_vector(seed: int) -> Vector:
    vector = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return vector / np.linalg.norm(vector)


def leaning(degrees: float) -> Vector:
    """Return a unit vector at this angle to the first axis."""
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    vector[:2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


def test_it_describes_itself_before_it_is_opened(build: Callable[[], MemoryTarget]) -> None:
    info = build().info()

    assert info.name
    assert info.version
    assert {Capability.RETRIEVE, Capability.SEARCH} <= info.capabilities
    assert bool(info.tiers) == (Capability.TIERS in info.capabilities)


@pytest.mark.parametrize(
    "state",
    [
        None,
        {"text": "schön \N{SNOWMAN} \u0000", "empty": "", "none": None, "yes": True},
        {"deep": {"list": [1, 2.5, [], {"x": [-1]}], "large": 2**53}, "small": 1e-300},
    ],
    ids=["no state", "text", "nested"],
)
def test_a_record_comes_back_as_it_was_stored(
    target: MemoryTarget, state: dict[str, Any] | None
) -> None:
    record = Record("agent", "one", content="füße", state=state, importance=0.1, step=7)

    stored_id = target.store(record)
    found = target.retrieve("agent", stored_id)

    assert found is not None
    assert (found.agent_id, found.record_id) == ("agent", stored_id)
    assert (found.content, found.state) == (record.content, record.state)
    assert (found.importance, found.step) == (0.1, 7)


@having(Capability.CALLER_IDS)
def test_a_record_keeps_the_id_of_its_caller(target: MemoryTarget) -> None:
    assert target.store(a_record(3)) == "record-3"


@having(Capability.VECTORS_IN)
def test_a_record_comes_back_with_the_vector_it_was_stored_with(target: MemoryTarget) -> None:
    vector = a_vector(1)

    target.store(Record("agent", "one", content="one", vector=vector))
    found = target.retrieve("agent", "one")

    assert found is not None
    assert found.vector is not None
    assert float(found.vector @ vector) > 0.999


@having(Capability.TIERS)
@pytest.mark.parametrize("tier", TIERS)
def test_a_record_comes_back_from_the_tier_it_was_stored_in(
    target: MemoryTarget, tier: str
) -> None:
    target.store(a_record(1, tier=tier))
    found = target.retrieve("agent", "record-1")

    assert found is not None
    assert (found.tier, found.state, found.step) == (tier, a_state(1), 1)


def test_an_unknown_id_and_an_unknown_agent_have_no_record(target: MemoryTarget) -> None:
    target.store(a_record(1))

    assert target.retrieve("agent", "record-2") is None
    assert target.retrieve("nobody", "record-1") is None


def test_an_agent_without_records_finds_nothing(target: MemoryTarget) -> None:
    target.store(a_record(1))

    assert target.search("nobody", a_state(1), 5) == []


@having(Capability.UPDATE)
def test_storing_an_id_again_replaces_the_record(target: MemoryTarget) -> None:
    target.store(Record("agent", "one", state=a_state(1)))
    target.store(Record("agent", "two", state=a_state(2)))

    target.store(Record("agent", "one", state=a_state(30)))

    found = target.retrieve("agent", "one")
    assert found is not None
    assert found.state == a_state(30)
    assert sorted(h.record_id for h in target.search("agent", a_state(30), 5)) == ["one", "two"]
    assert target.search("agent", a_state(30), 1)[0].record_id == "one"


@having(Capability.UPDATE, Capability.TIERS, Capability.COUNT)
def test_storing_an_id_again_in_another_tier_leaves_one_record(target: MemoryTarget) -> None:
    target.store(a_record(1, tier="ltm"))

    target.store(a_record(1, tier="stm"))

    assert [target.count("agent", tier) for tier in TIERS] == [1, 0, 0]


@having(Capability.AGENT_SCOPE)
def test_one_agent_never_meets_the_records_of_another(target: MemoryTarget) -> None:
    # Ids that a careless key would mix up.
    target.store(Record("a", "b:c", content="first", state=a_state(1)))
    target.store(Record("a:b", "c", content="second", state=a_state(1)))
    target.store(Record("ab", "c", content="third", state=a_state(1)))

    found = [target.retrieve(*name) for name in (("a", "b:c"), ("a:b", "c"), ("ab", "c"))]
    hits = target.search("a", a_state(1), 10)

    assert [r and r.content for r in found] == ["first", "second", "third"]
    assert [(hit.agent_id, hit.record_id) for hit in hits] == [("a", "b:c")]


@having(Capability.DELETE)
def test_a_deleted_record_is_gone_for_its_agent_alone(target: MemoryTarget) -> None:
    for agent_id in ("one", "two"):
        target.store(a_record(1, agent_id))

    assert target.delete("one", "record-1") is True
    assert target.delete("one", "record-1") is False
    assert target.delete("nobody", "record-1") is False
    assert target.retrieve("one", "record-1") is None
    assert target.search("one", a_state(1), 5) == []
    assert target.retrieve("two", "record-1") is not None


@having(Capability.DELETE, Capability.COUNT)
def test_a_deleted_record_is_not_counted(target: MemoryTarget) -> None:
    for number in range(3):
        target.store(a_record(number))

    target.delete("agent", "record-1")

    assert (target.count("agent"), target.count()) == (2, 2)


@having(Capability.COUNT)
def test_it_counts_by_agent_and_in_all(target: MemoryTarget) -> None:
    for number in range(5):
        target.store(a_record(number, "one"))
    target.store(a_record(1, "two"))
    target.store(a_record(1, "one"))

    counts = [target.count("one"), target.count("two"), target.count("nobody"), target.count()]

    assert counts == [5, 1, 0, 6]


@having(Capability.COUNT, Capability.TIERS)
def test_it_counts_by_tier(target: MemoryTarget) -> None:
    for number, tier in enumerate(["stm", "im", "im", "ltm", "ltm", "ltm"]):
        target.store(a_record(number, "one" if number else "two", tier))

    assert [target.count(tier=tier) for tier in TIERS] == [1, 2, 3]
    assert [target.count("one", tier) for tier in TIERS] == [0, 2, 3]


def test_every_stored_state_finds_itself_first(target: MemoryTarget) -> None:
    numbers = range(60)
    for number in numbers:
        target.store(a_record(number))

    firsts = [target.search("agent", a_state(number), 3)[0].record_id for number in numbers]

    assert firsts == [f"record-{number}" for number in numbers]


def test_every_stored_text_finds_itself_first(target: MemoryTarget) -> None:
    texts = ["the door is locked", "a key lies on the table", "the lamp is out", "it rains"]
    for text in texts:
        target.store(Record("agent", text.replace(" ", "-"), content=text))

    firsts = [target.search("agent", text, 2)[0].record_id for text in texts]

    assert firsts == [text.replace(" ", "-") for text in texts]


@having(Capability.VECTORS_IN)
@pytest.mark.parametrize("k", [1, 3, 9, 20])
def test_a_search_answers_with_the_k_nearest_best_first(target: MemoryTarget, k: int) -> None:
    angles = [40, 10, 80, 20, 60, 0, 70, 30, 50]
    for angle in angles:
        target.store(Record("agent", str(angle), content=f"{angle}", vector=leaning(angle)))

    hits = target.search("agent", None, k, vector=leaning(-5))

    assert [hit.record_id for hit in hits] == [str(angle) for angle in sorted(angles)[:k]]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@having(Capability.TIERS)
def test_a_search_in_one_tier_finds_the_records_of_that_tier(target: MemoryTarget) -> None:
    for number in range(9):
        target.store(a_record(number, tier=TIERS[number % 3]))

    found = {tier: target.search("agent", a_state(0), 9, tier=tier) for tier in TIERS}
    everywhere = target.search("agent", a_state(0), 9)

    for place, tier in enumerate(TIERS):
        assert {hit.tier for hit in found[tier]} == {tier}
        assert sorted(hit.record_id for hit in found[tier]) == [
            f"record-{number}" for number in range(place, 9, 3)
        ]
    assert len(everywhere) == 9


@having(Capability.TRANSITION, Capability.COUNT)
@pytest.mark.parametrize(("source", "destination"), [("stm", "im"), ("im", "ltm"), ("stm", "ltm")])
def test_a_transition_conserves_the_records(
    target: MemoryTarget, source: str, destination: str
) -> None:
    for number in range(20):
        target.store(a_record(number, tier=source))

    moved = target.transition(source, destination, fraction=0.5)

    assert moved == 10
    assert target.count("agent", source) == 10
    assert target.count("agent", destination) == 10
    assert target.count() == 20
    for number in range(20):
        found = target.retrieve("agent", f"record-{number}")
        assert found is not None
        assert (found.state, found.step) == (a_state(number), number)
        assert found.tier == (destination if number < 10 else source), "the oldest move first"
        assert target.search("agent", a_state(number), 1)[0].record_id == f"record-{number}"


@having(Capability.TRANSITION, Capability.COUNT)
def test_a_transition_moves_the_least_important_records_first(target: MemoryTarget) -> None:
    for number, importance in enumerate([0.9, 0.1, 0.5, 0.2]):
        record_id = f"record-{number}"
        target.store(Record("agent", record_id, "x", importance=importance, tier="stm"))

    target.transition("stm", "im", agent_id="agent", fraction=0.5)

    tiers = [getattr(target.retrieve("agent", f"record-{n}"), "tier", None) for n in range(4)]
    assert tiers == ["stm", "im", "stm", "im"]


@having(Capability.TRANSITION, Capability.COUNT)
def test_a_transition_moves_exactly_the_named_records(target: MemoryTarget) -> None:
    for agent_id in ("one", "two"):
        for number in range(4):
            target.store(a_record(number, agent_id, "stm"))

    moved = target.transition(
        "stm", "im", agent_id="one", record_ids=["record-3", "record-1", "unknown"]
    )

    assert moved == 2
    assert (target.count("one", "im"), target.count("two", "im")) == (2, 0)
    assert {h.record_id for h in target.search("one", a_state(0), 9, tier="im")} == {
        "record-1",
        "record-3",
    }


def test_closing_twice_is_closing_once(build: Callable[[], MemoryTarget]) -> None:
    target = build()
    target.open()
    target.store(a_record(1))

    target.close()
    target.close()


def test_closing_what_was_never_opened_does_nothing(build: Callable[[], MemoryTarget]) -> None:
    build().close()


@having(Capability.PERSISTENT)
def test_a_persistent_target_finds_its_records_when_opened_again(
    build: Callable[[], MemoryTarget],
) -> None:
    before = build()
    tiers = before.info().tiers or (None,)
    before.open()
    for number in range(9):
        before.store(a_record(number, tier=tiers[number % len(tiers)]))
    before.close()

    after = build()
    after.open()

    for number in range(9):
        found = after.retrieve("agent", f"record-{number}")
        assert found is not None
        assert found.state == a_state(number)
        assert after.search("agent", a_state(number), 1)[0].record_id == f"record-{number}"
    after.close()


@lacking(Capability.PERSISTENT)
def test_a_target_that_is_not_persistent_starts_empty_again(
    build: Callable[[], MemoryTarget],
) -> None:
    target = build()
    target.open()
    target.store(a_record(1))
    target.close()

    target.open()

    assert target.retrieve("agent", "record-1") is None
    assert target.store(a_record(2)) == "record-2"
    target.close()


@having(Capability.STORE_MANY)
def test_a_bulk_store_answers_in_order_and_keeps_everything(target: MemoryTarget) -> None:
    records = [a_record(number, f"agent-{number % 3}") for number in (5, 3, 9, 1, 7)]

    stored_ids = target.store_many(records)

    assert stored_ids == [record.record_id for record in records]
    assert target.store_many([]) == []
    for record in records:
        found = target.retrieve(record.agent_id, record.record_id)
        assert found is not None
        assert found.state == record.state


@having(Capability.STORE_MANY)
def test_a_bulk_store_takes_equal_contents_and_the_same_id_twice(target: MemoryTarget) -> None:
    target.store_many(
        [
            Record("agent", "one", content="same"),
            Record("agent", "two", content="same"),
            Record("agent", "three", content="older"),
            Record("agent", "three", content="newer"),
        ]
    )

    found = target.retrieve("agent", "three")
    assert found is not None
    assert found.content == "newer"
    assert {hit.record_id for hit in target.search("agent", "same", 2)} == {"one", "two"}
    assert len(target.search("agent", "same", 9)) == 3


@having(Capability.THREAD_SAFE, Capability.READ_YOUR_WRITES)
def test_four_threads_lose_nothing(target: MemoryTarget) -> None:
    def work(worker: int) -> list[int]:
        wrong = []
        for number in range(worker, 200, 4):
            target.store(a_record(number))
            found = target.retrieve("agent", f"record-{number}")
            hits = target.search("agent", a_state(number), 1)
            if found is None or found.state != a_state(number) or len(hits) != 1:
                wrong.append(number)
        return wrong

    with ThreadPoolExecutor(4) as pool:
        wrong = [number for numbers in pool.map(work, range(4)) for number in numbers]

    assert wrong == []
    assert {h.record_id for h in target.search("agent", a_state(0), 500)} == {
        f"record-{number}" for number in range(200)
    }


UNSUPPORTED: dict[Capability, Callable[[MemoryTarget], object]] = {
    Capability.STORE_MANY: lambda target: target.store_many([a_record(1)]),
    Capability.DELETE: lambda target: target.delete("agent", "record-1"),
    Capability.COUNT: lambda target: target.count(),
    Capability.TRANSITION: lambda target: target.transition("stm", "im", fraction=1.0),
    Capability.TIERS: lambda target: target.store(a_record(1, tier="stm")),
    Capability.VECTORS_IN: lambda target: target.search("agent", None, 1, vector=a_vector(1)),
}


@pytest.mark.parametrize(
    ("build", "capability"),
    [
        pytest.param(*one.values, capability, id=f"{one.id}-{capability}", marks=one.marks)
        for one in TARGETS
        for capability in UNSUPPORTED
        if capability not in capabilities_of(one.values[0])
    ],
    indirect=["build"],
)
def test_what_a_target_does_not_say_it_can_it_refuses(
    target: MemoryTarget, capability: Capability
) -> None:
    with pytest.raises(UnsupportedError, match=target.info().name):
        UNSUPPORTED[capability](target)


@lacking(Capability.TIERS)
def test_a_target_without_tiers_refuses_to_search_or_count_one(target: MemoryTarget) -> None:
    with pytest.raises(UnsupportedError, match=target.info().name):
        target.search("agent", a_state(1), 1, tier="stm")
    with pytest.raises(UnsupportedError, match=target.info().name):
        target.count("agent", "stm")


def test_its_own_figures_name_their_unit(target: MemoryTarget) -> None:
    figures = target.stats()

    for name, value in figures.items():
        assert name.endswith(("_seconds", "_bytes", "_ratio", "_total"))
        assert isinstance(value, float)
