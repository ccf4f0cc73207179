import errno
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results.schema import FORMAT, is_name
from agentmem_observe.results.store import BenchmarkResults

# hypothesis would judge by the wall clock
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SEEDS_FILE = (
    Path(__file__).parents[1]
    / "fixtures"
    / "results"
    / "seeds_write_throughput_20250323_145623.json"
)
ROOT = Path(__file__).parents[2]
NOON = "20250323_120000"
SAVE_TWENTY = """
import sys
from agentmem_observe.results.store import BenchmarkResults
results = BenchmarkResults(sys.argv[1])
for run in range(20):
    results.save_result("b", "c", {"run": [int(sys.argv[3]), run]}, {}, sys.argv[2])
"""
SAVE_ON_A_SMALL_DISK = """
import pathlib, sys
from agentmem_observe.errors import ResultFormatError
from agentmem_observe.results.store import BenchmarkResults
try:
    BenchmarkResults(sys.argv[1]).save_result("b", "c", {"x": "y" * 200_000})
except ResultFormatError as error:
    print(error)
print([str(path) for path in pathlib.Path(sys.argv[1]).rglob("*") if path.is_file()])
"""


@pytest.fixture
def results(tmp_path):
    return BenchmarkResults(tmp_path / "results")


def files(results):
    return sorted(path.name for path in results.results_dir.rglob("*") if path.is_file())


def test_a_result_is_saved_under_its_category_with_exactly_the_seeds_keys(results):
    path = results.save_result(
        "write_throughput", "storage", {"ops": 1}, {"execution_time": 2.5, "params": {}}, NOON
    )

    assert Path(path) == results.results_dir / "storage" / f"write_throughput_{NOON}.json"
    assert json.loads(Path(path).read_text()) == {
        "benchmark": "write_throughput",
        "category": "storage",
        "timestamp": NOON,
        "results": {"ops": 1},
        "metadata": {"status": "ok", "execution_time": 2.5, "params": {}, "format": FORMAT},
    }


def test_a_result_without_a_time_has_the_local_time_of_now(results, monkeypatch):
    moment = time.struct_time((2025, 3, 23, 14, 56, 23, 6, 82, 0))
    strftime = time.strftime
    monkeypatch.setattr(time, "strftime", lambda form, when=moment: strftime(form, when))

    path = results.save_result("b", "c", {})

    assert Path(path).name == "b_20250323_145623.json"


def test_results_of_one_second_are_all_kept_and_listed_in_order(results):
    paths = [results.save_result("b", "c", {"run": run}, None, NOON) for run in range(11)]

    assert [Path(path).name for path in paths[:3]] == [
        f"b_{NOON}.json",
        f"b_{NOON}_2.json",
        f"b_{NOON}_3.json",
    ]
    assert results.list_results() == paths
    assert [results.load_result(path)["results"]["run"] for path in paths] == list(range(11))


def test_threads_that_save_in_one_second_lose_nothing(results):
    with ThreadPoolExecutor(8) as pool:
        paths = list(
            pool.map(lambda run: results.save_result("b", "c", {"run": run}, {}, NOON), range(40))
        )

    assert len(set(paths)) == 40
    assert sorted(results.load_result(p)["results"]["run"] for p in paths) == list(range(40))
    assert len(files(results)) == 40


def test_processes_that_save_in_one_second_lose_nothing(results):
    command = [sys.executable, "-c", SAVE_TWENTY, str(results.results_dir), NOON]
    workers = [subprocess.Popen([*command, str(number)], cwd=ROOT) for number in range(2)]
    for worker in workers:
        worker.wait()

    runs = [results.load_result(path)["results"]["run"] for path in results.list_results()]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert sorted(runs) == [[process, run] for process in range(2) for run in range(20)]


def test_a_name_that_a_killed_writer_left_behind_is_passed_over(results):
    (results.results_dir / "c").mkdir(parents=True)
    (results.results_dir / "c" / f".b_{NOON}.json.tmp").touch()

    path = results.save_result("b", "c", {}, {}, NOON)

    assert Path(path).name == f"b_{NOON}_2.json"
    assert results.list_results() == [path]


def test_numpy_values_and_integer_keys_are_written_as_json(results):
    path = results.save_result("b", "c", {10: {"ops": np.float32(0.5), "n": np.arange(2)}})

    assert results.load_result(path)["results"] == {"10": {"ops": 0.5, "n": [0, 1]}}


def test_a_whole_document_keeps_its_status_and_is_stamped_with_our_format(results):
    document = json.loads(SEEDS_FILE.read_text())
    document["metadata"] |= {"status": "failed", "format": 0}

    path = results.save_document(document)

    saved = results.load_result(path)
    assert saved["metadata"] == document["metadata"] | {"format": FORMAT}
    assert saved["results"] == document["results"]


