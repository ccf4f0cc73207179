"""The embedded memory against a dictionary, whatever is done to it in whatever order."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentmem_observe.clock import FakeClock
from agentmem_observe.model import TIERS, Record
from agentmem_observe.targets.embedded import EmbeddedMemory, EmbeddedOptions

AGENTS = ("a", "b")
VECTORS = np.random.default_rng(7).standard_normal((40, 16)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)

agents = st.sampled_from(AGENTS)
record_ids = st.integers(0, 14).map("r{}".format)
states = st.none() | st.dictionaries(
    st.text(max_size=3), st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
)
records = st.builds(
    Record,
    agent_id=agents,
    record_id=record_ids,
    content=st.text(max_size=8),
    state=states,
    vector=st.integers(0, len(VECTORS) - 1).map(lambda row: VECTORS[row]),
    importance=st.sampled_from([0.0, 0.5, 1.0]),
    step=st.integers(0, 50),
    tier=st.sampled_from([None, *TIERS]),
)


class AgainstADictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.model: dict[tuple[str, str], Record] = {}

    @initialize(exact=st.booleans(), aging=st.booleans())
    def open(self, exact: bool, aging: bool) -> None:
        ages = {"stm_age_seconds": 5.0, "im_age_seconds": 20.0} if aging else {}
        self.options = EmbeddedOptions(
            exact=exact, stm_capacity=3, im_capacity=4, dimensions=16, background=False, **ages
        )
        self.reopen(close=False)

    @rule(close=st.just(True))
    def reopen(self, close: bool) -> None:
        if close:
            self.memory.close()
        self.memory = EmbeddedMemory(self.options, Path(self.directory.name), clock=self.clock)
        self.memory.open()

    @rule(record=records)
    def store(self, record: Record) -> None:
        assert self.memory.store(record) == record.record_id
        self.model[record.agent_id, record.record_id] = record

    @rule(batch=st.lists(records, max_size=12))
    def store_many(self, batch: list[Record]) -> None:
        assert self.memory.store_many(batch) == [record.record_id for record in batch]
        for record in batch:
            self.model[record.agent_id, record.record_id] = record

    @rule(agent_id=agents, record_id=record_ids)
    def delete(self, agent_id: str, record_id: str) -> None:
        existed = self.model.pop((agent_id, record_id), None) is not None
        assert self.memory.delete(agent_id, record_id) is existed

    @rule(
        way=st.sampled_from([("stm", "im"), ("im", "ltm"), ("stm", "ltm")]),
        agent_id=st.none() | agents,
        fraction=st.sampled_from([0.1, 0.5, 1.0]),
    )
    def transition(self, way: tuple[str, str], agent_id: str | None, fraction: float) -> None:
        held = self.memory.count(agent_id, way[0])
        moved = self.memory.transition(*way, agent_id=agent_id, fraction=fraction)
        assert min(held, 1) <= moved <= held
        if fraction == 1.0 and way[1] == "ltm":
            assert self.memory.count(agent_id, way[0]) == 0

    @rule(seconds=st.sampled_from([1.0, 10.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def maintain(self) -> None:
        self.memory.maintain()

    @rule(agent_id=agents, row=st.integers(0, len(VECTORS) - 1), k=st.integers(1, 30))
    def search(self, agent_id: str, row: int, k: int) -> None:
        query = VECTORS[row]
        expected = {
            record_id: float(record.vector @ query)
            for (owner, record_id), record in self.model.items()
            if owner == agent_id and record.vector is not None
        }
        hits = self.memory.search(agent_id, None, k, vector=query)
        scores = [hit.score for hit in hits]

        assert len({hit.record_id for hit in hits}) == len(hits) == min(k, len(expected))
        assert scores == sorted(scores, reverse=True)
        for hit, best in zip(hits, sorted(expected.values(), reverse=True), strict=False):
            assert abs(hit.score - expected[hit.record_id]) < 0.03
            assert hit.score > best - 0.03

    @invariant()
    def every_record_is_in_one_tier_and_comes_back_as_stored(self) -> None:
        tiers: dict[tuple[str, str | None], int] = {}
        for (agent_id, record_id), record in self.model.items():
            found = self.memory.retrieve(agent_id, record_id)
            assert found is not None
            assert plain(found) == plain(record)
            assert found.vector is not None
            assert record.vector is not None
            assert found.vector @ record.vector > 0.99
            tiers[agent_id, found.tier] = tiers.get((agent_id, found.tier), 0) + 1
        for agent_id in AGENTS:
            for tier in TIERS:
                assert self.memory.count(agent_id, tier) == tiers.get((agent_id, tier), 0)
            assert self.memory.count(agent_id, "stm") <= 3
            assert self.memory.count(agent_id, "im") <= 4
        assert self.memory.count() == len(self.model)

    def teardown(self) -> None:
        if hasattr(self, "memory"):
            self.memory.close()
        self.directory.cleanup()


def plain(record: Record) -> tuple[Any, ...]:
    return record.content, record.state, record.importance, record.step


AgainstADictionary.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None
)
TestAgainstADictionary = AgainstADictionary.TestCase
