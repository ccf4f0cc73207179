"""Duels whose truth is known: the truth is as it is said, and verdicts are counted as they are."""

import numpy as np
import pytest

from agentmem_observe.analysis.duel import Judgement
from agentmem_observe.bench.duel.rounds import Plan
from agentmem_observe.bench.duel.script import EQUAL_PARTS, Mix
from agentmem_observe.bench.duel.supervisor import Duel, Round
from agentmem_observe.measure.noise import NoiseProbe, noise_between
from agentmem_observe.suite.self import calibrated, duelling


def ended(verdict, change_ratio: float = 0.0, seconds: float = 1.0) -> Duel:
    """Return a duel that has ended so."""
    judgement = Judgement(verdict, True, change_ratio, None, None, ())
    reading = NoiseProbe().read()
    noise = noise_between(reading, reading)
    one = Round(1, "A", 0, {}, change_ratio, seconds, 0.1, 0)
    return Duel({}, Mix(EQUAL_PARTS), Plan(1, 1), 25, [one, one], judgement, noise, 5 * seconds)


def test_a_search_does_as_many_units_of_work_as_are_said(monkeypatch):
    done = []

    class Row:
        def __matmul__(self, other: object) -> float:
            done.append(1)
            return 1.0

    counts = {}
    for name in ("plain", "slower_by_1_5_percent", "slower_by_3_percent"):
        target = getattr(calibrated, name)()
        target._rows = [Row()] * 64
        done.clear()
        target.search("agent", {"x": 1}, 10)
        counts[name] = len(done)

    assert counts["slower_by_1_5_percent"] / counts["plain"] == pytest.approx(1.015)
    assert counts["slower_by_3_percent"] / counts["plain"] == pytest.approx(1.03)


def test_the_work_is_the_same_in_every_process():
    first, second = calibrated.CalibratedTarget(), calibrated.CalibratedTarget()
    first.open()
    second.open()

    assert first.work() == second.work()
    assert np.isfinite(first.work())


def test_a_verdict_between_equals_is_false_whichever_way_it_goes():
    verdicts = ("same", "worse", "better", "inconclusive")

    figures = duelling.figures("even", [ended(verdict) for verdict in verdicts])

    assert figures["false_verdict_ratio"] == 0.5
    assert figures["verdicts"] == dict.fromkeys(sorted(verdicts), 1)


def test_a_slow_down_is_found_only_by_the_verdict_that_says_so():
    verdicts = ("same", "worse", "better", "inconclusive")

    figures = duelling.figures("slower_by_3_percent", [ended(verdict) for verdict in verdicts])

    assert figures["found_ratio"] == 0.25
    assert "false_verdict_ratio" not in figures


def test_a_case_says_what_its_duels_cost():
    figures = duelling.figures("even", [ended("same", 0.001 * n, n) for n in (1.0, 2.0, 6.0)])

    assert figures["change_ratio_median"] == 0.002
    assert (figures["rounds_median"], figures["duels"]) == (2, 3)
    assert figures["measured_seconds_median"] == 4.0
    assert figures["measured_seconds_max"] == 12.0
    assert figures["duel_seconds_median"] == 10.0


def test_each_case_is_fought_as_often_as_asked_and_in_turns(run_here, monkeypatch):
    fought = []

    def fight(contenders, options, listener):
        fought.append((contenders["B"].spec.rpartition(":")[2], options.seed))
        return ended("same")

    monkeypatch.setattr(duelling, "fight", fight)

    ran = run_here("self", "duelling", duels=2)

    assert ran.metadata["status"] == "ok", ran.metadata
    names = ["plain", "slower_by_1_5_percent", "slower_by_3_percent"]
    assert [name for name, _ in fought] == names * 2
    assert len({seed for _, seed in fought}) == 6
    assert ran.document["results"]["true_change_ratio"]["even"] == 0
    assert ran.document["results"]["even"]["duels"] == 2
