"""What a stranger types wrong: the message names it and the cure, nothing runs, exit code 1."""

import json
import sys

import pytest

from agentmem_observe.bench.runner import BenchmarkRunner

MISTAKES = {
    "flag": (
        ["run", "--catgory", "storage"],
        ["no such option '--catgory'; did you mean '--category'?"],
    ),
    "flag of the program": (
        ["--versoin"],
        ["no such option '--versoin'; did you mean '--version'?"],
    ),
    "flag far from all": (
        ["results", "list", "-x"],
        ["no such option '-x'; see agentmem-observe results list --help"],
    ),
    "flag without its value": (["run", "--seed"], ["'--seed' requires an argument; see --help"]),
    "flag with a value": (["list", "--json=1"], ["'--json' does not take a value; see --help"]),
    "command": (["runn"], ["no such command 'runn'; did you mean 'run'?"]),
    "command far from all": (
        ["xyz"],
        ["no such command 'xyz'; known: alerts, backfill, ", "list, results, run"],
    ),
    "subcommand": (["results", "lst"], ["no such command 'lst'; did you mean 'list'?"]),
    "category": (["run", "--category", "storge"], ["'storge'", "did you mean 'storage'?"]),
    "category to list": (["list", "--category", "slef"], ["'slef'", "did you mean 'self'?"]),
    "empty category": (["run", "--category", ""], ["category ''", "known: ", "self", "storage"]),
    "benchmark": (
        ["run", "--benchmark", "write_thruput"],
        ["'write_thruput'", "did you mean 'write_throughput'?"],
    ),
    "benchmark of another category": (
        ["run", "--category", "storage", "--benchmark", "pacing"],
        ["'pacing' in category 'storage'", "read_latency"],
    ),
    "parameter": (
        ["run", "--params", "batchsizes=[10]"],
        ["'batchsizes'", "did you mean 'batch_sizes'?"],
    ),
    "parameter of another category": (
        ["run", "--category", "storage", "--params", "rates=[10]"],
        ["unknown parameter 'rates'"],
    ),
    "parameter's type": (
        ["run", "--category", "storage", "--params", "batch_sizes=ten"],
        ["storage.batch_sizes: expected a list, got 'ten'"],
    ),
    "parameter's range": (
        ["run", "--category", "storage", "--params", "batch_sizes=[10,0]"],
        ["storage.batch_sizes[1]: expected a positive integer, got 0"],
    ),
    "parameter's choice": (
        ["run", "--category", "storage", "--params", 'tiers=["lmt"]'],
        ["storage.tiers[0]: expected one of 'stm', 'im', 'ltm', got 'lmt'"],
    ),
    "two parameters": (
        ["run", "--category", "storage", "--params", '{"batch_sizes": 1, "tiers": 2}'],
        ["storage.batch_sizes: expected a list", "storage.tiers: expected a list"],
    ),
    "parameter without value": (
        ["run", "--params", "batch_sizes"],
        ["'batch_sizes'", "KEY=VALUE or a JSON object", "batch_sizes=[10,100]"],
    ),
    "parameter's JSON": (
        ["run", "--params", "batch_sizes=[10"],
        ["'batch_sizes=[10'", "not valid JSON at column 4"],
    ),
    "JSON object": (["run", "--params", '{"batch_sizes"}'], ["not valid JSON at column"]),
    "export": (
        ["run", "--export", "jsn"],
        ["--export: 'jsn' cannot be exported; did you mean 'json'?"],
    ),
    "target": (["run", "--target", "embeded"], ["'embeded'", "did you mean 'embedded'?"]),
    "target's scheme": (
        ["run", "--target", "rediss://127.0.0.1:6379/0"],
        ["'rediss'", "did you mean 'redis'?"],
    ),
    "target's option": (
        ["run", "--target", "embedded?durabilty=full"],
        ["'durabilty'", "did you mean 'durability'?"],
    ),
    "target's form": (["run", "--target", ""], ["target ''", "module:factory"]),
    "target's module": (
        ["run", "--target", "no_such_one:make"],
        ["target 'no_such_one:make': no module 'no_such_one'", "check the spelling"],
    ),
    "target of others": (
        ["run", "--target", "pinecone://user:secret@host"],
        ["no target 'pinecone'", "your own is named module:factory"],
    ),
    "suite": (["run", "--suite", "nowhere"], ["'nowhere'", "name a directory"]),
    "suite to list": (["list", "--suite", "nowhere"], ["'nowhere'", "name a directory"]),
    "configuration": (["run", "--config", "nowhere.json"], ["nowhere.json: no such file"]),
    "output directory": (
        ["run", "--output-dir", ""],
        ["output_dir: expected a non-empty string, got ''"],
    ),
    "workers": (["run", "--workers", "0"], ["--workers: 0 is not a whole number >= 1"]),
    "seed": (["run", "--seed", "-1"], ["--seed: -1 is not a whole number >= 0"]),
    "time limit": (["run", "--timeout", "0"], ["--timeout: 0.0 is not a number > 0"]),
    "time limit that is no number": (
        ["run", "--timeout", "nan"],
        ["--timeout: nan is not a number > 0"],
    ),
    "seed that is no number": (["run", "--seed", "x"], ["--seed: 'x' is not a whole number >= 0"]),
    "log format": (["run", "--log-format", "xml"], ["--log-format: 'xml' is not one of 'text'"]),
    "address": (["run", "--web.listen-address", "80"], ["--web.listen-address: '80' is not HOST"]),
    "file that is a directory": (
        ["run", "--otlp-file", "."],
        ["--otlp-file .: cannot be written: Is a directory; name another file"],
    ),
    "surplus": (["run", "storage"], ["unexpected argument 'storage'; see agentmem-observe run "]),
    "no result": (
        ["results", "show"],
        ["no RESULT is given; write agentmem-observe results show [OPTIONS] RESULT"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_nothing_runs(mistake, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(BenchmarkRunner, "run", lambda *_, **__: pytest.fail("it runs"))
    arguments, parts = MISTAKES[mistake]

    ran = command(*arguments)

    assert (ran.code, ran.out) == (1, "")
    assert [part for part in parts if part not in ran.err] == []
    assert ran.err.startswith("Error: ")
    assert not ran.err.endswith(".\n")
    assert list(tmp_path.iterdir()) == []


def test_all_errors_of_a_configuration_file_are_listed(command, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"storage": {"batch_sizes": "ten", "tires": []}, "outputdir": ""}))

    ran = command("run", "--config", file)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"Error: {file}: storage.batch_sizes: expected a list, got 'ten'\n"
        f"{file}: storage.tires: unknown key; did you mean 'tiers'?\n"
        f"{file}: outputdir: unknown key; did you mean 'output_dir'?\n"
    )


def test_parameters_that_no_benchmark_gets_are_refused_with_file_and_key(command, suite, tmp_path):
    (suite / "strict.py").write_text("def benchmark_it(size=1):\n    return {}\n")
    file = tmp_path / "config.json"
    custom = {"mien": {"size": 1}, "strict": {"sizs": 1, "size": 2}, "mine": {"for_kwargs": 1}}
    file.write_text(json.dumps({"custom": custom}))

    ran = command("run", "--suite", suite, "--config", file)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"Error: {file}: custom.mien: no suite has this category; did you mean 'mine'?\n"
        f"{file}: custom.strict.sizs: no benchmark takes this; did you mean 'size'?\n"
        "Suites of your own are named with --suite DIR.\n"
    )


