import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from agentmem_observe.model import TIERS, Record
from agentmem_observe.targets.embedded import EmbeddedMemory

WORKERS = 4


def axis(number: int) -> np.ndarray:
    return np.eye(16, dtype=np.float32)[number]


def test_a_search_finds_a_record_once_at_every_moment_of_its_moves(open_memory) -> None:
    memory = open_memory(stm_capacity=10, im_capacity=10)
    memory.store(Record("agent", "anchor", vector=axis(0)))

    def move() -> None:
        for round_number in range(150):
            for number in range(12):
                memory.store(Record("agent", f"r{number}", vector=axis(1), step=round_number))
            memory.transition("stm", "im", agent_id="agent", record_ids=["anchor"])
            memory.transition("im", "ltm", agent_id="agent", fraction=1.0)
            memory.store(Record("agent", "anchor", vector=axis(0)))

    def search(mover) -> list[int]:
        found = []
        while not mover.done() or not found:
            hits = memory.search("agent", None, 100, vector=axis(0))
            found.append(sum(hit.record_id == "anchor" for hit in hits))
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        mover = pool.submit(move)
        searchers = [pool.submit(search, mover) for _ in range(2)]
        times_found = [count for searcher in searchers for count in searcher.result()]

    mover.result()
    assert set(times_found) == {1}


def test_threads_on_one_agent_lose_and_double_nothing(open_memory) -> None:
    memory = open_memory(stm_capacity=10, im_capacity=20)

    def work(worker: int) -> dict[str, int]:
        random = np.random.default_rng(worker)
        mine: dict[str, int] = {}
        for step in range(300):
            record_id = f"{worker}-{random.integers(40)}"
            if random.random() < 0.2:
                assert memory.delete("agent", record_id) == (mine.pop(record_id, None) is not None)
            else:
                tier = [None, *TIERS][random.integers(4)]
                state = {"step": step}
                memory.store(Record("agent", record_id, state=state, step=step, tier=tier))
                mine[record_id] = step
            if step % 50 == 0:
                memory.transition("stm", "ltm", agent_id="agent", fraction=0.5)
                memory.maintain()
        return mine

    with ThreadPoolExecutor(WORKERS) as pool:
        expected = {
            key: step for mine in pool.map(work, range(WORKERS)) for key, step in mine.items()
        }

    assert steps_of(memory, expected) == expected
    assert memory.count() == len(expected)
    memory.close()
    memory.open()
    assert steps_of(memory, expected) == expected
    assert memory.count() == len(expected)


def test_threads_that_meet_a_new_agent_share_it(open_memory) -> None:
    memory = open_memory(stm_capacity=100)

    def meet(worker: int) -> None:
        for number in range(200):
            memory.store(Record(f"agent-{number}", f"r{worker}", content="hello"))

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(meet, range(WORKERS)))

    assert {memory.count(f"agent-{number}") for number in range(200)} == {WORKERS}


@pytest.fixture
def hurried_switches():
    """Let threads interrupt each other 500 times as often."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def test_threads_may_maintain_at_the_same_time(open_memory, hurried_switches) -> None:
    memory = open_memory()

    def work(worker: int) -> None:
        for step in range(200):
            memory.store(Record("agent", f"{worker}-{step}", state={"step": step}, tier="ltm"))
            memory.maintain()

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, range(WORKERS)))

    assert memory.count("agent", "ltm") == WORKERS * 200


def steps_of(memory: EmbeddedMemory, record_ids) -> dict[str, int]:
    found = {record_id: memory.retrieve("agent", record_id) for record_id in record_ids}
    return {record_id: record.step for record_id, record in found.items() if record}
