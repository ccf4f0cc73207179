"""Benchmarks in real worker processes: whatever one does, the next one runs and nothing stays."""

import errno
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agentmem_observe.bench import runner as runner_module
from agentmem_observe.bench.discover import Benchmark, standard_suite
from agentmem_observe.bench.messages import Finished, Progress
from agentmem_observe.bench.runner import BenchmarkRunner, Observer, RunOptions, _run_directory
from agentmem_observe.bench.supervisor import Listener, WorkerRun
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.errors import BenchmarkError, ResultFormatError, UsageError

SEEDS_PATTERN = '''\
def benchmark_my_custom_benchmark(param1: int = 100, param2: float = 0.5, **kwargs) -> Dict[str, Any]:
    """Description of what this benchmark measures."""
    results = {}
    return results
'''  # noqa: E501  the seeds' line

Result = dict[str, Any]
OK = Finished("ok", "", {}, {})


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give workers a place of their own for temporary files, and insist that it is left empty."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    monkeypatch.setenv("TMPDIR", str(directory))
    yield directory
    assert list(directory.iterdir()) == []


def runner(
    tmp_path: Path, source: str, observer: Observer | None = None, **options: Any
) -> BenchmarkRunner:
    """Return a runner of a suite whose only file, ``own.py``, has this source."""
    suite = tmp_path / "suite"
    suite.mkdir(exist_ok=True)
    (suite / "own.py").write_text(source)
    return BenchmarkRunner(
        BenchmarkConfig(output_dir=str(tmp_path / "results")),
        options=RunOptions(**({"target": "fake", "suites": (suite,)} | options)),
        observer=observer,
    )


def test_a_result_names_the_commit_that_its_worker_started_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = ["at the start"]

    def run_in_worker(*request: object, **options: object) -> WorkerRun:
        head[0] = "at the end"
        return WorkerRun(OK)

    monkeypatch.setattr(runner_module, "recent_vcs", lambda: {"commit": head[0]})
    monkeypatch.setattr(runner_module, "run_in_worker", run_in_worker)

    (result,) = run(tmp_path, "def benchmark_it():\n    return {}\n").values()

    assert result["metadata"]["vcs"] == {"commit": "at the start"}


def run(tmp_path: Path, source: str, **options: Any) -> dict[str, Result]:
    """Run such a suite and return its results by name of the benchmark."""
    return loaded(runner(tmp_path, source, **options).run_category("own"))


def loaded(paths: list[str]) -> dict[str, Result]:
    results = [json.loads(Path(path).read_text()) for path in paths]
    return {result["benchmark"]: result for result in results}


def counts(result: Result) -> dict[tuple[str, str], int]:
    return {
        (each["operation"], each["outcome"]): each["service_time"]["count"]
        for each in result["metadata"]["histograms"]
    }


def alive(pid_file: Path) -> bool:
    """Return whether a process lives on: one that is killed may take a moment to die."""
    try:
        process = psutil.Process(int(pid_file.read_text()))
        for _ in range(1_000):
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            threading.Event().wait(0.01)
    except psutil.NoSuchProcess:
        return False
    return True


class Hooks(Observer, Listener):
    """Calls a function at the first progress of a run."""

    def __init__(self, on_progress: Callable[[], object]) -> None:
        self._on_progress = on_progress
        self.began: list[str] = []

    def started(self, benchmark: Benchmark) -> Listener:
        self.began.append(benchmark.name)
        return self

    def progressed(self, progress: Progress) -> None:
        self._on_progress()


# --- results ---


