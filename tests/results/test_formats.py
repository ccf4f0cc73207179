"""What other tools read; read back with the library of the tool, where it has one."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from agentmem_observe.cli.lazy import load
from agentmem_observe.errors import ResultFormatError
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.results.comparison import Comparison, compare_sides
from agentmem_observe.results.formats.hdr import encode
from agentmem_observe.results.formats.markdown import LONGEST
from agentmem_observe.results.formats.registry import FORMATS
from agentmem_observe.results.sides import side_of
from agentmem_observe.results.store import BenchmarkResults

P50, P99, RATE = (
    "service_time_p50_seconds",
    "service_time_p99_seconds",
    "throughput_ops_per_second",
)
FIGURES = {P50: 0.001, P99: 0.004, RATE: 1000.0, "mood": 1.0, "items_processed": 10}


@pytest.fixture
def old(tmp_path: Path) -> BenchmarkResults:
    return BenchmarkResults(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> BenchmarkResults:
    return BenchmarkResults(tmp_path / "new")


@pytest.fixture
def comparison(save_rounds, old, new) -> Callable[..., Comparison]:
    """Save rounds with these figures here and there, and compare all that is there."""

    def compare(here: Any = FIGURES, there: Any = FIGURES, **options: Any) -> Comparison:
        save_rounds(old, there, **options)
        save_rounds(new, here, shift=3, **options)
        return compare_sides(*(side_of(store, store.list_results()) for store in (new, old)))

    return compare


def render(name: str, comparison: Comparison) -> str:
    text: str = load(FORMATS[name])(comparison)
    return text


# --- of the comparison ---


def test_json_has_every_change_with_what_it_rests_on(comparison):
    document = json.loads(render("json", comparison(FIGURES | {P99: 0.006})))

    first, *others = document["changes"]
    assert (first["verdict"], first["metric"]) == ("worse", f"case.{P99}")
    low, high = first["interval_ratio"]
    assert low < first["change_ratio"] < high
    assert first["adjusted_p_value"] < 0.01
    assert len(first["baseline"]["values"]) == len(first["current"]["values"]) == 10
    assert {other["verdict"] for other in others} == {"same"}
    assert (document["exit_code"], document["verdicts"]["worse"]) == (2, 1)
    assert (document["unknown_figures"], document["not_judged_total"]) == ({"mood": 1}, 1)


def test_junit_fails_only_what_got_worse(comparison):
    text = render("junit", comparison(FIGURES | {P99: 0.006, RATE: 1400.0}))

    cases = list(ElementTree.fromstring(text).iter("testcase"))
    failed = [case.get("name") for case in cases if case.find("failure") is not None]
    assert len(cases) == 3
    assert failed == [f"case.{P99}"]


JUNIT = {
    "testsuites": ({"name", "tests", "failures", "errors", "skipped", "time"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
        {"testcase"},
    ),
    "testcase": (
        {"classname", "name", "time"},
        {"failure", "error", "skipped", "system-out"},
    ),
    "failure": ({"message", "type"}, set()),
    "error": ({"message", "type"}, set()),
    "skipped": ({"message"}, set()),
    "system-out": (set(), set()),
}
"""Attributes and children that Jenkins, GitLab and Surefire's schema all know."""


def test_junit_has_what_readers_know_and_counts_that_add_up(comparison, save_rounds, old, new):
    save_rounds(old, FIGURES, benchmark="gone")
    save_rounds(old, FIGURES, benchmark="broken")
    save_rounds(new, {}, benchmark="broken", status="failed", reason="it \x00 died")
    (new.results_dir / "mine" / "torn_20260101_000000.json").write_text("{")

    root = ElementTree.fromstring(render("junit", comparison(FIGURES | {P99: 0.006})))

    for element in root.iter():
        attributes, children = JUNIT[element.tag]
        assert set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children
        if element.tag == "testsuite":
            assert int(element.attrib["tests"]) == len(list(element))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(root.attrib[attribute]) == len(list(root.iter(tag)))
    assert (root.attrib["failures"], root.attrib["errors"], root.attrib["skipped"]) == (
        "1", "2", "1"
    )  # fmt: skip


def test_markdown_is_never_longer_than_a_comment_may_be_and_says_so(
    save_rounds, comparison, old, new
):
    for number in range(40):
        name = f"benchmark_with_a_name_as_long_as_they_come_{number}"
        figures = {f"case_{n}": {"x": 1} for n in range(0)} | FIGURES
        save_rounds(old, figures, benchmark=name, count=2)
        save_rounds(new, figures | {P99: 0.009, P50: 0.1}, benchmark=name, count=2, shift=3)
    many = comparison()
    for _ in range(5):
        many.changes.extend(many.changes)

    text = render("markdown", many)

    assert len(text) <= LONGEST
    assert "did not fit into a comment" in text
    assert text.splitlines()[-1].startswith("Exit code ")
    assert text.count("<details>") == text.count("</details>")


def test_markdown_cannot_be_broken_by_a_name(comparison):
    strange = 'a|b`c<b>"service_time_p99_seconds'
    found = comparison({P50: 0.002, strange: 0.1}, {P50: 0.001, strange: 0.1})
    assert found.unknown

    text = render("markdown", found)

    rows = [line for line in text.splitlines() if line.startswith("| mine")]
    assert {row.count("|") - row.count("\\|") for row in rows} == {6}


# --- of the current side, for other tools ---


