"""`results list` and `results show`, and what happens where nobody reads them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agentmem_observe.files import read_json


def test_list_names_each_result_as_show_takes_it(command, store):
    listed = command("results", "list", "--results-dir", store.results_dir)

    names = [line.split()[0] for line in listed.out.splitlines()[1:]]
    assert listed.code == 0
    assert names == [
        "mine/fine_20260101_000000",
        "mine/picky_20260102_000000",
        "mine/torn_20260103_000000",
    ]
    for name in names[:2]:
        shown = command("results", "show", name, "--results-dir", store.results_dir)
        assert shown.code == 0


def test_list_says_how_each_result_ended(command, store):
    ran = command("results", "list", "--results-dir", store.results_dir)

    fine, picky, torn = (line.split()[1:] for line in ran.out.splitlines()[1:])
    assert fine == ["ok", "degraded", "1.50", "s"]
    assert picky == ["skipped", "-", "100", "ms"]
    assert torn == ["damaged", "-", "-"]


def test_a_damaged_file_is_explained_beside_the_list(command, store):
    ran = command("results", "list", "--results-dir", store.results_dir)

    (said,) = ran.err.splitlines()
    assert said.startswith("damaged: ")
    assert "torn_20260103_000000.json:1:15: not valid JSON" in said


def test_list_as_json_is_one_array_with_damaged_files_in_it(command, store):
    ran = command("results", "list", "--json", "--results-dir", store.results_dir)

    rows = json.loads(ran.out)
    assert ran.err == ""
    assert [row["status"] for row in rows] == ["ok", "skipped", "damaged"]
    assert rows[0] == {
        "timestamp": "20260101_000000",
        "category": "mine",
        "benchmark": "fine",
        "status": "ok",
        "validity": "degraded",
        "execution_time": 1.5,
        "error": None,
        "path": str(store.results_dir / "mine" / "fine_20260101_000000.json"),
    }
    assert "not valid JSON" in rows[2]["error"]


def test_list_filters_by_category_and_benchmark(command, store):
    options = ["--results-dir", store.results_dir, "--json"]

    by_name = command("results", "list", "--benchmark", "picky", *options)
    by_category = command("results", "list", "--category", "other", *options)

    assert [row["benchmark"] for row in json.loads(by_name.out)] == ["picky"]
    assert json.loads(by_category.out) == []


def test_where_no_results_are_the_talk_says_how_to_make_some(command, tmp_path):
    table = command("results", "list", "--results-dir", tmp_path)
    document = command("results", "list", "--results-dir", tmp_path, "--json")

    assert (table.code, table.out) == (0, "")
    assert table.err.startswith(f"No results in {tmp_path}; make some with: ")
    assert (document.code, json.loads(document.out)) == (0, [])


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["show", "fine"]])
@pytest.mark.parametrize("place", ["nowhere", None])
def test_a_directory_that_is_not_there_is_not_one_without_results(
    arguments, place, command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    option = ["--results-dir", place] if place else []

    ran = command("results", *arguments, *option)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"Error: --results-dir {place or 'benchmark_results'!r}: there is no such directory; "
        "name another, or make results with: agentmem-observe run\n"
    )


def test_a_file_is_shown_wherever_it_is(command, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (path, *_) = store.list_results()

    assert command("results", "show", path).code == 0


def test_a_results_directory_that_is_a_file_is_refused(command, tmp_path):
    (tmp_path / "file").touch()

    ran = command("results", "list", "--results-dir", tmp_path / "file")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"Error: {tmp_path}/file: cannot be read: ")


def test_show_as_json_is_the_file(command, store):
    (path, *_) = store.list_results()

    ran = command("results", "show", path, "--json")

    assert ran.code == 0
    assert json.loads(ran.out) == json.loads(Path(path).read_text())


def test_show_says_the_doubts_before_the_figures(command, store):
    ran = command("results", "show", "fine_20260101_000000", "--results-dir", store.results_dir)

    lines = [line for line in ran.out.splitlines() if line]
    assert lines[0] == "mine.fine  20260101_000000  ok  degraded"
    assert lines[1] == "warning: it rained"
    assert lines[-1].split() == ["3", "B"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fine_20260101_000001", "did you mean 'fine_20260101_000000'?"),
        ("picky", "did you mean 'picky_20260102_000000'?"),
        ("zzz", "see agentmem-observe results list"),
    ],
)
def test_an_unknown_result_comes_with_the_nearest(name, hint, command, store):
    ran = command("results", "show", name, "--results-dir", store.results_dir)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"Error: {name}: no such result, nor in {store.results_dir}; {hint}\n"


def test_a_damaged_result_cannot_be_shown_and_says_where(command, store):
    ran = command("results", "show", "torn_20260103_000000", "--results-dir", store.results_dir)

    assert (ran.code, ran.out) == (1, "")
    assert "torn_20260103_000000.json:1:15: not valid JSON" in ran.err


LISTINGS = [["--help"], ["list"], ["list", "--json"], ["results", "list", "--json"]]


@pytest.mark.parametrize("arguments", LISTINGS, ids=" ".join)
def test_a_reader_who_leaves_early_causes_no_traceback(arguments, tmp_path):
    (tmp_path / "benchmark_results").mkdir()

    process = subprocess.Popen(
        [sys.executable, "-m", "agentmem_observe", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    with process.stderr as stderr:
        assert stderr.read() == ""
    assert process.wait() == 1


@pytest.mark.parametrize("arguments", LISTINGS[:3], ids=" ".join)
def test_a_full_standard_output_is_an_error_in_one_line(arguments):
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "agentmem_observe", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert ended.returncode == 1
    assert ended.stderr == ("Error: standard output cannot be written: No space left on device\n")


def test_list_shows_defaults_as_params_takes_them(command, suite):
    (suite / "mine.py").write_text(
        "def benchmark_fine(sizes=(1, 2), word='a', depth=DEEP, must=None, *, bench): ...\n"
    )

    ran = command("list", "--category", "mine", "--suite", suite)
    (listed,) = json.loads(command("list", "--category", "mine", "--suite", suite, "--json").out)

    assert 'sizes=[1,2], word="a", depth="DEEP"' in " ".join(ran.out.split())
    assert listed["parameters"] == {"sizes": [1, 2], "word": "a", "depth": "DEEP", "must": None}


def test_list_shows_what_the_configuration_would_pass(command):
    listed = json.loads(command("list", "--json", "--category", "storage").out)

    by_name = {benchmark["benchmark"]: benchmark["parameters"] for benchmark in listed}
    assert by_name["write_throughput"]["tiers"] == ["stm", "im", "ltm"]
    assert by_name["memory_efficiency"]["record_count"] == 10_000


def test_a_list_builds_only_the_files_that_something_is_wrong_with(command, store, monkeypatch):
    built = []

    def read_whole(path, error):
        built.append(path.name)
        return read_json(path, error)

    monkeypatch.setattr("agentmem_observe.results.heads.read_json", read_whole)

    command("results", "list", "--results-dir", store.results_dir)

    assert built == ["torn_20260103_000000.json"]
