import sys

import pytest

from agentmem_observe.results.store import BenchmarkResults

FIGURES = {f"batch_{size}": {"throughput_ops_per_second": 10.0 * size} for size in (1, 10, 100)}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sizes(store) -> BenchmarkResults:
    """Return the directory with results that can be drawn over the size of a batch."""
    for day in (1, 2):
        store.save_result("sized", "mine", FIGURES, {}, f"2026010{day}_000000")
    return store


def test_a_report_is_written_and_named(store, command, tmp_path):
    ran = command("results", "report", "--results-dir", store.results_dir)

    assert (ran.code, ran.out, ran.err) == (0, "Wrote report.html\n", "")
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "it rained" in page
    assert "torn_20260103_000000" in page


def test_a_report_goes_where_it_is_told_to(store, command, tmp_path):
    ran = command(
        "results", "report", "--results-dir", store.results_dir, "--output", "out/r.html"
    )

    assert (ran.code, ran.out) == (0, "Wrote out/r.html\n")
    assert (tmp_path / "out" / "r.html").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "--output", "it.svg"),
        (
            "plot",
            "--metric",
            "throughput_ops_per_second",
            "--x-axis",
            "batch",
            "--output",
            "it.svg",
        ),
    ],
    ids=lambda arguments: arguments[0],
)
def test_nothing_is_replaced_without_force(arguments, sizes, command, tmp_path):
    (tmp_path / "it.svg").write_text("mine")

    refused = command("results", *arguments, "--results-dir", sizes.results_dir)
    kept = (tmp_path / "it.svg").read_text()
    forced = command("results", *arguments, "--force", "--results-dir", sizes.results_dir)

    assert refused.code == 1
    assert "it.svg exists already; give --force to replace it" in refused.err
    assert kept == "mine"
    assert (forced.code, forced.out) == (0, "Wrote it.svg\n")
    assert (tmp_path / "it.svg").read_text() != "mine"


def test_a_report_of_no_directory_is_an_error(command, tmp_path):
    ran = command("results", "report", "--results-dir", "nowhere")

    assert ran.code == 1
    assert "'nowhere': there is no such directory" in ran.err
    assert not (tmp_path / "report.html").exists()


def test_a_place_that_cannot_be_written_is_an_error(store, command, tmp_path):
    (tmp_path / "file").write_text("")

    ran = command(
        "results", "report", "--results-dir", store.results_dir, "--output", "file/r.html"
    )

    assert ran.code == 1
    assert "file/r.html: cannot be written" in ran.err


def test_a_directory_is_no_place_for_a_page(store, command):
    ran = command("results", "report", "--results-dir", store.results_dir, "--output", ".")

    assert ran.code == 1
    assert "'.' is a directory; name a file in it" in ran.err


def test_a_report_needs_neither_pandas_nor_matplotlib(store, command, monkeypatch):
    for package in ("pandas", "matplotlib"):
        monkeypatch.setitem(sys.modules, package, None)

    assert command("results", "report", "--results-dir", store.results_dir).code == 0


def test_a_plot_of_a_whole_directory_tells_what_it_left_out(sizes, command, tmp_path):
    ran = command(
        "results",
        "plot",
        "--results-dir",
        sizes.results_dir,
        "--metric",
        "throughput_ops_per_second",
        "--x-axis",
        "batch_size",
    )

    assert (ran.code, ran.out) == (0, "Wrote throughput_ops_per_second.png\n")
    assert ran.err.startswith("left out: ")
    assert "torn_20260103_000000" in ran.err
    assert (tmp_path / "throughput_ops_per_second.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_of_named_results_needs_no_directory(sizes, command, tmp_path):
    path = sizes.list_results(benchmark="sized")[0]

    ran = command(
        "results",
        "plot",
        path,
        "--metric",
        "throughput_ops_per_second",
        "--x-axis",
        "batch_size",
        "--output",
        "p.svg",
    )

    assert (ran.code, ran.out, ran.err) == (0, "Wrote p.svg\n", "")
    assert "<svg" in (tmp_path / "p.svg").read_text()


@pytest.mark.parametrize(
    ("metric", "axis", "output", "said"),
    [
        ("throughput", "batch", "p.png", "no result has a number 'throughput'; known: size_bytes"),
        ("throughput_ops_per_second", "colour", "p.png", "on an axis 'colour'; known: batch"),
        ("throughput_ops_per_second", "batch", "p.doc", "ends in .png, .svg or .pdf"),
        ("throughput_ops_per_second", "batch", "p", "ends in .png, .svg or .pdf"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_with_the_cure(
    metric, axis, output, said, sizes, command, tmp_path
):
    options = ("--metric", metric, "--x-axis", axis, "--output", output)

    ran = command("results", "plot", "--results-dir", sizes.results_dir, *options)

    assert ran.code == 1
    assert said in ran.err
    assert not (tmp_path / output).exists()


def test_a_plot_without_the_extra_says_how_to_get_it(sizes, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "agentmem_observe.results.plots", raising=False)

    ran = command(
        "results",
        "plot",
        "--results-dir",
        sizes.results_dir,
        "--metric",
        "throughput_ops_per_second",
        "--x-axis",
        "batch",
    )

    assert ran.code == 1
    assert "pip install 'agentmem-observe[report]'" in ran.err


def test_a_report_against_a_baseline_says_what_got_worse_and_exits_with_0(
    store, command, tmp_path
):
    for directory, value in (("base", 1000.0), ("now", 100.0)):
        figures = {"throughput_ops_per_second": value}
        BenchmarkResults(tmp_path / directory).save_result("sized", "mine", figures)

    ran = command("results", "report", "--results-dir", "now", "--baseline-dir", "base")

    assert (ran.code, ran.err) == (0, "")
    assert "regression by size alone" in (tmp_path / "report.html").read_text()


def test_a_baseline_that_is_not_there_is_an_error(store, command):
    options = ("--results-dir", store.results_dir, "--baseline-dir", "nowhere")

    ran = command("results", "report", *options)

    assert ran.code == 1
    assert "--baseline-dir 'nowhere': there is no such directory" in ran.err
