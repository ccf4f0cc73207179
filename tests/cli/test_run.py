"""`run`: what is printed where, what is saved, and the exit code."""

import json
import re
import subprocess
import sys

import pytest

from agentmem_observe.bench.discover import choose
from agentmem_observe.bench.runner import BenchmarkRunner
from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results.store import BenchmarkResults


def test_a_failed_benchmark_costs_its_own_result_and_the_exit_code(command, suite, tmp_path):
    ran = command("run", "--suite", suite, "--output-dir", tmp_path / "results")

    kept = BenchmarkResults(tmp_path / "results")
    statuses = [kept.load_result(path)["metadata"]["status"] for path in kept.list_results()]
    assert ran.code == 1
    assert sorted(statuses) == ["failed", "ok", "skipped"]
    assert "RuntimeError: the dog ate it" in ran.out
    assert "has the tiers stm, im, ltm, none of" in ran.out
    assert "[2/3] mine.broken: FAILED in" in ran.err
    assert "\x1b" not in ran.out + ran.err


def test_a_skipped_benchmark_is_no_failure(command, suite, tmp_path):
    ran = command("run", "--suite", suite, "--benchmark", "picky", "--output-dir", tmp_path)

    assert ran.code == 0
    assert "[1/1] mine.picky: skipped in" in ran.err


def test_export_json_prints_one_array_and_nothing_else(command, suite, tmp_path):
    ran = command("run", "--suite", suite, "--output-dir", tmp_path, "--export", "json",
                  "--params", "size=5", "--parallel")  # fmt: skip

    results = json.loads(ran.out)
    saved = BenchmarkResults(tmp_path)
    assert [result["benchmark"] for result in results] == ["fine", "broken", "picky"]
    assert [list(result) for result in results] == [
        ["benchmark", "category", "timestamp", "results", "metadata"]
    ] * 3
    assert results[0]["results"] == {"size": 5}
    for result in results:
        name = f"{result['category']}/{result['benchmark']}_{result['timestamp']}"
        assert saved.load_result(name) == result
    assert "mine.fine: started" in ran.err
    assert "warning: run beside up to 1 other benchmarks" in ran.err


@pytest.mark.parametrize(
    ("options", "at_a_time"),
    [([], 1), (["--parallel"], 2), (["--workers", 3], 3), (["--parallel", "--workers", 1], 1)],
)
def test_a_number_of_workers_needs_no_other_option(
    options, at_a_time, command, suite, tmp_path, monkeypatch
):
    asked = []

    def run(self, benchmarks, params=None, *, workers=1, rounds=1):
        asked.append(workers)
        return []

    monkeypatch.setattr(BenchmarkRunner, "run", run)

    command("run", "--suite", suite, "--output-dir", tmp_path / "results", *options)

    assert asked == [at_a_time]


def test_a_process_keeps_data_and_talk_apart(suite, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "agentmem_observe", "run", "--export", "json",
         "--benchmark", "fine", "--suite", str(suite), "--output-dir", str(tmp_path)],
        capture_output=True,
        text=True,
    )  # fmt: skip

    (result,) = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert result["results"] == {"size": 3}
    assert "[1/1] mine.fine: ok" in ended.stderr
    assert f"Wrote {tmp_path}/mine/fine_{result['timestamp']}.json" in ended.stderr


def test_no_credential_of_a_target_comes_out_anywhere(command, tmp_path):
    (tmp_path / "mine.py").write_text(
        "def benchmark_it():\n    print('AUTH hunter2')\n    raise RuntimeError('hunter2')\n"
    )

    ran = command("run", "--suite", tmp_path, "--output-dir", tmp_path / "results", "--export",
                  "json", "--target", "redis://user:hunter2@127.0.0.1:1/0")  # fmt: skip

    (saved,) = (tmp_path / "results").rglob("*.json")
    metadata = json.loads(ran.out)[0]["metadata"]
    assert (metadata["reason"], metadata["log_tail"]) == ("RuntimeError: ***", "AUTH ***\n")
    assert "hunter2" not in ran.out + ran.err + saved.read_text()


