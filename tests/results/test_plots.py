import math

import matplotlib as mpl
import pytest

from agentmem_observe.errors import UsageError
from agentmem_observe.results.lines import lines_of
from agentmem_observe.results.schema import Result
from agentmem_observe.results.store import BenchmarkResults

THROUGHPUT = "throughput_ops_per_second"
SEEDS_FIGURES = {
    f"complexity_{complexity}": {
        f"batch_{size}": {THROUGHPUT: 1e4 / complexity + size, "items_processed": size}
        for size in (10, 100, 1000)
    }
    for complexity in (1, 5)
}


def result(figures, params=None, timestamp="20250323_145623", benchmark="bench", **metadata):
    return Result(benchmark, "storage", timestamp, figures, {"params": params or {}} | metadata)


def drawn(results, metric, axis):
    """Return names and places of all lines."""
    return {
        line.name: [(one.x, one.y) for one in line.samples]
        for line in lines_of(results, metric, axis)
    }


@pytest.mark.parametrize("axis", ["batch_size", "batch"])
def test_an_axis_is_read_from_keys_that_carry_a_number(axis):
    lines = drawn([result(SEEDS_FIGURES)], THROUGHPUT, axis)

    assert lines == {
        "complexity 1": [(10, 10_010), (100, 10_100), (1000, 11_000)],
        "complexity 5": [(10, 2010), (100, 2100), (1000, 3000)],
    }


@pytest.mark.parametrize(
    ("figures", "params", "axis", "expected"),
    [
        ({"1": {"m": 5}, "10": {"m": 6}}, {"agent_counts": [1, 10]}, "agent_counts", [1, 10]),
        ({"1": {"m": 5}, "10": {"m": 6}}, {"agent_counts": [1, 10]}, "agent_count", [1, 10]),
        ({"threshold_0.7": {"m": 1}, "threshold_0.8": {"m": 2}}, {}, "threshold", [0.7, 0.8]),
        ({"a": {"m": 1, "records": 20}}, {}, "records", [20]),
        ({"a": {"m": 1}}, {"rate": 50}, "rate", [50]),
        ({"volume_10": {"m": 1}}, {"volume": 7}, "volume", [10]),
    ],
)
def test_an_axis_may_be_a_key_a_figure_or_a_parameter(figures, params, axis, expected):
    ((points),) = drawn([result(figures, params)], "m", axis).values()

    assert [x for x, _ in points] == expected


def test_a_number_below_another_parameters_name_is_not_of_this_axis():
    figures = {"1": {"m": 5}, "parallel_operations": {"1": {"m": 99}}}
    params = {"agent_counts": [1, 10], "parallel_operations": [1, 4]}

    lines = drawn([result(figures, params)], "m", "agent_counts")

    assert lines == {"bench": [(1, 5)]}


def test_figures_that_follow_tier_by_tier_are_drawn_once():
    figures = {"batch_10": {"m": 5, "tiers": {"stm": {"m": 5}, "ltm": {"m": 2}}}}

    assert drawn([result(figures)], "m", "batch") == {"stm": [(10, 5)], "ltm": [(10, 2)]}


def test_rounds_become_one_line_through_their_medians():
    rounds = [result({"batch_10": {"m": value}}) for value in (3, 1, 2)]

    (line,) = lines_of(rounds, "m", "batch")

    assert line.medians() == [(10, 2)]
    assert len(line.samples) == 3


def test_void_rounds_do_not_move_a_median():
    rounds = [
        result({"batch_10": {"m": value, "validity": validity}})
        for value, validity in ((1, "valid"), (2, "degraded"), (3, "valid"), (1000, "void"))
    ]

    (line,) = lines_of(rounds, "m", "batch")

    assert line.medians() == [(10, 2)]


def test_benchmarks_and_targets_are_told_apart():
    results = [
        result({"batch_10": {"m": 1}}, target={"spec": "embedded"}),
        result({"batch_10": {"m": 2}}, target={"spec": "redis://h:1/0"}),
    ]

    assert set(drawn(results, "m", "batch")) == {"bench, embedded", "bench, redis://h:1/0"}


def test_the_axis_of_time_has_a_place_for_each_run():
    results = [result({"m": day}, timestamp=f"2025032{day}_000000") for day in (1, 2, 3)]

    ((points),) = drawn(results, "m", "timestamp").values()

    assert [y for _, y in points] == [1, 2, 3]
    assert len({x for x, _ in points}) == 3


