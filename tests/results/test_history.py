"""Series of results: what becomes one, what is left out, and where a history begins anew."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results.history import History, read_history
from agentmem_observe.results.metric_rules import parse_rule
from agentmem_observe.results.schema import ended_at
from agentmem_observe.results.trends import Trend, by_importance, overall, trends_of

START = datetime(2026, 10, 1, 3, tzinfo=UTC)
HOST = {"hostname": "bench-03", "cpu_model": "EPYC", "cores": 4, "usable_cores": 4}
P50, OPS = "stm.service_time_p50_seconds", "stm.throughput_ops_per_second"

Documents = Iterator[tuple[str, Any]]


def document(number: int, p50: float, **metadata: Any) -> tuple[str, dict[str, Any]]:
    """Return path and content of a run, one a night."""
    at = START + timedelta(days=number)
    given = {
        "status": "ok",
        "params": {"size": 100},
        "target": {"spec": "embedded"},
        "validity": {"verdict": "valid", "reasons": []},
        "host": HOST,
        "versions": {"numpy": "2.4.6"},
        "vcs": {"commit": f"commit{number}"},
        "ended_at": at.isoformat(),
    }
    figures = {
        "service_time_p50_seconds": p50,
        "throughput_ops_per_second": 1 / p50,
        "service_time_max_seconds": 9.0,
        "mood": 7,
    }
    return f"r{number}.json", {
        "benchmark": "read_latency",
        "category": "storage",
        "timestamp": at.strftime("%Y%m%d_%H%M%S"),
        "results": {"stm": figures},
        "metadata": given | metadata,
    }


def nights(*stretches: tuple[int, float], **metadata: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return runs whose median lasts for some nights each, give or take 1 %."""
    noise = random.Random(1)
    levels = [level for count, level in stretches for _ in range(count)]
    return [
        document(number, level * noise.gauss(1, 0.01), **metadata)
        for number, level in enumerate(levels)
    ]


def trends(history: History) -> dict[str, Trend]:
    return {trend.path: trend for trend in trends_of(history)}


def test_each_judged_figure_is_a_series_and_others_are_not() -> None:
    history = read_history(nights((15, 0.001)))

    assert set(trends(history)) == {P50, OPS}
    assert history.figures == {
        ("storage.read_latency.stm.service_time_p50_seconds", P50): True,
        ("storage.read_latency.stm.throughput_ops_per_second", OPS): True,
        (
            "storage.read_latency.stm.service_time_max_seconds",
            "stm.service_time_max_seconds",
        ): False,
        ("storage.read_latency.stm.mood", "stm.mood"): False,
    }


def test_a_step_is_worse_both_ways_and_has_date_and_commits() -> None:
    documents = nights((30, 0.001), (6, 0.0012))

    found = trends(read_history(documents))

    for path in (P50, OPS):
        trend = found[path]
        (change,) = trend.changes
        assert (trend.verdict, change.direction, change.index) == ("worse", "worse", 30)
        assert trend.since is not None
        assert trend.since.at == ended_at(documents[30][1])
        assert (trend.runs[29].commit, trend.since.commit) == ("commit29", "commit30")
        assert trend.times_worse == pytest.approx(1.2, abs=0.02)
    assert found[P50].name == "storage.read_latency.stm.service_time_p50_seconds"
    assert overall(list(found.values())) == "worse"


def test_a_change_says_what_changed_with_it() -> None:
    documents = nights((30, 0.001), (6, 0.0012))
    for _, content in documents[30:]:
        content["metadata"]["versions"] = {"numpy": "2.5.0"}

    trend = trends(read_history(documents))[P50]

    assert trend.breaks == ()
    assert trend.also_changed(trend.changes[0]) == ["numpy: 2.5.0, was 2.4.6"]


def test_nothing_is_judged_across_a_change_of_host() -> None:
    documents = nights((30, 0.001), (20, 0.0012))
    for _, content in documents[30:]:
        content["metadata"]["host"] = HOST | {"cpu_model": "Xeon"}

    trend = trends(read_history(documents))[P50]

    assert (trend.verdict, trend.changes) == ("same", ())
    assert [(each.index, each.differences) for each in trend.breaks] == [
        (30, ("CPU model: Xeon, was EPYC",))
    ]


def test_changes_on_a_host_before_are_kept_with_their_places() -> None:
    documents = nights((20, 0.001), (20, 0.0012), (15, 0.0012), (10, 0.0015))
    for _, content in documents[40:]:
        content["metadata"]["host"] = HOST | {"cores": 8}

    trend = trends(read_history(documents))[P50]

    assert [change.index for change in trend.changes] == [20, 55]
    assert trend.judgement.since == 55


def test_too_few_runs_since_the_host_changed_are_too_few() -> None:
    documents = nights((40, 0.001))
    for _, content in documents[38:]:
        content["metadata"]["host"] = HOST | {"hostname": "bench-04"}

    trend = trends(read_history(documents))[P50]

    assert trend.verdict == "inconclusive"
    assert trend.judgement.reason.startswith("too few runs: 2 (limit 13")


