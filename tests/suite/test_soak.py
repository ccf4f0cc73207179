"""Windows of a soak: what each says of the target, of its server, and of how it ended."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.turns import Turns
from agentmem_observe.measure.process import life_of
from agentmem_observe.suite.scalability.steady import SteadyLoad
from agentmem_observe.suite.soak.windows import Soak
from agentmem_observe.targets.base import TargetInfo
from agentmem_observe.targets.fake import FakeTarget


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


class Served(FakeTarget):
    """Says that a server has its records, and learns who that is when asked what it holds."""

    def __init__(self, pid: int, *, later: int | None = None) -> None:
        super().__init__()
        self.pid, self.later = pid, later or pid
        self.name = psutil.Process().name()

    def info(self) -> TargetInfo:
        notes = {"address": "there", "server_process_id": str(self.pid)}
        return replace(super().info(), name=self.name, notes=notes)

    def stats(self) -> dict[str, float]:
        self.pid = self.later
        return super().stats()


def figures_of_a_window(bench: Bench, target: FakeTarget) -> dict[str, Any]:
    target.open()
    return Soak(bench, target, load(), 20).window().figures


def test_a_window_says_which_life_of_which_server_has_the_records_and_its_least_rss(
    bench: Bench,
) -> None:
    figures = figures_of_a_window(bench, Served(os.getpid()))

    assert not figures["in_process"]
    assert figures["server"] == life_of(os.getpid())
    assert figures["server_rss_bytes"] > 0


def test_a_process_of_another_name_is_not_the_server(bench: Bench) -> None:
    target = Served(os.getpid())
    target.name = "redis"

    figures = figures_of_a_window(bench, target)

    assert not figures["in_process"]
    assert (figures["server"], figures["server_rss_bytes"]) == ("", None)


def test_a_server_that_was_started_anew_during_a_window_is_another_with_no_rss_yet(
    bench: Bench,
) -> None:
    target = Served(os.getpid(), later=os.getppid())
    target.name = ""  # which both have in theirs

    figures = figures_of_a_window(bench, target)

    assert figures["server"] == life_of(os.getppid())
    assert figures["server_rss_bytes"] is None


def test_a_target_in_this_process_has_no_server(bench: Bench) -> None:
    figures = figures_of_a_window(bench, FakeTarget())

    assert figures["in_process"]
    assert (figures["server"], figures["server_rss_bytes"]) == ("", None)
