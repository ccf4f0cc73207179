"""Windows of a soak: what each says of the target, of its server, and of how it ended."""

from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.turns import Turns
from agentmem_observe.suite.scalability.steady import SteadyLoad
from agentmem_observe.suite.soak.windows import Soak


class _Turns(Turns):
    is_over = False

    @property
    def over(self) -> bool:
        return self.is_over


@pytest.fixture
def turns() -> _Turns:
    return _Turns()


@pytest.fixture
def bench(tmp_path: Path, turns: _Turns) -> Bench:
    return Bench("embedded", tmp_path, _nothing, seed=1, turns=turns)


def _nothing(*_: Any, **__: Any) -> None:
    pass


def load() -> SteadyLoad:
    return SteadyLoad(rate=100, seconds=0.2, workers=1, seed=1)


def test_a_window_that_is_over_before_anything_was_sent_is_cut_and_no_fault_of_the_target(
    bench: Bench, turns: _Turns
) -> None:
    with bench.target() as target:
        soak = Soak(bench, target, load(), 20)
        turns.is_over = True

        window = soak.window()

    assert window.figures["cut"]
    assert soak.figures()["operations"] == 0
