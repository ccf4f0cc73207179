"""Two sides, matched by what they are of and judged figure by figure."""

import pytest

from agentmem_observe.errors import UsageError
from agentmem_observe.results.comparison import Comparison, Criteria, compare_sides
from agentmem_observe.results.metric_rules import parse_rule
from agentmem_observe.results.sides import side_of
from agentmem_observe.results.store import BenchmarkResults

P50, P99, RATE = (
    "service_time_p50_seconds",
    "service_time_p99_seconds",
    "throughput_ops_per_second",
)
FIGURES = {P50: 0.001, P99: 0.004, RATE: 1000.0}


@pytest.fixture
def old(tmp_path) -> BenchmarkResults:
    return BenchmarkResults(tmp_path / "old")


@pytest.fixture
def new(tmp_path) -> BenchmarkResults:
    return BenchmarkResults(tmp_path / "new")


@pytest.fixture
def compared(old, new):
    def compare(*rules: str, threshold: float = 0.1, force: bool = False) -> Comparison:
        criteria = Criteria(threshold, tuple(map(parse_rule, rules)), force)
        sides = [side_of(store, store.list_results()) for store in (new, old)]
        return compare_sides(sides[0], sides[1], criteria)

    return compare


def verdicts(comparison: Comparison) -> dict[str, str]:
    return {change.path.rpartition(".")[2]: change.verdict for change in comparison.changes}


@pytest.mark.parametrize(
    ("factor", "latency", "throughput"),
    [(1.0, "same", "same"), (1.3, "worse", "better"), (0.7, "better", "worse")],
)
def test_a_change_is_better_or_worse_by_the_direction_of_the_figure(
    factor, latency, throughput, compared, save_rounds, old, new
):
    save_rounds(old, FIGURES)
    save_rounds(new, {name: value * factor for name, value in FIGURES.items()}, shift=3)

    comparison = compared()

    assert verdicts(comparison) == {P50: latency, P99: latency, RATE: throughput}
    assert comparison.exit_code == (0 if factor == 1.0 else 2)


def test_the_change_is_current_over_baseline(compared, save_rounds, old, new):
    save_rounds(old, {P50: 0.001})
    save_rounds(new, {P50: 0.0013}, shift=3)

    (change,) = compared().changes

    low, high = change.judgement.interval
    assert change.judgement.change_ratio == pytest.approx(0.3, abs=0.01)
    assert low < 0.3 < high
    assert change.judgement.adjusted_p < 0.01
    assert change.middles == pytest.approx((0.001, 0.0013), rel=0.01)


def test_what_got_worse_comes_first_and_the_largest_change_first_of_all(
    compared, save_rounds, old, new
):
    save_rounds(old, FIGURES)
    save_rounds(new, {P50: 0.0013, P99: 0.012, RATE: 1400.0}, shift=3)

    comparison = compared()

    assert [change.path.rpartition(".")[2] for change in comparison.changes] == [P99, P50, RATE]


def test_a_size_of_ones_own_is_used_for_what_a_rule_fits(compared, save_rounds, old, new):
    save_rounds(old, FIGURES)
    save_rounds(new, {name: value * 1.06 for name, value in FIGURES.items()}, shift=3)

    assert set(verdicts(compared()).values()) == {"same"}
    assert verdicts(compared("p99:5%")) == {P99: "worse"}
    assert verdicts(compared("*", "p99:5%")) == {P50: "same", P99: "worse", RATE: "same"}


def test_a_figure_of_ones_own_is_judged_if_a_rule_says_how(compared, save_rounds, old, new):
    save_rounds(old, {"mood": 5.0, P50: 0.001})
    save_rounds(new, {"mood": 3.0, P50: 0.001}, shift=3)

    assert verdicts(compared("mood:higher")) == {"mood": "worse"}
    assert compared().unknown == {"mood": 1}
    with pytest.raises(UsageError, match="nothing says which way"):
        compared("mood")


def test_described_figures_are_counted_and_not_judged(compared, save_rounds, old, new):
    save_rounds(old, {P50: 0.001, "items_processed": 10})
    save_rounds(new, {P50: 0.001, "items_processed": 90})

    comparison = compared()

    assert (len(comparison.changes), comparison.described) == (1, 1)


def test_a_single_round_on_a_side_is_judged_by_size_and_called_weak(
    compared, save_rounds, old, new
):
    save_rounds(old, FIGURES, count=1)
    save_rounds(new, {name: value * 1.3 for name, value in FIGURES.items()}, count=1)

    comparison = compared()

    assert verdicts(comparison) == {P50: "worse", P99: "worse", RATE: "better"}
    assert comparison.weak == 3


def test_files_of_the_seeds_are_compared_by_size_alone(compared, old, new):
    for store, rate in ((old, 1250.5), (new, 900.0)):
        figures = {"complexity_1": {"batch_100": {RATE: rate, "items_processed": 100}}}
        store.save_result("write_throughput", "storage", figures, {"execution_time": 15.2})

    comparison = compared()

    ((identity, path),) = [(one.identity, one.path) for one in comparison.changes]
    assert (identity.target, path) == ("", f"complexity_1.batch_100.{RATE}")
    assert (comparison.exit_code, comparison.weak) == (2, 1)


@pytest.mark.parametrize(
    ("there", "here", "verdict"),
    [
        (0, 0, "same"),
        (0, 5, "worse"),
        (5, 0, "better"),
        (36, 36, "same"),
    ],
)
def test_counts_of_what_should_not_be_are_judged_from_none_on(
    there, here, verdict, compared, save_rounds, old, new
):
    save_rounds(old, {"lost_count": there})
    save_rounds(new, {"lost_count": here})

    assert verdicts(compared()) == {"lost_count": verdict}