def test_the_seeds_pattern_in_a_users_folder_gets_a_standard_result(tmp_path: Path) -> None:
    suite = tmp_path / "folder"
    suite.mkdir()
    (suite / "mine.py").write_text(SEEDS_PATTERN)
    config = BenchmarkConfig(output_dir=str(tmp_path / "results"))
    options = RunOptions(suites=(standard_suite(), suite))

    path = BenchmarkRunner(config, options=options).run_benchmark("mine", "my_custom_benchmark")

    result = json.loads(Path(path).read_text())
    metadata = result["metadata"]
    assert Path(path).parent == tmp_path / "results" / "mine"
    assert list(result) == ["benchmark", "category", "timestamp", "results", "metadata"]
    assert metadata["params"] == {"param1": 100, "param2": 0.5}
    assert metadata["status"] == "ok"
    assert 0 <= metadata["execution_time"] < 60
    assert 0 <= metadata["resources"]["benchmark"]["cpu_seconds"] < 60
    assert metadata["resources"]["rss_max_bytes"] > 1_000_000
    assert metadata["resources"]["benchmark"]["rss_after_bytes"] > 1_000_000


def test_two_runs_in_the_same_second_are_two_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = runner(tmp_path, SEEDS_PATTERN)
    monkeypatch.setattr("agentmem_observe.bench.document.TIMESTAMP_FORMAT", "20250323_145623")
    monkeypatch.setattr("agentmem_observe.bench.runner.run_in_worker", finished_at_once)

    paths = [chosen.run_benchmark("own", "my_custom_benchmark") for _ in range(2)]

    assert [Path(path).name for path in paths] == [
        "my_custom_benchmark_20250323_145623.json",
        "my_custom_benchmark_20250323_145623_2.json",
    ]


def test_benchmarks_run_in_parallel_all_have_results_that_say_so(tmp_path: Path) -> None:
    source = "\n".join(f"def benchmark_n{n}(): return {{'n': {n}}}" for n in range(3))

    paths = runner(tmp_path, source).run_category("own", parallel=True, max_workers=2)

    results = loaded(paths)
    assert [results[f"n{n}"]["results"] for n in range(3)] == [{"n": 0}, {"n": 1}, {"n": 2}]
    for result in results.values():
        assert (
            "run beside up to 1 other benchmarks: they disturb each other"
            in result["metadata"]["warnings"]
        )


def test_a_result_names_no_more_neighbours_than_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentmem_observe.bench.runner.run_in_worker", finished_at_once)
    source = "def benchmark_a(): ...\ndef benchmark_b(): ..."

    paths = runner(tmp_path, source).run_category("own", parallel=True, max_workers=9)

    for result in loaded(paths).values():
        (warning,) = (w for w in result["metadata"]["warnings"] if "beside" in w)
        assert warning.startswith("run beside up to 1 other benchmarks")


def finished_at_once(request: Any, **options: Any) -> WorkerRun:
    return WorkerRun(OK)


def test_the_same_seed_sends_the_same_records_in_the_same_order(tmp_path: Path) -> None:
    source = """
import hashlib, json
from agentmem_observe.targets.fake import FakeTarget, FakeScript

class Witness(FakeTarget):
    def __init__(self):
        super().__init__(FakeScript())
        self.seen = hashlib.sha256()
    def store(self, record):
        vector = record.vector.tobytes().hex()
        self.seen.update(json.dumps([record.record_id, record.state, vector]).encode())
        return super().store(record)
    def retrieve(self, agent_id, record_id):
        self.seen.update(record_id.encode())
        return super().retrieve(agent_id, record_id)

def benchmark_it(bench):
    target = Witness()
    records = bench.records(50, 2, "im")
    bench.store(target, records)
    bench.read(target, records, batch_size=3, count=20)
    return {"seen": target.seen.hexdigest()}
"""

    seen = [run(tmp_path, source, seed=seed)["it"]["results"]["seen"] for seed in (7, 7, 8)]

    assert seen[0] == seen[1] != seen[2]


# --- workers that go wrong ---