def test_saving_changes_nothing_of_what_was_given(results):
    metadata = {"warnings": ["noisy"]}

    results.save_result("b", "c", {"x": float("nan")}, metadata)

    assert metadata == {"warnings": ["noisy"]}


def test_what_cannot_be_written_is_named_and_leaves_nothing(results):
    with pytest.raises(ResultFormatError) as caught:
        results.save_result("b", "c", {"complexity_1": {"x": {1, 2}}})

    assert str(caught.value) == (
        "c/b: results.complexity_1.x: cannot be written as JSON: <class 'set'>"
    )
    assert not results.results_dir.exists()


@pytest.mark.parametrize("name", ["../b", "a/b", ".b", ""])
def test_a_name_that_is_a_path_is_refused(results, name):
    with pytest.raises(ResultFormatError, match="expected a name"):
        results.save_result(name, "c", {})
    with pytest.raises(ResultFormatError, match="expected a name"):
        results.save_result("b", name, {})


def test_an_output_directory_that_is_a_file_is_named(tmp_path):
    (tmp_path / "results").write_text("a file")

    with pytest.raises(ResultFormatError) as caught:
        BenchmarkResults(tmp_path / "results").save_result("b", "c", {})

    assert str(caught.value) == (
        f"{tmp_path}/results/c: cannot be written: Not a directory; "
        "choose another output directory"
    )


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (errno.ENOSPC, "No space left on device; free some space or choose another output "
         "directory"),
        (errno.EROFS, "Read-only file system; choose an output directory that is not read-only"),
        (errno.EACCES, "Permission denied; make it writable or choose another output directory"),
        (errno.EIO, "Input/output error; choose another output directory"),
    ],
)  # fmt: skip
def test_a_failing_write_is_named_and_leaves_nothing(results, monkeypatch, code, problem):
    def fsync(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)

    with pytest.raises(ResultFormatError) as caught:
        results.save_result("b", "c", {}, {}, NOON)

    path = results.results_dir / "c" / f"b_{NOON}.json"
    assert str(caught.value) == f"{path}: cannot be written: {problem}"
    assert files(results) == []