def test_exact_figures_that_change_are_judged(compared, save_rounds, old, new):
    """A codec's bytes are the same in each round: there is no noise to hide behind."""
    save_rounds(old, {"bytes_per_vector": 36})
    save_rounds(new, {"bytes_per_vector": 48})

    assert verdicts(compared()) == {"bytes_per_vector": "worse"}


def test_what_is_the_same_in_every_round_takes_no_evidence_from_the_others(
    compared, save_rounds, old, new
):
    save_rounds(old, {P50: 0.001})
    save_rounds(new, {P50: 0.00105}, shift=3)
    alone = compared().changes[0].judgement.adjusted_p
    for store, shift in ((old, 20), (new, 23)):
        save_rounds(store, {"bytes_per_vector": 36, "lost_count": 0}, shift=shift, benchmark="b")

    changes = compared().changes

    assert [change.judgement.adjusted_p for change in changes] == [alone, 1.0, 1.0]


@pytest.mark.parametrize(
    "metadata",
    [
        {"host": {"hostname": "elsewhere", "cores": 2}},
        {"versions": {"numpy": "1.26"}},
        {"target": {"spec": "fake", "name": "fake", "version": "2"}},
    ],
)
def test_other_hosts_and_versions_are_inconclusive_unless_forced(
    metadata, compared, save_rounds, old, new
):
    save_rounds(old, FIGURES)
    save_rounds(new, {name: value * 1.3 for name, value in FIGURES.items()}, **metadata)

    asked, forced = compared(), compared(force=True)

    assert set(verdicts(asked).values()) == {"inconclusive"}
    assert {change.judgement.reasons for change in asked.changes} == {("not comparable",)}
    assert (asked.exit_code, forced.exit_code) == (0, 2)
    assert len(asked.differences) == len(forced.differences) == 1


def test_what_only_one_side_has_is_named_with_the_reason(compared, save_rounds, old, new):
    save_rounds(old, FIGURES)
    save_rounds(new, FIGURES, shift=3)
    save_rounds(old, FIGURES, benchmark="gone")
    save_rounds(old, FIGURES, benchmark="idle")
    save_rounds(new, FIGURES, benchmark="idle", status="skipped", reason="no attic")
    save_rounds(new, FIGURES, benchmark="fresh")
    save_rounds(old, FIGURES, benchmark="sized", params={"size": 1, "deep": True})
    save_rounds(new, FIGURES, benchmark="sized", params={"size": 2, "deep": True})

    comparison = compared()

    told = {(one.identity.benchmark, one.reason) for one in [*comparison.missing, *comparison.new]}
    assert told == {
        ("gone", ""),
        ("idle", "10 skipped: no attic"),
        ("fresh", ""),
        ("sized", "the other side has it otherwise: (size=2), not (size=1)"),
        ("sized", "the other side has it otherwise: (size=1), not (size=2)"),
    }
    assert comparison.exit_code == 0


def test_a_benchmark_that_only_fails_now_is_an_error(compared, save_rounds, old, new):
    save_rounds(old, FIGURES)
    save_rounds(new, FIGURES, shift=3)
    save_rounds(old, FIGURES, benchmark="broken")
    save_rounds(new, {}, benchmark="broken", status="failed", reason="it died")

    comparison = compared()

    assert comparison.exit_code == 1
    assert comparison.errors == ["mine.broken failed: 10 failed: it died"]


def test_void_results_are_never_compared(compared, save_rounds, old, new):
    void = {"validity": {"verdict": "void", "reasons": ["the client was late"]}}
    save_rounds(old, FIGURES)
    save_rounds(new, FIGURES, shift=3)
    save_rounds(new, {name: value * 9 for name, value in FIGURES.items()}, shift=5, **void)

    comparison = compared()

    assert set(verdicts(comparison).values()) == {"same"}
    assert {one.reason for one in comparison.current.left_out} == {"the client was late"}


def test_a_renamed_figure_is_missing_and_new(compared, save_rounds, old, new):
    save_rounds(old, {P50: 0.001, P99: 0.004})
    save_rounds(new, {P50: 0.001, RATE: 4.0}, shift=3)

    comparison = compared()

    assert [path for _, path in comparison.missing_figures] == [f"case.{P99}"]
    assert [path for _, path in comparison.new_figures] == [f"case.{RATE}"]


def test_nothing_in_common_is_an_error(compared, save_rounds, old, new):
    save_rounds(old, FIGURES, benchmark="one")
    save_rounds(new, FIGURES, benchmark="other")

    comparison = compared()

    assert comparison.exit_code == 1
    assert "nothing to compare" in comparison.errors[0]


def test_a_damaged_file_is_an_error_but_a_regression_counts_for_more(
    compared, save_rounds, old, new
):
    save_rounds(old, FIGURES)
    paths = save_rounds(new, FIGURES, shift=3)
    with open(paths[4], "w") as file:
        file.write('{"benchmark": ')

    damaged = compared()
    save_rounds(new, {name: value * 1.3 for name, value in FIGURES.items()}, benchmark="slow")
    save_rounds(old, FIGURES, benchmark="slow", shift=3)
    both = compared()

    assert (damaged.exit_code, both.exit_code) == (1, 2)
    assert set(verdicts(damaged).values()) == {"same"}
    assert len(both.errors) == 1


def test_an_undefined_number_leaves_the_other_rounds(compared, save_rounds, old, new):
    save_rounds(old, {P50: 0.001})
    save_rounds(new, {P50: 0.001}, shift=3)
    save_rounds(new, {P50: float("nan")}, count=1, shift=5)

    (change,) = compared().changes

    assert (change.verdict, len(change.current)) == ("same", 10)
