"""`compare`: what is printed first, where, and the exit code that a CI job sees."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.cli.comparing import Reading
from agentmem_observe.results.formats.registry import FORMATS
from agentmem_observe.results.store import BenchmarkResults

P50, P99, RATE = (
    "service_time_p50_seconds",
    "service_time_p99_seconds",
    "throughput_ops_per_second",
)
FIGURES = {P50: 0.001, P99: 0.004, RATE: 1000.0}
SLOWER = FIGURES | {P99: 0.006}


@pytest.fixture
def old(tmp_path: Path) -> BenchmarkResults:
    return BenchmarkResults(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> BenchmarkResults:
    return BenchmarkResults(tmp_path / "new")


@pytest.fixture
def compare(command: Callable[..., Any], old: BenchmarkResults, new: BenchmarkResults) -> Any:
    def run(*options: object) -> Any:
        directories = ("--current-dir", new.results_dir, "--baseline-dir", old.results_dir)
        return command("compare", *directories, *options)

    return run


@pytest.fixture
def mixed(
    save_rounds: Callable[..., Any],
    old: BenchmarkResults,
    new: BenchmarkResults,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Make two directories with one of everything that a comparison can have to say."""
    monkeypatch.chdir(tmp_path)
    wide = [0.7, 1.4, 0.8, 1.3]
    for store, shift in ((old, 0), (new, 3)):
        save_rounds(store, FIGURES, benchmark="steady", shift=shift)
        for number, noise in enumerate(wide if shift else reversed(wide)):
            figures = {P50: 0.001 * noise}
            save_rounds(store, figures, benchmark="noisy", count=1, shift=10 + number)
    save_rounds(old, FIGURES | {"mood": 3.0, "items_processed": 10}, benchmark="store")
    changed = SLOWER | {RATE: 1400.0, "mood": 3.0, "items_processed": 10}
    save_rounds(new, changed, benchmark="store", shift=3)
    save_rounds(old, FIGURES, benchmark="gone")
    save_rounds(new, FIGURES, benchmark="fresh")
    void = {"validity": {"verdict": "void", "reasons": ["the client was late | very"]}}
    save_rounds(new, FIGURES, benchmark="steady", count=1, shift=9, **void)
    torn = new.results_dir / "mine" / "steady_20260101_120000.json"
    torn.write_text('{"benchmark": ')


def test_a_regression_is_exit_code_2_and_is_printed_first_of_36_figures(
    compare, save_rounds, old, new
):
    many = {f"case{n}": 0.001 for n in range(12)}
    for n, benchmark in enumerate(many):
        save_rounds(old, FIGURES, benchmark=benchmark)
        save_rounds(new, SLOWER if n == 7 else FIGURES, benchmark=benchmark, shift=3)

    ran = compare()

    lines = ran.out.splitlines()
    assert ran.code == 2
    assert lines[0] == "Worse: 1 of 36 figures"
    assert lines[1] == f"  mine.case7 case.{P99}"
    assert lines[-1] == "Exit code 2: 1 of 36 figures of 12 benchmarks got worse."
    assert "Same: 35 figures" in lines


def test_no_regression_is_exit_code_0(compare, save_rounds, old, new):
    save_rounds(old, FIGURES)
    save_rounds(new, FIGURES, shift=3)

    ran = compare()

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "Exit code 0: no regression in 3 figures of 1 benchmark."


def test_a_damaged_file_is_exit_code_1_and_the_rest_is_compared(compare, save_rounds, old, new):
    save_rounds(old, FIGURES)
    save_rounds(new, FIGURES, shift=3)
    torn = new.results_dir / "mine" / "fine_20260101_120000.json"
    torn.write_text('{"benchmark": ')

    ran = compare()

    assert ran.code == 1
    assert f"damaged: {torn}:1:15: not valid JSON" in ran.out
    assert "Same: 3 figures" in ran.out
    assert ran.out.splitlines()[-1] == (
        "Exit code 1: no regression found, but 1 file cannot be read."
    )


@pytest.mark.parametrize(
    ("there", "here", "code"), [(FIGURES, FIGURES, 0), (FIGURES, SLOWER, 2), (FIGURES, {}, 1)]
)
def test_a_ci_job_sees_the_exit_code(there, here, code, save_rounds, old, new):
    save_rounds(old, there)
    save_rounds(new, here, shift=3)

    ended = subprocess.run(
        [sys.executable, "-m", "agentmem_observe", "compare",
         "--current-dir", new.results_dir, "--baseline-dir", old.results_dir],
        capture_output=True,
        text=True,
    )  # fmt: skip

    assert ended.returncode == code, ended.stderr
    assert ended.stdout.splitlines()[-1].startswith(f"Exit code {code}: ")


@pytest.mark.parametrize("options", [[], ["--format", "markdown"], ["--json"]])
def test_the_exit_code_does_not_depend_on_the_format(options, compare, save_rounds, old, new):
    save_rounds(old, FIGURES)
    save_rounds(new, SLOWER, shift=3)

    assert compare(*options).code == 2


def test_what_is_said_beside_another_format_is_how_it_ended(compare, mixed):
    ran = compare("--format", "json")

    *_, error, last = ran.err.splitlines()
    assert error.startswith("damaged: ")
    assert last == json.loads(ran.out)["summary"]
    assert last.startswith("Exit code 2: 1 of ")