def test_a_suite_without_benchmarks_is_no_success(command, tmp_path):
    ran = command("run", "--suite", tmp_path)

    assert ran.code == 1
    assert ran.err.startswith(f"Error: no benchmarks in {tmp_path}; a benchmark is a function")


def test_a_suite_that_is_not_python_is_named_with_the_line(command, tmp_path):
    (tmp_path / "torn.py").write_text("\ndef benchmark_torn(:\n")

    ran = command("run", "--suite", tmp_path)

    assert ran.code == 1
    assert f"Error: {tmp_path}/torn.py:2: not valid Python" in ran.err


@pytest.mark.parametrize("place", ["file", "file/below", "/dev/full", "/proc/below"])
def test_an_impossible_output_directory_is_refused_before_anything_runs(
    place, command, suite, tmp_path
):
    (tmp_path / "file").write_text("untouched")

    ran = command("run", "--suite", suite, "--output-dir", tmp_path / place)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"Error: {tmp_path / place}: cannot be written: ")
    assert "directory" in ran.err.partition(";")[2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "suite"]
    assert (tmp_path / "file").read_text() == "untouched"


def test_a_target_that_cannot_be_built_is_refused_once_before_anything_runs(
    command, suite, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_memory.py").write_text("def make():\n    raise ValueError('no API key')\n")

    ran = command("run", "--suite", suite, "--target", "my_memory:make",
                  "--output-dir", tmp_path / "results")  # fmt: skip

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "Error: target 'my_memory:make': building it raised ValueError: no API key "
        f"({tmp_path}/my_memory.py:2); call it in Python to see all of it, and mend it\n"
    )
    assert "my_memory" not in sys.modules
    assert not (tmp_path / "results").exists()