def test_the_configuration_file_says_where_and_the_option_overrides_it(command, suite, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(
        json.dumps({"output_dir": str(tmp_path / "configured"), "custom": {"mine": {"size": 11}}})
    )
    arguments = ["run", "--suite", suite, "--benchmark", "fine", "--config", file]

    configured = command(*arguments, "--export", "json")
    overridden = command(*arguments, "--export", "json", "--output-dir", tmp_path / "told",
                         "--params", "size=7")  # fmt: skip

    assert json.loads(configured.out)[0]["results"] == {"size": 11}
    assert json.loads(overridden.out)[0]["results"] == {"size": 7}
    assert len(BenchmarkResults(tmp_path / "configured").list_results()) == 1
    assert len(BenchmarkResults(tmp_path / "told").list_results()) == 1


def test_a_suite_alone_runs_only_what_is_in_it(suite):
    assert {benchmark.category for benchmark in choose((suite,), None, None)} == {"mine"}


def test_without_a_suite_all_runs_but_our_own_measurements_of_ourselves():
    categories = {benchmark.category for benchmark in choose((), None, None)}

    assert "storage" in categories
    assert "self" not in categories


@pytest.mark.parametrize(
    ("category", "benchmark", "expected"),
    [
        ("mine", None, {"mine.fine", "mine.broken", "mine.picky"}),
        ("mine", "fine", {"mine.fine"}),
        ("self", "pacing", {"self.pacing"}),
        (None, "write_throughput", {"storage.write_throughput"}),
    ],
)
def test_what_is_named_is_found_in_any_suite(category, benchmark, expected, suite):
    chosen = choose((suite,), category, benchmark)

    assert {benchmark.id for benchmark in chosen} == expected


def test_a_category_may_span_the_standard_suite_and_ones_own(suite):
    (suite / "storage.py").write_text(
        "def benchmark_payload(): return {}\ndef benchmark_read_latency(): return {}\n"
    )

    chosen = {benchmark.name: benchmark for benchmark in choose((suite,), "storage", None)}

    assert set(chosen) == {"write_throughput", "read_latency", "memory_efficiency", "payload"}
    assert chosen["read_latency"].path.parent == suite
    assert chosen["write_throughput"].path.parent != suite


def test_a_result_that_cannot_be_saved_ends_the_command_with_its_place(
    command, suite, tmp_path, monkeypatch
):
    def no_space(self: BenchmarkResults, document: object) -> str:
        raise ResultFormatError("results/mine/fine.json: cannot be written: No space left")

    monkeypatch.setattr(BenchmarkResults, "save_document", no_space)

    ran = command("run", "--suite", suite, "--output-dir", tmp_path, "--export", "json")

    assert (ran.code, ran.out) == (1, "")
    assert "Error: results/mine/fine.json: cannot be written: No space left\n" in ran.err
    assert list(tmp_path.glob("mine*")) == []


def test_an_error_that_is_not_the_users_keeps_its_traceback(command, suite, monkeypatch, tmp_path):
    def broken(self: BenchmarkRunner, *arguments: object, **options: object) -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(BenchmarkRunner, "run", broken)

    with pytest.raises(ZeroDivisionError):
        command("run", "--suite", suite, "--output-dir", tmp_path)


def test_rounds_are_counted_and_the_figures_shown_are_of_the_last(command, suite, tmp_path):
    ran = command("run", "--suite", suite, "--benchmark", "fine", "--output-dir", tmp_path,
                  "--rounds", 2)  # fmt: skip

    assert ran.code == 0
    assert re.findall(r"round \d of \d|\[\d/\d\]", ran.err) == [
        "round 1 of 2", "[1/2]", "round 2 of 2", "[2/2]"
    ]  # fmt: skip
    assert ran.out.count("mine.fine") == 1
    assert "These are the figures of the last round alone." in ran.err
    assert len(BenchmarkResults(tmp_path).list_results()) == 2


def test_export_json_prints_the_results_of_all_rounds(command, suite, tmp_path):
    ran = command("run", "--suite", suite, "--benchmark", "fine", "--output-dir", tmp_path,
                  "--rounds", 2, "--export", "json")  # fmt: skip

    numbers = [result["metadata"]["rounds"]["number"] for result in json.loads(ran.out)]
    assert numbers == [1, 2]


def test_rounds_are_events_in_a_log(command, suite, tmp_path):
    ran = command("run", "--suite", suite, "--benchmark", "fine", "--output-dir", tmp_path,
                  "--rounds", 2, "--log-format", "json")  # fmt: skip

    lines = [json.loads(line) for line in ran.err.splitlines()]
    rounds = [line for line in lines if line["event"] == "round_started"]
    ended = [line for line in lines if line["event"] == "benchmark_ended"]
    assert [(line["number"], line["total"], line["message"]) for line in rounds] == [
        (1, 2, "round 1 of 2"),
        (2, 2, "round 2 of 2"),
    ]
    assert len({line["series"] for line in rounds}) == 1
    assert [(line["number"], line["total"]) for line in ended] == [(1, 2), (2, 2)]


@pytest.mark.parametrize("rounds", ["0", "1001", "ten"])
def test_a_number_of_rounds_that_cannot_be_is_refused(rounds, command):
    ran = command("run", "--rounds", rounds)

    assert ran.code == 1
    assert "--rounds: " in ran.err
    assert "is not a whole number >= 1 and <= 1000" in ran.err