@pytest.mark.parametrize("name", ["table", "markdown", "junit"])
def test_what_is_printed_is_as_it_was(name, compare, mixed, old, new, golden, monkeypatch):
    monkeypatch.setattr(old, "results_dir", Path("old"))
    monkeypatch.setattr(new, "results_dir", Path("new"))

    ran = compare("--format", name)

    golden(f"compare/{name}.txt", ran.out)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_comparison_fits_on_a_terminal(columns, compare, mixed, on_terminal, screen, old, new):
    ran = on_terminal(
        "compare", "--current-dir", new.results_dir, "--baseline-dir", old.results_dir,
        columns=columns,
    )  # fmt: skip

    assert ran.code == 2
    assert max(map(len, screen(ran.err))) <= columns


def test_an_output_file_takes_what_would_be_printed(compare, save_rounds, old, new, tmp_path):
    save_rounds(old, FIGURES)
    save_rounds(new, FIGURES, shift=3)
    printed = compare("--format", "markdown").out
    file = tmp_path / "comment.md"
    file.write_text("older")

    ran = compare("--format", "markdown", "--output", file)

    assert ran.out == ""
    assert file.read_text() == printed
    assert ran.err.splitlines() == [
        f"Wrote {file}",
        "Exit code 0: no regression in 3 figures of 1 benchmark.",
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_written(form, compare, mixed):
    ran = compare("--format", form)

    assert ran.code == 2
    assert ran.out.strip()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--threshold", "0"], "--threshold: '0' is no size of a change"),
        (["--threshold", "ten"], "--threshold: 'ten' is no size of a change"),
        (["--metric", "p98"], "--metric 'p98': none of 3 figures has this in its name"),
        (["--format", "xml"], "--format: 'xml' is not one of"),
        (["--json", "--format", "junit"], "--json and --format junit: use one of them"),
        (["--output", "x"], "--output is for other formats than the table"),
        (["--category", "other"], "no results of 'other'"),
        (["--json", "--output", "/nowhere/x"], "cannot be written: No such file or directory"),
    ],
)
def test_a_wrong_option_is_refused_with_the_cure(options, said, compare, save_rounds, old, new):
    save_rounds(old, FIGURES)
    save_rounds(new, FIGURES, shift=3)

    ran = compare(*options)

    assert (ran.code, ran.out) == (1, "")
    assert said in ran.err


def test_directories_without_results_are_refused(command, compare, save_rounds, old, new):
    save_rounds(old, FIGURES)
    new.prepare()

    empty = compare()
    nowhere = command("compare", "--current-dir", "nowhere", "--baseline-dir", old.results_dir)
    missing = command("compare", "--current-dir", old.results_dir)
    twice = command("compare", "--current-dir", old.results_dir, "--baseline-dir", old.results_dir)

    assert {ran.code for ran in (empty, nowhere, missing, twice)} == {1}
    assert f"--current-dir {str(new.results_dir)!r}: no results; they are files" in empty.err
    assert "--current-dir 'nowhere': there is no such directory" in nowhere.err
    assert "no DIR is given" in missing.err
    assert "--current-dir and --baseline-dir are the same" in twice.err


def test_a_category_or_a_benchmark_can_be_compared_alone(compare, save_rounds, old, new):
    for benchmark in ("one", "other"):
        save_rounds(old, FIGURES, benchmark=benchmark)
        save_rounds(new, FIGURES if benchmark == "one" else SLOWER, benchmark=benchmark, shift=3)

    assert compare("--benchmark", "one").code == 0
    assert compare("--benchmark", "other").code == 2


def test_long_reading_says_how_far_it_is(capsys):
    now = [0.0]
    reading = Reading(1000, lambda: now[0])

    for _ in range(36):
        now[0] += 0.125
        reading.seen()

    assert capsys.readouterr().err.splitlines() == [
        "read 16 of 1,000 result files",
        "read 32 of 1,000 result files",
    ]


@pytest.mark.parametrize("options", [[], ["--format", "markdown"], ["--json"]])
def test_half_a_character_in_a_name_stops_nothing(options, save_rounds, old, new):
    names = {"\ud800 service": {P50: 0.001}}
    save_rounds(old, FIGURES)
    save_rounds(new, FIGURES, shift=3)
    old.save_result("odd", "mine", names, {"status": "ok"})
    new.save_result("odd", "mine", names, {"status": "ok"})

    ended = subprocess.run(
        [sys.executable, "-m", "agentmem_observe", "compare", *options,
         "--current-dir", new.results_dir, "--baseline-dir", old.results_dir],
        capture_output=True,
        text=True,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr


def test_help_says_the_exit_codes(command):
    assert "2  a regression" in command("compare", "--help").out


def test_a_reader_that_has_had_enough_is_no_traceback(save_rounds, old, new):
    save_rounds(old, FIGURES)
    save_rounds(new, FIGURES, shift=3)
    reading, writing = os.pipe()
    os.close(reading)

    ended = subprocess.run(
        [sys.executable, "-m", "agentmem_observe", "compare", "--json",
         "--current-dir", new.results_dir, "--baseline-dir", old.results_dir],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip

    os.close(writing)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