FAULTS = {
    "returns a list": ("return [1]", "benchmark_first returned list, not a dictionary"),
    "returns a set": ("return {'a': {1}}", "results.a: cannot be written as JSON"),
    "sys.exit": ("import sys; sys.exit(4)", "SystemExit: 4"),
    "os._exit": ("import os; os._exit(3)", "the worker ended with exit code 3 before it was done"),
    "raises": ("raise ValueError('no')", "ValueError: no"),
    "SIGKILL": (
        "import os; os.kill(os.getpid(), 9)",
        "the worker was killed by SIGKILL; the kernel does that when memory runs out",
    ),
    "nameless signal": (
        "import os; os.kill(os.getpid(), 40)",
        "the worker was killed by signal 40",
    ),
    "crashes in C": ("import ctypes; ctypes.string_at(0)", "the worker was killed by SIGSEGV"),
    "garbage in the pipe": (
        "import os, sys; os.write(int(sys.argv[1]), bytes([0, 0, 0, 1, 0xc1]))",
        "something in the worker wrote into its harness's pipe",
    ),
}


def test_after_any_fault_the_next_benchmark_runs_and_the_result_has_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("PYTHONUNBUFFERED", "PYTHONFAULTHANDLER"):
        monkeypatch.delenv(variable, raising=False)
    source = "\n".join(
        f"def benchmark_fault{number}():\n"
        f"    import sys; print('out {number}'); print('err {number}', file=sys.stderr)\n"
        f"    {fault.replace('benchmark_first', '')}"
        for number, (fault, _) in enumerate(FAULTS.values())
    )
    source += "\ndef benchmark_last(): return {'fine': True}"

    results = run(tmp_path, source)

    for number, (_, reason) in enumerate(FAULTS.values()):
        metadata = results[f"fault{number}"]["metadata"]
        assert metadata["status"] == "failed"
        assert metadata["reason"].startswith(reason.replace("first", f"fault{number}"))
        assert f"out {number}\nerr {number}\n" in metadata["log_tail"]
        assert metadata["execution_time"] >= 0
    assert results["last"]["results"] == {"fine": True}
    crash = list(FAULTS).index("crashes in C")
    assert f"in benchmark_fault{crash}" in results[f"fault{crash}"]["metadata"]["log_tail"]


def test_what_was_measured_before_a_worker_was_killed_is_kept(tmp_path: Path) -> None:
    params = {"batch_sizes": [100, 1000], "data_complexity_levels": [1], "tiers": ["stm"]}
    chosen = runner(tmp_path, "", target="fake?dies_at=500", suites=(standard_suite(),))

    path = chosen.run_benchmark("storage", "write_throughput", params)

    result = json.loads(Path(path).read_text())
    assert result["metadata"]["status"] == "failed"
    assert "killed by SIGKILL" in result["metadata"]["reason"]
    assert result["results"] == {}
    assert counts(result) == {("create_memory", "ok"): 100}
    assert result["metadata"]["params"]["batch_sizes"] == [100, 1000]


def test_a_worker_that_hangs_is_ended_at_the_time_limit(tmp_path: Path) -> None:
    source = (
        "def benchmark_it(bench):\n"
        "    with bench.target() as target:\n"
        "        bench.store(target, bench.records(10))\n"
    )

    metadata = run(tmp_path, source, target="fake?hangs_at=5", time_limit_seconds=1.5)["it"][
        "metadata"
    ]

    assert metadata["status"] == "failed"
    assert metadata["reason"].startswith("not done after 1.50 s; allow more with --timeout")
    assert metadata["execution_time"] >= 1.5


def test_of_a_benchmark_that_prints_a_lot_the_end_is_kept(tmp_path: Path) -> None:
    source = (
        "def benchmark_it():\n"
        "    for n in range(100_000): print(f'line {n} ' + chr(0x20ac))\n"
        "    raise ValueError"
    )

    log_tail = run(tmp_path, source)["it"]["metadata"]["log_tail"]

    assert log_tail.endswith("line 99999 \u20ac\n")
    assert 1_000 < len(log_tail.encode()) < 10_000


