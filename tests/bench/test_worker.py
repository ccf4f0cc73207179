"""What a worker makes of a benchmark function: arguments, results, failures, facts."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.bench import worker
from agentmem_observe.bench.context import Bench
from agentmem_observe.bench.messages import Finished, Message, MessageReader
from agentmem_observe.measure.recorder import Aggregate, SeriesKey
from agentmem_observe.workload.stamps import int64_array

RunHere = Callable[..., Any]

SEEDS_PATTERN = '''\
def benchmark_my_custom_benchmark(param1: int = 100, param2: float = 0.5, **kwargs) -> Dict[str, Any]:
    """Description of what this benchmark measures."""
    results = {}
    return results
'''  # noqa: E501  the seeds' line


def run_source(run_here: RunHere, tmp_path: Path, source: str, **params: Any) -> Any:
    """Run ``benchmark_it`` of a file with this source."""
    suite = tmp_path / "suite"
    suite.mkdir(exist_ok=True)
    (suite / "own.py").write_text(source)
    return run_here("own", "it", suite=suite, **params)


def received(stream: io.BytesIO) -> list[Message]:
    messages: list[Message] = []
    MessageReader(messages.append).feed(stream.getvalue())
    return messages


def test_the_seeds_pattern_runs_unchanged(run_here: RunHere, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(SEEDS_PATTERN)

    ran = run_here("own", "my_custom_benchmark", suite=tmp_path, unheard_of=1)

    assert list(ran.document) == ["benchmark", "category", "timestamp", "results", "metadata"]
    assert (ran.document["benchmark"], ran.document["category"]) == ("my_custom_benchmark", "own")
    assert ran.document["results"] == {}
    assert ran.metadata["status"] == "ok"
    assert ran.metadata["params"] == {"param1": 100, "param2": 0.5}
    assert ran.metadata["execution_time"] > 0
    assert ran.metadata["resources"]["benchmark"]["rss_after_bytes"] > 1_000_000
    assert ran.metadata["resources"]["benchmark"]["cpu_seconds"] >= 0


def test_a_suites_module_may_import_its_neighbours(run_here: RunHere, tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "_neighbour_of_own.py").write_text("ANSWER = 42")
    source = "import _neighbour_of_own as n\ndef benchmark_it(): return {'answer': n.ANSWER}"

    ran = run_source(run_here, tmp_path, source)

    assert ran.document["results"] == {"answer": 42}


def test_parameters_reach_what_declares_them_and_the_rest_goes_into_kwargs(
    run_here: RunHere, tmp_path: Path
) -> None:
    source = (
        "def benchmark_it(*rest, a=1, b=2, **more): return dict(rest=rest, a=a, b=b, more=more)"
    )

    ran = run_source(run_here, tmp_path, source, b=3, c=4)

    assert ran.document["results"] == {"rest": [], "a": 1, "b": 3, "more": {"c": 4}}
    assert ran.metadata["params"] == {"a": 1, "b": 3}


def test_a_function_without_parameters_has_none_in_its_result(
    run_here: RunHere, tmp_path: Path
) -> None:
    ran = run_source(run_here, tmp_path, "def benchmark_it(**more): return {}", c=4)

    assert ran.metadata["params"] == {}


def test_a_default_that_json_does_not_have_is_shown_as_its_repr(
    run_here: RunHere, tmp_path: Path
) -> None:
    ran = run_source(run_here, tmp_path, "def benchmark_it(kinds={1}, n=2): return {}")

    assert ran.metadata["status"] == "ok"
    assert ran.metadata["params"] == {"kinds": "{1}", "n": 2}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def benchmark_it(n): return {}", "parameter 'n' has no default; set it with --params"),
        ("def benchmark_it(): raise ValueError('no')", "ValueError: no"),
        ("import sys\ndef benchmark_it(): sys.exit(0)", "SystemExit: 0"),
        ("def benchmark_it(): raise KeyboardInterrupt", "KeyboardInterrupt: "),
        (
            "import asyncio\ndef benchmark_it(): raise asyncio.CancelledError('late')",
            "CancelledError: late",
        ),
        ("raise OSError('at import')\ndef benchmark_it(): ...", "OSError: at import"),
        (
            "def benchmark_it(): return [1]",
            "benchmark_it returned list, not a dictionary of results",
        ),
        ("def benchmark_it(): ...", "benchmark_it returned NoneType, not a dictionary of results"),
        (
            "def benchmark_it(): return {'a': {'b': {1}}}",
            "results.a.b: cannot be written as JSON: <class 'set'>",
        ),
        (
            "def benchmark_it(): return {'much': 2 ** 70}",
            "what the benchmark returned, or says of itself, cannot be sent: can't serialize ints",
        ),
        (
            "def benchmark_it(): return {'text': chr(0xdc80)}",
            "what the benchmark returned, or says of itself, cannot be sent: 'utf-8' codec can't",
        ),
        ("def benchmark_it(): raise ValueError(chr(0xdc80))", "what the benchmark returned, or"),
        (
            "def benchmark_it(bench):\n with bench.target(): pass",
            "no target 'nonsense' (your own is named module:factory)",
        ),
    ],
)
def test_whatever_a_benchmark_does_its_failure_has_a_reason(
    run_here: RunHere, tmp_path: Path, source: str, reason: str
) -> None:
    (tmp_path / "own.py").write_text(source)

    ran = run_here("own", "it", suite=tmp_path, target="nonsense")

    assert ran.metadata["status"] == "failed"
    assert ran.metadata["reason"].startswith(reason)
    assert ran.document["results"] == {}


def test_the_stack_of_a_failure_is_kept(run_here: RunHere, tmp_path: Path) -> None:
    ran = run_source(run_here, tmp_path, "def benchmark_it(): {}['key']")

    assert 'own.py", line 1, in benchmark_it' in ran.metadata["traceback"]


def test_a_benchmark_can_skip_itself(run_here: RunHere, tmp_path: Path) -> None:
    source = (
        "from agentmem_observe.bench.context import SkipBenchmark\n"
        "def benchmark_it(): raise SkipBenchmark('needs a moon')"
    )

    ran = run_source(run_here, tmp_path, source)

    assert (ran.metadata["status"], ran.metadata["reason"]) == ("skipped", "needs a moon")


def test_what_a_failing_benchmark_had_measured_is_kept(run_here: RunHere, tmp_path: Path) -> None:
    source = (
        "def benchmark_it(bench):\n"
        "    with bench.target() as target:\n"
        "        bench.store(target, bench.records(50))\n"
        "    raise ValueError('afterwards')"
    )

    ran = run_source(run_here, tmp_path, source)

    assert ran.metadata["status"] == "failed"
    assert ran.counts("create_memory") == {("", "ok"): 50}
    assert sum(ran.metadata["validity"]["loops"].values()) == 1


def test_the_cpu_time_of_children_that_were_waited_for_belongs_to_the_benchmark(
    run_here: RunHere, tmp_path: Path
) -> None:
    source = (
        "import subprocess, sys\n"
        "def benchmark_it():\n"
        "    work = 'import time\\nwhile time.process_time() < 0.2: pass'\n"
        "    subprocess.run([sys.executable, '-S', '-c', work], check=True)\n"
        "    return {}"
    )

    ran = run_source(run_here, tmp_path, source)

    # The kernel tells of ended children in ticks, so a little less than they saw themselves.
    assert ran.metadata["resources"]["benchmark"]["cpu_seconds"] > 0.1


def test_what_a_target_says_of_itself_becomes_text(tmp_path: Path) -> None:
    bench = Bench("fake?loses_one_in=7", tmp_path, lambda *report: None)
    bench.require()

    target = bench.facts()["target"]

    assert target["notes"] == {"loses_one_in": "7"}
    assert {type(name) for name in target["capabilities"]} == {str}


def an_aggregate(count: int) -> Aggregate:
    aggregate = Aggregate()
    series = aggregate.series(SeriesKey("create_memory", "", "ok"))
    series.service_time.record(int64_array([1000] * count))
    return aggregate


def counted(messages: list[Message]) -> int:
    total = Aggregate()
    for message in messages:
        assert not isinstance(message, Finished)
        total.merge(Aggregate.from_bytes(message.delta))
    return sum(total.outcomes().values())


def test_reports_are_held_back_for_a_moment_and_lose_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stream = io.BytesIO()
    reporter = worker.Reporter(stream)

    for done in range(1, 4):
        reporter(done, 9, "writing", an_aggregate(done))

    assert counted(received(stream)) == 1  # the first of a phase at once

    now += 0.3
    reporter(4, 9, "writing", an_aggregate(4))

    assert counted(received(stream)) == 1 + 2 + 3 + 4
    assert len(received(stream)) == 2


def test_a_worker_in_turns_reports_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stream = io.BytesIO()
    reporter = worker.Reporter(stream, worker.REPORT_EVERY_SECONDS[True])
    reporter(1, 0, "steady", an_aggregate(1))

    now += 0.9
    reporter(2, 0, "steady", an_aggregate(1))

    assert counted(received(stream)) == 1

    now += 0.1
    reporter(3, 0, "steady", an_aggregate(1))

    assert counted(received(stream)) == 3


def test_a_new_phase_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    stream = io.BytesIO()
    reporter = worker.Reporter(stream)

    reporter(1, 9, "writing", an_aggregate(1))
    reporter(1, 9, "reading", an_aggregate(1))

    assert counted(received(stream)) == 2


def test_a_forked_copy_of_the_reporter_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    reporter = worker.Reporter(stream)
    monkeypatch.setattr("os.getpid", lambda: -1)

    reporter(1, 9, "writing", an_aggregate(1))

    assert received(stream) == []
