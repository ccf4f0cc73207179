"""Rounds: all benchmarks once, then all again, each in a fresh process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.runner import BenchmarkRunner, Observer, Round, RunOptions
from agentmem_observe.bench.supervisor import Listener
from agentmem_observe.config import BenchmarkConfig

SUITE = """
import os

def benchmark_first(**kwargs):
    return {"pid": os.getpid()}

def benchmark_second(**kwargs):
    return {"pid": os.getpid()}
"""


class Told(Observer):
    """Remembers what it was told, in order, and does something when a run starts."""

    def __init__(self, at_start: Callable[[int], None] = lambda number: None) -> None:
        self.events: list[str] = []
        self._at_start = at_start
        self._started = 0

    def round_started(self, round: Round) -> None:
        self.events.append(f"round {round.number} of {round.total}")

    def started(self, benchmark: Benchmark) -> Listener:
        self.events.append(benchmark.name)
        self._started += 1
        self._at_start(self._started)
        return Listener()


def runner(tmp_path: Path, observer: Observer) -> BenchmarkRunner:
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "own.py").write_text(SUITE)
    return BenchmarkRunner(
        BenchmarkConfig(output_dir=str(tmp_path / "results")),
        options=RunOptions(target="fake", suites=(suite,)),
        observer=observer,
    )


def run(chosen: BenchmarkRunner, **options: int) -> list[dict[str, Any]]:
    """Run both benchmarks, in this order, and return their results."""
    benchmarks = chosen.discover_benchmarks("own")["own"]
    ordered = [benchmarks["first"], benchmarks["second"]]
    return [chosen.results_manager.load_result(path) for path in chosen.run(ordered, **options)]


@pytest.mark.parametrize("workers", [1, 2])
def test_all_run_once_before_any_runs_again(workers: int, tmp_path: Path) -> None:
    told = Told()

    results = run(runner(tmp_path, told), rounds=2, workers=workers)

    numbers = [result["metadata"]["rounds"]["number"] for result in results]
    assert [result["benchmark"] for result in results] == ["first", "second", "first", "second"]
    assert numbers == [1, 1, 2, 2]
    assert [told.events[0], told.events[3]] == ["round 1 of 2", "round 2 of 2"]
    assert sorted(told.events[1:3]) == sorted(told.events[4:6]) == ["first", "second"]


def test_every_run_of_every_round_has_a_process_of_its_own(tmp_path: Path) -> None:
    results = run(runner(tmp_path, Told()), rounds=2)

    assert len({result["results"]["pid"] for result in results}) == 4


def test_rounds_say_how_many_they_are_and_what_they_belong_to(tmp_path: Path) -> None:
    chosen = runner(tmp_path, Told())

    once, again = run(chosen, rounds=2), run(chosen, rounds=2)

    (series,) = {result["metadata"]["rounds"]["series"] for result in once}
    (other,) = {result["metadata"]["rounds"]["series"] for result in again}
    assert series != other
    assert {result["metadata"]["rounds"]["total"] for result in once} == {2}


def test_what_runs_once_says_nothing_of_rounds(tmp_path: Path) -> None:
    told = Told()

    results = run(runner(tmp_path, told))

    assert told.events == ["first", "second"]
    assert not any("rounds" in result["metadata"] for result in results)


def test_an_interrupted_round_keeps_those_before_it(tmp_path: Path) -> None:
    told = Told(at_start=lambda number: chosen.stop() if number == 3 else None)
    chosen = runner(tmp_path, told)

    results = run(chosen, rounds=3)

    kept = [
        (result["metadata"]["rounds"]["number"], result["benchmark"], result["metadata"]["status"])
        for result in results
    ]
    assert kept == [(1, "first", "ok"), (1, "second", "ok"), (2, "first", "failed")]
    assert told.events[-2:] == ["round 2 of 3", "first"]
