"""What is said beside a verdict: of the sides, the host and the operations."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from agentmem_observe.analysis.duel import Judgement
from agentmem_observe.bench.duel.doubts import doubts
from agentmem_observe.bench.duel.installation import Installation
from agentmem_observe.bench.duel.rounds import KindFigures, Plan
from agentmem_observe.bench.duel.script import Mix
from agentmem_observe.bench.duel.side import Opened
from agentmem_observe.bench.duel.supervisor import Contender, Duel, Round
from agentmem_observe.measure.noise import Noise

OPENED = Opened("memory", "1", ["search"], "memory.py", "3.11.7", "1", 7)
QUIET = Noise(10, 2, 0.1, 0.1, 0.0, 0.0, 0.6, 0.1, 0.0, 1.0, 0, 0.0, None)
SAME = Contender("memory:Memory", Installation())


def told(
    a: Opened = OPENED,
    b: Opened = OPENED,
    contenders: tuple[Contender, Contender] = (SAME, SAME),
    cpu: int | None = 0,
    operations: int = 300,
    noise: dict[str, Any] | None = None,
) -> list[str]:
    """Return what is said of a duel that is faultless but for what is given."""
    figures = KindFigures(0.0, 0.0, {"A": 0.001, "B": 0.001}, operations)
    one = Round(1, "A", cpu, {"search_memory": figures}, 0.0, 0.1, 0.1, 0)
    judgement = Judgement("same", True, 0.0, (0.0, 0.0), 0.01, ())
    duel = Duel(
        {"A": a, "B": b},
        Mix({"search_memory": 1.0}),
        Plan(10, 10),
        25,
        [one],
        judgement,
        replace(QUIET, **(noise or {})),
    )
    return doubts(duel, dict(zip("AB", contenders, strict=True)))


def test_nothing_is_said_of_a_faultless_duel():
    assert told() == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cpu": None}, "this system does not let a process choose its CPU"),
        ({"operations": 8}, "a round has but few operations, 8 of kind search_memory"),
        ({"noise": {"foreign_cpu_ratio": 0.4}}, "other programs used 40% of all CPUs"),
        ({"noise": {"steal_ratio": 0.06}}, "the hypervisor gave 6% of the CPUs' time to others"),
        ({"noise": {"throttled_periods_total": 3}}, "a CPU quota stopped this group of processes"),
        (
            {"b": msgspec.structs.replace(OPENED, python="3.12.1")},
            "A runs on Python 3.11.7, B on 3.12.1: that is compared too",
        ),
        (
            {"b": msgspec.structs.replace(OPENED, name="other")},
            "A calls itself 'memory', B 'other'",
        ),
    ],
)
def test_what_makes_a_duel_doubtful_is_told(given, said):
    (sentence,) = told(**given)

    assert sentence.startswith(said)


@pytest.mark.parametrize(
    ("installation", "is_told"),
    [
        (Installation(commit="1a2b3c4d"), True),
        (Installation(environment={"CACHE": "off"}), False),
    ],
)
def test_the_same_files_on_both_sides_are_told_where_they_were_to_differ(installation, is_told):
    other = Contender("memory:Memory", installation)

    assert bool(told(contenders=(SAME, other))) == is_told
