from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.clock import FakeClock
from agentmem_observe.targets.embedded import EmbeddedMemory, EmbeddedOptions

OpenMemory = Callable[..., EmbeddedMemory]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def open_memory(tmp_path: Path, clock: FakeClock) -> Iterator[OpenMemory]:
    """Open a memory on the test's directory, with small vectors and no thread unless asked."""
    opened: list[EmbeddedMemory] = []

    def open_one(**options: Any) -> EmbeddedMemory:
        chosen = {"dimensions": 16, "background": False, **options}
        memory = EmbeddedMemory(EmbeddedOptions(**chosen), tmp_path / "memory", clock=clock)
        memory.open()
        opened.append(memory)
        return memory

    yield open_one
    for memory in opened:
        memory.close()
