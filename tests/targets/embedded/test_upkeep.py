import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from agentmem_observe.errors import TargetError
from agentmem_observe.model import Record
from agentmem_observe.targets.embedded import EmbeddedMemory, EmbeddedOptions
from agentmem_observe.targets.embedded.agent import AgentMemory
from agentmem_observe.targets.embedded.upkeep import Upkeep


def upkeep_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "embedded-upkeep"]


def test_work_is_done_when_woken() -> None:
    done = threading.Event()
    upkeep = Upkeep(lambda stopped: done.set())

    upkeep.wake()

    assert done.wait(30)
    upkeep.stop()
    upkeep.check()


def test_a_failure_in_the_thread_is_raised_by_the_next_check() -> None:
    called = threading.Event()

    def fail(stopped) -> None:
        called.set()
        raise OSError("disk gone")

    upkeep = Upkeep(fail)
    upkeep.wake()
    assert called.wait(30)
    upkeep.stop()

    with pytest.raises(TargetError, match="disk gone") as caught:
        upkeep.check()

    assert isinstance(caught.value.__cause__, OSError)


def test_work_is_told_to_stop() -> None:
    started, was_stopped = threading.Event(), threading.Event()

    def work(stopped) -> None:
        started.set()
        while not stopped():
            pass
        was_stopped.set()

    upkeep = Upkeep(work)
    upkeep.wake()
    assert started.wait(30)

    upkeep.stop()

    assert was_stopped.is_set()
    assert upkeep_threads() == []


def test_close_raises_a_background_failure_after_saving_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = threading.Event()

    def fail(agent) -> bool:
        called.set()
        raise RuntimeError("broken upkeep")

    monkeypatch.setattr(AgentMemory, "wants_tidying", fail)
    memory = EmbeddedMemory(EmbeddedOptions(dimensions=16), tmp_path)
    memory.open()
    memory.store(Record("agent", "one", content="kept"))
    memory._upkeep.wake()
    assert called.wait(30)

    with pytest.raises(TargetError, match="broken upkeep"):
        memory.close()

    monkeypatch.undo()
    assert upkeep_threads() == []
    memory.open()
    assert memory.retrieve("agent", "one").content == "kept"
    memory.close()


def test_a_memory_in_the_background_grows_cells_and_ends_its_thread(tmp_path: Path) -> None:
    options = EmbeddedOptions(dimensions=16, cells_threshold=1_000)
    memory = EmbeddedMemory(options, tmp_path)
    memory.open()
    for start in range(0, 3_000, 500):
        memory.store_many(
            [
                Record("agent", f"r{number}", content=f"word{number}", tier="ltm")
                for number in range(start, start + 500)
            ]
        )
    memory.maintain()

    assert memory.stats()["ltm_records_total"] == 3_000
    assert memory._agents["agent"].ltm.shelf.cell_count > 0
    assert memory.search("agent", "word77", 1)[0].record_id == "r77"
    memory.close()
    assert upkeep_threads() == []
    assert [path.name for path in tmp_path.iterdir()] == ["memory.sqlite3"]


def test_a_full_disk_leaves_every_record_where_it_was(open_memory) -> None:
    memory = open_memory(stm_capacity=1, im_capacity=1)
    for number in range(5):
        memory.store(Record("agent", f"r{number}", content=f"text {number}"))
    memory._shared.table._writer.execute("PRAGMA max_page_count = 1")
    large = Record("agent", "large", content="x" * 10**6, tier="ltm")

    with pytest.raises(sqlite3.OperationalError, match="full"):
        memory.store(large)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        memory.store(replace(large, record_id="r4"))

    memory._shared.table._writer.execute("PRAGMA max_page_count = 1073741823")
    assert memory.count() == 5
    found = [memory.retrieve("agent", f"r{number}") for number in range(5)]
    assert [record.content for record in found] == [f"text {number}" for number in range(5)]
    assert found[4].tier == "stm"