@pytest.mark.parametrize("ending", ["return {}", "os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_children_that_a_benchmark_leaves_behind_are_ended_with_it(
    tmp_path: Path, ending: str
) -> None:
    started, forked = tmp_path / "started", tmp_path / "forked"
    source = (
        "import os, subprocess, sys, threading\n"
        "def benchmark_it():\n"
        "    sleep = [sys.executable, '-S', '-c', 'import time; time.sleep(600)']\n"
        f"    open({str(started)!r}, 'w').write(str(subprocess.Popen(sleep).pid))\n"
        "    if (pid := os.fork()) == 0:\n"  # holds the worker's pipe open
        "        threading.Event().wait(600)\n"
        f"    open({str(forked)!r}, 'w').write(str(pid))\n"
        f"    {ending}"
    )

    result = run(tmp_path, source, time_limit_seconds=100)["it"]

    assert not alive(started)
    assert not alive(forked)
    assert "not done after" not in result["metadata"].get("reason", "")


def test_a_directory_that_cannot_be_removed_costs_no_result(
    tmp_path: Path, temporary_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object, **options: object) -> None:
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    with monkeypatch.context() as patch:
        patch.setattr("os.rmdir", refuse)
        patch.setattr("agentmem_observe.bench.runner.run_in_worker", finished_at_once)
        result = run(tmp_path, "def benchmark_it(): return {}")["it"]

    (left,) = temporary_directory.iterdir()
    left.rmdir()
    assert result["metadata"]["status"] == "ok"
    assert any(str(left) in warning for warning in result["metadata"]["warnings"])


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
def test_a_worker_that_cannot_be_started_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentmem_observe.bench.supervisor._COMMAND", ["/no/such/python"])
    chosen = runner(tmp_path, SEEDS_PATTERN)
    before = os.listdir("/proc/self/fd")

    with pytest.raises(FileNotFoundError):
        chosen.run_category("own")

    assert len(os.listdir("/proc/self/fd")) == len(before)


# --- stopping ---

ENDLESS = """
import threading
def benchmark_first(bench):
    with bench.target() as target:
        bench.store(target, bench.records(50))
    bench.phase("waiting")
    threading.Event().wait(60)
def benchmark_second(): return {}
"""


def test_stopping_ends_the_run_in_hand_keeps_what_it_measured_and_starts_no_more(
    tmp_path: Path,
) -> None:
    measured = threading.Event()

    class Watching(Observer, Listener):
        def started(self, benchmark: Benchmark) -> Listener:
            return self

        def progressed(self, progress: Progress) -> None:
            if progress.phase == "waiting":
                measured.set()

    chosen = runner(tmp_path, ENDLESS, Watching())
    stopper = threading.Thread(target=lambda: measured.wait(60) and chosen.stop())
    stopper.start()

    paths = chosen.run_category("own")

    stopper.join()
    (result,) = loaded(paths).values()
    assert result["metadata"]["status"] == "failed"
    assert result["metadata"]["reason"] == "interrupted"
    assert counts(result) == {("create_memory", "ok"): 50}
    assert chosen.stopped


def test_a_stopped_runner_starts_nothing(tmp_path: Path) -> None:
    observer = Hooks(lambda: None)
    chosen = runner(tmp_path, SEEDS_PATTERN, observer)
    chosen.stop()

    assert chosen.run_all() == {"own": []}
    with pytest.raises(BenchmarkError, match=r"own\.my_custom_benchmark was not run"):
        chosen.run_benchmark("own", "my_custom_benchmark")
    assert observer.began == []


def test_an_observer_that_fails_leaves_no_worker_behind(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    source = (
        "import os, threading\n"
        "def benchmark_it(bench):\n"
        f"    open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
        "    bench.phase('waiting')\n"
        "    threading.Event().wait(60)"
    )

    def fail() -> None:
        raise RuntimeError("no terminal")

    with pytest.raises(RuntimeError, match="no terminal"):
        runner(tmp_path, source, Hooks(fail)).run_category("own")

    assert not alive(pid_file)


def test_a_result_that_cannot_be_saved_starts_no_more_of_a_parallel_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = Hooks(lambda: None)
    source = "\n".join(f"def benchmark_n{n}(): return {{}}" for n in range(50))
    chosen = runner(tmp_path, source, observer)
    (tmp_path / "results").write_text("in the way")
    monkeypatch.setattr("agentmem_observe.bench.runner.run_in_worker", finished_at_once)

    with pytest.raises(ResultFormatError, match="cannot be written"):
        chosen.run_category("own", parallel=True, max_workers=2)

    assert len(observer.began) < 50


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_a_worker_dies_with_its_supervisor(tmp_path: Path, temporary_directory: Path) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "own.py").write_text(
        "import os, threading\n"
        "def benchmark_it(bench):\n"
        "    bench.phase(str(os.getpid()))\n"
        "    threading.Event().wait(600)"
    )
    supervisor = f"""
from pathlib import Path
from agentmem_observe.bench.runner import BenchmarkConfig, BenchmarkRunner, Observer, RunOptions
from agentmem_observe.bench.supervisor import Listener
class Printing(Observer, Listener):
    def started(self, benchmark):
        return self
    def progressed(self, progress):
        print(progress.phase, flush=True)
config = BenchmarkConfig(output_dir={str(tmp_path / "results")!r})
options = RunOptions(target="fake", suites=(Path({str(suite)!r}),))
BenchmarkRunner(config, options=options, observer=Printing()).run_category("own")
"""

    with subprocess.Popen(
        [sys.executable, "-c", supervisor], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        worker = os.pidfd_open(int(process.stdout.readline()))
        process.kill()

    ended, _, _ = select.select([worker], [], [], 100)
    os.close(worker)
    assert ended
    for directory in temporary_directory.iterdir():  # nobody was left to remove it
        directory.rmdir()


# --- parameters ---


def test_parameters_go_to_the_benchmarks_that_have_them(tmp_path: Path) -> None:
    source = (
        "def benchmark_a(n=1): return {'n': n}\n"
        "def benchmark_b(m=1, **more): return {'m': m, 'more': more}"
    )

    results = loaded(runner(tmp_path, source).run_category("own", {"n": 5}))

    assert results["a"]["results"] == {"n": 5}
    assert results["b"]["results"] == {"m": 1, "more": {}}


def test_unknown_names_are_refused_before_anything_runs(tmp_path: Path) -> None:
    observer = Hooks(lambda: None)
    chosen = runner(tmp_path, "def benchmark_it(size=1): ...", observer)
    (tmp_path / "suite" / "first.py").write_text("def benchmark_it(): ...")

    def refused(match: str, call: Callable[[], object]) -> None:
        with pytest.raises(UsageError, match=match):
            call()

    refused("unknown category 'owm'; did you mean 'own'", lambda: chosen.run_category("owm"))
    refused(
        "unknown benchmark 'itt'; did|unknown benchmark 'itt' in",
        lambda: chosen.run_benchmark("own", "itt"),
    )
    refused(
        "parameter 'sise'; did you mean 'size'", lambda: chosen.run_category("own", {"sise": 1})
    )
    refused("parameter 'sise'", lambda: chosen.run_all({"own": {"sise": 1}}))
    refused("unknown category 'owm'; did you mean 'own'", lambda: chosen.run_all({"owm": {}}))
    assert observer.began == []


def test_a_run_has_its_directory_where_it_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    work_dir = tmp_path / "work"

    with _run_directory(work_dir) as directory:
        where = Path(directory).parent
        assert list(Path(directory).iterdir()) == []

    assert where == work_dir
    assert list(work_dir.iterdir()) == []


@pytest.mark.parametrize("fails", ["mkdir", "write_bytes"])
def test_a_disk_that_takes_nothing_does_not_stop_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    work_dir = tmp_path / "work"
    work_dir.mkdir()
    monkeypatch.setattr(Path, fails, full)

    with _run_directory(work_dir) as directory:
        where = Path(directory).parent

    assert where == Path(tempfile.gettempdir())
    assert list(work_dir.iterdir()) == []