def test_a_figure_that_is_nowhere_is_named_with_the_nearest():
    with pytest.raises(UsageError, match="no result has a number 'thruput'; known: m"):
        lines_of([result({"m": 1})], "thruput", "batch")


def test_an_axis_that_is_nowhere_is_named_with_those_there_are():
    with pytest.raises(UsageError, match="on an axis 'size'; known: batch, m, rate, timestamp"):
        lines_of([result({"batch_10": {"m": 1}}, {"rate": 5})], "m", "size")


@pytest.fixture
def results(tmp_path) -> BenchmarkResults:
    store = BenchmarkResults(tmp_path / "benchmark_results")
    for day in (1, 2, 3):
        store.save_result("write_throughput", "storage", SEEDS_FIGURES, {}, f"2025032{day}_145623")
    return store


def test_the_sample_of_the_agentmemory_documents_runs(results, tmp_path, monkeypatch):
    """Verbatim, but for where the package is; twice, as in a notebook."""
    monkeypatch.chdir(tmp_path)
    sample = """
from agentmem_observe.results.store import BenchmarkResults

# Initialize results manager
results = BenchmarkResults("benchmark_results")

# List results
storage_results = results.list_results(category="storage")

# Compare results
comparison_df = results.compare_results(storage_results)

# Generate a report
report_path = results.generate_report(category="storage")

# Create visualization
fig = results.plot_comparison(
    storage_results, 
    metric="throughput_ops_per_second",
    x_axis="batch_size"
)
results.save_plot(fig, "storage_throughput.png")
"""

    for _ in range(2):
        names: dict[str, object] = {}
        exec(sample, names)

    directory = tmp_path / "benchmark_results"
    assert (directory / "storage_throughput.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(directory.glob("report_storage_*.html"))) == 2
    assert len(names["comparison_df"]) == 3 * 12
    assert len(names["storage_results"]) == len(results.list_results())


def test_every_axis_of_a_plot_says_what_it_is(results):
    (axes,) = results.plot_comparison(results.list_results(), THROUGHPUT, "batch_size").axes

    assert axes.get_xlabel() == "batch size"
    assert axes.get_ylabel() == "throughput (per second)"
    legend = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert legend == ["complexity 1 (median of 3 runs)", "complexity 5 (median of 3 runs)"]


def test_doubtful_numbers_are_explained_in_the_key(results):
    doubtful = {f"batch_{n}": {"m": n, "validity": v} for n, v in ((1, "void"), (2, "degraded"))}
    path = results.save_result("doubtful", "mine", doubtful)

    figure = results.plot_comparison([path], "m", "batch")

    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[-2:] == ["hollow: degraded", "cross: void, not to be used"]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_plot_is_the_same_file(results, suffix):
    def made() -> bytes:
        figure = results.plot_comparison(results.list_results(), THROUGHPUT, "batch_size")
        return results.encode_plot(figure, f"a.{suffix}")

    assert made() == made()


def test_a_plot_is_saved_where_its_name_says(results, tmp_path):
    figure = results.plot_comparison(results.list_results(), THROUGHPUT, "batch_size")

    inside = results.save_plot(figure, "plots/a.svg")
    outside = results.save_plot(figure, tmp_path / "b.png")

    assert inside == str(results.results_dir / "plots" / "a.svg")
    assert outside == str(tmp_path / "b.png")
    assert "<svg" in (results.results_dir / "plots" / "a.svg").read_text()


def test_drawing_changes_nothing_for_others(results):
    before = dict(mpl.rcParams)

    figure = results.plot_comparison(results.list_results(), THROUGHPUT, "batch_size")
    results.encode_plot(figure, "a.svg")

    assert dict(mpl.rcParams) == before
    assert mpl.pyplot.get_fignums() == [] if hasattr(mpl, "pyplot") else True


def test_more_lines_than_can_be_told_apart_are_refused(results):
    figures = {
        f"case_{chr(97 + n // 26)}{chr(97 + n % 26)}": {"batch_1": {"m": n}} for n in range(40)
    }
    path = results.save_result("many", "mine", figures)

    with pytest.raises(UsageError, match="40 lines, and 28 can be told apart"):
        results.plot_comparison([path], "m", "batch")


def test_numbers_of_any_size_can_be_drawn(results):
    figures = {f"batch_{n}": {"m": value} for n, value in enumerate((-1e300, 0, 5e-324, 1e300))}
    path = results.save_result("odd", "mine", figures)

    figure = results.plot_comparison([path], "m", "batch")

    assert results.encode_plot(figure, "a.svg")
    assert all(math.isfinite(x) for x in figure.axes[0].get_ylim())
