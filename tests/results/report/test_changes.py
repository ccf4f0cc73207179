import pytest

from agentmem_observe.results.store import BenchmarkResults

ROUNDS = 6


@pytest.fixture
def baseline(tmp_path) -> BenchmarkResults:
    return BenchmarkResults(tmp_path / "baseline")


def measured(store: BenchmarkResults, p99: float, throughput: float = 1000.0) -> None:
    """Save some rounds, each a little different."""
    for number in range(ROUNDS):
        noise = 1 + 0.001 * number
        figures = {
            "service_time_p99_seconds": p99 * noise,
            "throughput_ops_per_second": throughput * noise,
            "<b>mine": 1.0,
        }
        store.save_result("read", "storage", {"stm": figures}, {}, f"2026010{number + 1}_120000")


def test_a_regression_is_the_first_thing_that_is_said(results, baseline, parse):
    measured(baseline, 0.010)
    measured(results, 0.015)

    read = parse(results.render_report(baseline_dir=baseline.results_dir))

    assert read.mistakes == []
    assert "Regression: read stm.service_time_p99_seconds" in read.words
    assert read.words.index("1 regression") < read.words.index("Against the baseline")
    assert "10.0 ms" in read.words
    assert "15.0 ms" in read.words
    assert "+50 %" in read.words


def test_what_got_better_is_listed_and_is_no_regression(results, baseline, parse):
    measured(baseline, 0.010)
    measured(results, 0.005)

    read = parse(results.render_report(baseline_dir=baseline.results_dir))

    assert "better" in read.words
    assert "Nothing is wrong" in read.words


def test_what_only_one_side_has_is_named(results, baseline, parse):
    measured(baseline, 0.010)
    measured(results, 0.010)
    results.save_result("fresh", "storage", {"throughput_ops_per_second": 5.0})
    baseline.save_result("gone", "storage", {"throughput_ops_per_second": 5.0})

    words = parse(results.render_report(baseline_dir=baseline.results_dir)).words

    assert "Only in the baseline storage.gone" in words
    assert "Not in the baseline storage.fresh" in words


def test_without_a_baseline_nothing_is_said_of_one(results, parse):
    measured(results, 0.010)

    read = parse(results.render_report())

    assert "changes" not in read.ids
    assert "regression" not in read.words


def test_a_baseline_without_results_is_nothing_to_compare(results, baseline, parse):
    measured(results, 0.010)

    read = parse(results.render_report(baseline_dir=baseline.results_dir))

    assert read.mistakes == []
    assert "nothing to compare" in read.words


def test_a_regression_by_one_round_a_side_is_called_one_by_size_alone(results, baseline, parse):
    for store, throughput in ((baseline, 1000.0), (results, 500.0)):
        store.save_result("read", "storage", {"throughput_ops_per_second": throughput})

    words = parse(results.render_report(baseline_dir=baseline.results_dir)).words

    assert "1 regression by size alone" in words
    assert "noise may well be as large" in words