def test_a_disk_that_is_really_full_is_named_and_nothing_is_left(tmp_path):
    script = 'mount -t tmpfs -o size=64k none "$1" && exec "$2" -c "$3" "$1"'
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if not shutil.which("unshare"):
        pytest.skip("no unshare program")

    answer = subprocess.run(
        [*inside, str(tmp_path), sys.executable, SAVE_ON_A_SMALL_DISK],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    if "unshare" in answer.stderr or "mount" in answer.stderr:
        pytest.skip(f"cannot mount a small file system here: {answer.stderr.strip()}")
    error, left = answer.stdout.splitlines()
    assert error.startswith(f"{tmp_path}/c/b_")
    assert error.endswith(
        ".json: cannot be written: No space left on device; "
        "free some space or choose another output directory"
    )
    assert left == "[]"


def test_results_of_one_second_are_listed_by_the_number_at_their_end_before_their_names(results):
    def save(benchmark, category):
        return results.save_result(benchmark, category, {}, timestamp=NOON)

    first = [save("b", "storage"), save("a", "storage")]
    second = [save("b", "storage"), save("a", "storage"), save("a", "retrieval")]

    assert results.list_results() == [second[2], first[1], first[0], second[1], second[0]]


def test_results_are_listed_oldest_first_across_categories(results):
    late = results.save_result("a", "storage", {}, {}, "20250323_120002")
    early = results.save_result("z", "storage", {}, {}, "20250323_120000")
    between = results.save_result("m", "self", {}, {}, "20250323_120001")

    assert results.list_results() == [early, between, late]


def test_results_are_listed_by_category_and_benchmark(results):
    one = results.save_result("write", "storage", {}, {}, NOON)
    other = results.save_result("write_more", "storage", {}, {}, NOON)
    third = results.save_result("write", "self", {}, {}, NOON)

    assert results.list_results(category="storage") == [one, other]
    assert results.list_results(benchmark="write") == [third, one]
    assert results.list_results("storage", "write_more") == [other]
    assert results.list_results("stor") == []


def test_a_benchmark_whose_name_ends_like_a_file_is_not_mixed_up(results):
    path = results.save_result(f"b_{NOON}", "c", {}, {}, "20250324_000000")

    assert results.list_results(benchmark=f"b_{NOON}") == [path]
    assert results.list_results(benchmark="b") == []


def test_other_files_are_not_results(results):
    path = results.save_result("b", "c", {}, {}, NOON)
    (results.results_dir / ".old").mkdir()
    (results.results_dir / ".old" / f"b_{NOON}.json").write_text("{}")
    (results.results_dir / "benchmark_config.json").write_text("{}")
    (results.results_dir / "c" / "notes.json").write_text("{}")
    (results.results_dir / "c" / f"b_{NOON}.json.bak").write_text("{}")

    assert results.list_results() == [path]


def test_a_directory_that_is_not_there_has_no_results(results):
    assert results.list_results() == []


def test_listing_what_is_no_directory_is_refused(tmp_path):
    (tmp_path / "results").touch()

    with pytest.raises(ResultFormatError) as caught:
        BenchmarkResults(tmp_path / "results").list_results()

    assert str(caught.value) == (
        f"{tmp_path}/results: cannot be read: Not a directory; name a directory of results"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"benchmark": "b", ', ":1:20: not valid JSON: Expecting property name enclosed in "
         "double quotes"),
        (b"", ":1:1: not valid JSON: Expecting value"),
        (b"\xff", ": not UTF-8 text: invalid start byte at byte 0"),
        (b"[]", ": expected an object, got []; not a result file"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_listed_and_says_what_is_wrong_when_loaded(results, content, problem):
    good = results.save_result("b", "c", {}, {}, NOON)
    damaged = Path(good).with_name("b_20250323_120001.json")
    damaged.write_bytes(content)

    assert results.list_results() == [good, str(damaged)]
    with pytest.raises(ResultFormatError) as caught:
        results.load_result(damaged)
    assert str(caught.value) == f"{damaged}{problem}"


def test_a_result_is_found_by_path_and_by_name(results):
    path = results.save_result("b", "c", {"x": 1}, {}, NOON)

    for name in (
        path,
        Path(path),
        f"c/b_{NOON}.json",
        f"c/b_{NOON}",
        f"b_{NOON}.json",
        f"b_{NOON}",
    ):
        assert results.load_result(name)["results"] == {"x": 1}, name


def test_a_name_of_two_results_is_refused_and_both_are_named(results):
    paths = [results.save_result("b", category, {}, {}, NOON) for category in ("c", "d")]

    with pytest.raises(ResultFormatError) as caught:
        results.load_result(f"b_{NOON}")

    assert str(caught.value) == f"b_{NOON}: more than one result: {', '.join(paths)}; name one"


@pytest.mark.parametrize("name", ["none", "c/none", "", "."])
def test_a_result_that_is_not_there_is_refused(results, name):
    results.save_result("b", "c", {}, {}, NOON)

    with pytest.raises(ResultFormatError) as caught:
        results.load_result(name)

    assert str(caught.value) == (
        f"{Path(name)}: no such result, nor in {results.results_dir}; "
        "see agentmem-observe results list"
    )


def test_a_file_of_the_seeds_loads_as_it_is():
    document = BenchmarkResults().load_result(SEEDS_FILE)

    assert document == json.loads(SEEDS_FILE.read_text())


def test_a_nan_in_a_file_of_the_seeds_is_loaded_as_null_with_a_warning(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(SEEDS_FILE.read_text().replace("1250.5", "NaN"))

    document = BenchmarkResults(tmp_path).load_result(path)

    batch = document["results"]["complexity_1"]["batch_100"]
    assert batch["throughput_ops_per_second"] is None
    assert document["metadata"]["warnings"] == [
        "not a number in JSON, written as null: "
        "results.complexity_1.batch_100.throughput_ops_per_second (nan)"
    ]


names = st.text(min_size=1, max_size=40).filter(is_name)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@unhurried
@given(
    benchmark=names,
    category=names,
    values=st.dictionaries(st.text(), json_values),
    extra=st.dictionaries(st.text(min_size=20), json_values),
    moment=st.datetimes(),
)
def test_what_was_saved_is_what_is_loaded(
    benchmark, category, values, extra, moment, tmp_path_factory
):
    results = BenchmarkResults(tmp_path_factory.getbasetemp() / "round_trip")
    timestamp = f"{moment.year:04d}{moment:%m%d_%H%M%S}"

    path = results.save_result(benchmark, category, values, extra, timestamp)

    loaded = results.load_result(path)
    assert path in results.list_results(category, benchmark)
    assert json.dumps(loaded["results"]) == json.dumps(values)
    assert loaded == {
        "benchmark": benchmark,
        "category": category,
        "timestamp": timestamp,
        "results": values,
        "metadata": {"status": "ok", **extra, "format": FORMAT},
    }