def test_pytest_benchmark_gets_the_times_of_all_rounds_in_seconds(comparison):
    document = json.loads(
        render(
            "pytest-benchmark",
            comparison(FIGURES | {"cross_tier_latency_ms": 2.0}),
        )
    )

    by_name = {one["name"]: one for one in document["benchmarks"]}
    assert set(by_name) == {f"case.{P50}", f"case.{P99}", "case.cross_tier_latency_ms"}
    stats = by_name["case.cross_tier_latency_ms"]["stats"]
    assert stats["rounds"] == len(stats["data"]) == 10
    assert stats["median"] == pytest.approx(0.002, rel=0.01)
    assert stats["min"] <= stats["q1"] <= stats["median"] <= stats["q3"] <= stats["max"]
    assert stats["ops"] == pytest.approx(500, rel=0.01)
    assert by_name[f"case.{P50}"]["fullname"] == f"mine.fine::case.{P50}"
    assert document["machine_info"]["node"] == "vm"
    assert document["commit_info"]["id"] == "0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("github-action-benchmark", {P50, P99}),
        ("github-action-benchmark-bigger", {RATE}),
    ],
)
def test_github_action_benchmark_gets_one_direction_a_file(name, expected, comparison):
    entries = json.loads(render(name, comparison()))

    assert {entry["name"] for entry in entries} == {f"mine.fine case.{one}" for one in expected}
    for entry in entries:
        assert set(entry) == {"name", "unit", "value", "range", "extra"}
        assert isinstance(entry["value"], int | float)


def test_bencher_gets_medians_with_the_extremes_of_rounds(comparison):
    document = json.loads(render("bencher", comparison()))

    assert set(document) == {"mine.fine case"}
    measures = document["mine.fine case"]
    assert set(measures) == {P50, P99, RATE}
    for metric in measures.values():
        assert set(metric) == {"value", "lower_value", "upper_value"}
        assert metric["lower_value"] < metric["value"] < metric["upper_value"]


def test_a_single_round_has_no_spread_to_export(comparison):
    found = comparison(count=1)

    (bencher,) = json.loads(render("bencher", found)).values()
    entries = json.loads(render("github-action-benchmark", found))
    (first, *_) = json.loads(render("pytest-benchmark", found))["benchmarks"]

    assert {tuple(metric) for metric in bencher.values()} == {("value",)}
    assert not any("range" in entry for entry in entries)
    assert first["stats"]["stddev"] == 0.0


def test_benchmarks_of_several_sizes_are_told_apart(comparison):
    comparison(params={"size": 1})
    document = json.loads(render("bencher", comparison(params={"size": 2})))

    assert set(document) == {"mine.fine (size=1) case", "mine.fine (size=2) case"}


def histogram(values_ns: list[int]) -> Histogram:
    made = Histogram()
    made.record(np.array(values_ns, dtype=np.int64))
    return made


def read_back(made: Histogram) -> HdrHistogram:
    return HdrHistogram.decode(encode(made))


@pytest.mark.parametrize(
    "values",
    [
        [1],
        [0],
        [0, 0, 5],
        [1_000_000],
        [1, 2047, 2048, 2049, 4096],
        [123_456_789] * 1000,
        [10**13],
        [10**15],
        [round(math.exp(random.Random(seed).gauss(12, 2))) for seed in range(3000)],
    ],
    ids=str,
)
def test_hdr_histograms_are_read_back_by_the_library(values):
    made = histogram(values)

    read = read_back(made)

    assert read.get_total_count() == len(values)
    assert read.get_max_value() == pytest.approx(max(values), rel=0.001)
    assert read.get_min_value() == pytest.approx(min(value for value in values), rel=0.001)
    for q in (50, 90, 99, 99.9):
        expected = made.percentile(q) * 1e9
        assert read.get_value_at_percentile(q) == pytest.approx(expected, rel=0.002, abs=1)


def test_a_count_beyond_seven_bits_a_byte_survives():
    made = histogram([1000] * 3)
    for _ in range(40):
        made.merge(made)

    assert read_back(made).get_total_count() == 3 << 40


@pytest.mark.parametrize("histograms", [[1.5], ["x"], [{"latency": {"schema": 7}}], 3])
def test_histograms_that_are_none_are_told_with_their_file(histograms, comparison, new):
    found = comparison(histograms=histograms)

    with pytest.raises(ResultFormatError, match=r"fine_.*\.json: metadata\.histograms: not as"):
        render("hdr", found)


def test_an_hdr_log_has_a_line_for_each_series_of_each_round(comparison, tmp_path):
    content = histogram([1_000_000, 2_000_000]).to_dict()
    series = {
        "operation": "create memory",
        "tier": "stm",
        "outcome": "ok",
        "latency": content,
        "service_time": content,
    }
    ended = "2026-01-01T00:00:10.500+00:00"
    found = comparison(count=2, histograms=[series], ended_at=ended)
    log = tmp_path / "log.hlog"
    log.write_text(render("hdr", found))

    reader = HistogramLogReader(str(log), HdrHistogram(1, 3_600_000_000_000, 3))
    read = []
    while (one := reader.get_next_interval_histogram()) is not None:
        read.append((one.get_tag(), one.get_total_count(), one.get_start_time_stamp()))

    reader.input_file.close()
    assert len(read) == 4
    assert {tag for tag, *_ in read} == {
        "mine.fine/create_memory/stm/ok/latency",
        "mine.fine/create_memory/stm/ok/service_time",
    }
    assert {count for _, count, _ in read} == {2}
    assert {start for *_, start in read} == {1_767_225_609_000.0}