def test_containers_with_new_names_are_no_new_hosts() -> None:
    documents = nights((20, 0.001))
    for number, (_, content) in enumerate(documents):
        content["metadata"]["host"] = HOST | {"container": "docker", "hostname": f"c{number}"}

    assert trends(read_history(documents))[P50].breaks == ()


def test_what_is_no_use_is_left_out_and_counted() -> None:
    documents: list[tuple[str, Any]] = list(nights((20, 0.001)))
    documents[1][1]["metadata"]["validity"] = {"verdict": "void", "reasons": ["busy"]}
    documents[2][1]["metadata"] |= {"status": "failed", "reason": "died"}
    documents[3] = ("r3.json", ResultFormatError("r3.json: torn"))
    documents[4][1]["metadata"]["ended_at"] = "yesterday"
    documents[5][1]["metadata"]["validity"] = {"verdict": "degraded", "reasons": ["busy"]}

    history = read_history(documents)

    (runs,) = history.runs.values()
    assert len(runs) == 16
    assert history.causes() == {"void": 1, "failed": 1, "damaged": 2}
    assert history.degraded == 1
    assert [each.reason for each in history.left_out][2] == "r3.json: torn"


def test_rounds_of_one_run_are_one_run() -> None:
    documents = nights((12, 0.001))
    for number, (_, content) in enumerate(documents):
        series = {"number": number % 3 + 1, "total": 3, "series": f"s{number // 3}"}
        content["metadata"]["rounds"] = series

    (runs,) = read_history(documents).runs.values()

    assert [run.path for run in runs] == ["r2.json", "r5.json", "r8.json", "r11.json"]
    of_first = sorted(
        documents[n][1]["results"]["stm"]["service_time_p50_seconds"] for n in (0, 1, 2)
    )
    assert runs[0].figures[P50] == of_first[1]


def test_other_parameters_and_targets_are_other_histories() -> None:
    documents = [
        *nights((3, 0.001)),
        *nights((2, 0.001), params={"size": 1}),
        *nights((1, 0.001), target={"spec": "fake"}),
    ]

    runs = read_history(documents).runs

    assert sorted(map(len, runs.values())) == [1, 2, 3]


def test_only_the_newest_runs_are_kept() -> None:
    history = read_history(nights((50, 0.001)), most_runs=20)

    (runs,) = history.runs.values()
    assert [runs[0].path, runs[-1].path, len(runs)] == ["r30.json", "r49.json", 20]
    assert history.older == 30


def test_somebody_may_say_what_is_judged_how_and_from_what_size_on() -> None:
    documents = nights((30, 0.001), (8, 0.0012))
    for number, (_, content) in enumerate(documents):
        content["results"]["stm"]["mood"] = 7.0 + number % 3 + 20 * (number >= 30)
    rules = [parse_rule("p50:50%"), parse_rule("mood:higher")]

    history = read_history(documents, rules)
    found = {trend.path: trend for trend in trends_of(history, rules)}

    assert set(found) == {P50, "stm.mood"}
    assert found[P50].threshold_ratio == 0.5
    assert found[P50].verdict == "same"
    assert found["stm.mood"].verdict == "better"
    assert found["stm.mood"].times_worse < 0.5


def test_a_figure_that_is_zero_once_has_no_relative_change() -> None:
    documents = nights((20, 0.001))
    documents[3][1]["results"]["stm"]["throughput_ops_per_second"] = 0

    assert set(trends(read_history(documents))) == {P50}


def test_a_number_beyond_all_measure_is_no_figure() -> None:
    documents = nights((20, 0.001))
    documents[3][1]["results"]["stm"]["throughput_ops_per_second"] = 10**400

    found = trends(read_history(documents))

    assert len(found[OPS].runs) == 19


def test_a_figure_that_some_runs_lack_is_judged_by_those_that_have_it() -> None:
    documents = nights((31, 0.001), (8, 0.0012))
    del documents[2][1]["results"]["stm"]["service_time_p50_seconds"]

    found = trends(read_history(documents))

    assert [len(found[path].runs) for path in (P50, OPS)] == [38, 39]
    assert [found[path].changes[0].index for path in (P50, OPS)] == [30, 31]
    assert found[P50].since == found[OPS].since


def test_the_worst_comes_first_and_what_did_not_change_last() -> None:
    documents = nights((30, 0.001), (8, 0.0012))
    for number, (_, content) in enumerate(documents):
        steady, worse = 1 + 0.01 * (number % 3), 2.0 if number >= 30 else 1.0
        content["results"]["ltm"] = {
            "service_time_p50_seconds": steady * worse,
            "service_time_p99_seconds": steady,
            "throughput_ops_per_second": steady * worse,
        }

    order = by_importance(list(trends_of(read_history(documents))))

    assert [(trend.path, trend.verdict) for trend in order] == [
        ("ltm.service_time_p50_seconds", "worse"),
        (P50, "worse"),
        (OPS, "worse"),
        ("ltm.throughput_ops_per_second", "better"),
        ("ltm.service_time_p99_seconds", "same"),
    ]


def test_nothing_together_is_inconclusive() -> None:
    assert overall([]) == "inconclusive"
