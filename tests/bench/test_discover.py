"""Benchmarks are found by reading files, and what does not exist is refused with a suggestion."""

from pathlib import Path

import pytest

import agentmem_observe
from agentmem_observe.bench.discover import (
    Benchmark,
    check_parameters,
    discover,
    select,
    standard_suite,
)
from agentmem_observe.errors import BenchmarkError, UsageError


def suite(directory: Path, **files: str) -> Path:
    directory.mkdir(exist_ok=True)
    for stem, source in files.items():
        (directory / f"{stem}.py").write_text(source)
    return directory


def ids(benchmarks: list[Benchmark]) -> list[str]:
    return [benchmark.id for benchmark in benchmarks]


def test_benchmarks_are_found_by_prefix_in_order_of_file_and_position(tmp_path: Path) -> None:
    directory = suite(
        tmp_path,
        search="def benchmark_recall(): ...\ndef helper(): ...\ndef benchmark_exact(): ...",
        ageing="def benchmark_decay(): ...\nclass C:\n    def benchmark_method(self): ...",
    )

    assert ids(discover([directory])) == ["ageing.decay", "search.recall", "search.exact"]


def test_a_file_that_raises_when_imported_is_listed_all_the_same(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    source = f"open({str(witness)!r}, 'w')\nraise OSError\ndef benchmark_it(): ..."

    assert ids(discover([suite(tmp_path, broken=source)])) == ["broken.it"]
    assert not witness.exists()


@pytest.mark.parametrize("stem", ["_shared", "__init__", "test_suite", ".#search"])
def test_private_files_tests_and_editors_leftovers_are_passed_over(
    tmp_path: Path, stem: str
) -> None:
    directory = suite(tmp_path, **{stem: "def benchmark_it(): ...", "kept": ""})

    assert discover([directory]) == []


def test_parameters_defaults_and_the_first_line_of_the_docstring_are_read(tmp_path: Path) -> None:
    source = '''
def benchmark_it(bench, size, /, tiers=("stm", "im"), *rest, depth: int = 2 * 3, must, **kwargs):
    """Time of it.

    More.
    """
'''

    (benchmark,) = discover([suite(tmp_path, ageing=source)])

    assert (benchmark.category, benchmark.name) == ("ageing", "it")
    assert benchmark.summary == "Time of it."
    assert benchmark.parameters == {
        "size": "",
        "tiers": "('stm', 'im')",
        "depth": "2 * 3",
        "must": "",
    }
    assert benchmark.takes_context
    assert benchmark.takes_any


def test_a_plain_function_takes_neither_context_nor_anything(tmp_path: Path) -> None:
    (benchmark,) = discover([suite(tmp_path, ageing="def benchmark_it(a=1): ...")])

    assert not benchmark.takes_context
    assert not benchmark.takes_any
    assert benchmark.summary == ""


def test_a_later_suite_replaces_an_earlier_benchmark_of_the_same_id(tmp_path: Path) -> None:
    first = suite(tmp_path / "1", a="def benchmark_x(): ...\ndef benchmark_y(): ...")
    second = suite(tmp_path / "2", a="def benchmark_x(n=1): ...")

    found = {benchmark.id: benchmark for benchmark in discover([first, second])}

    assert found.keys() == {"a.x", "a.y"}
    assert found["a.x"].path == second / "a.py"
    assert found["a.x"].parameters == {"n": "1"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"x = 1\ndef benchmark_it(:\n", "bad.py:2: not valid Python"),
        (b"x = '\0'", "not valid Python"),
        (b"# coding: klingon\n", "not valid Python"),
    ],
)
def test_a_file_that_is_not_python_is_named_with_its_line(
    tmp_path: Path, source: bytes, message: str
) -> None:
    (tmp_path / "bad.py").write_bytes(source)

    with pytest.raises(BenchmarkError) as refusal:
        discover([tmp_path])

    assert message in str(refusal.value)
    assert str(tmp_path / "bad.py") in str(refusal.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()

    with pytest.raises(BenchmarkError, match=r"folder\.py: cannot be read: Is a directory"):
        discover([tmp_path])


def test_a_suite_that_is_not_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such suite directory"):
        discover([tmp_path / "nowhere"])


def test_a_suite_that_the_system_does_not_show_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="xxx' cannot be read: File name too long; make it"):
        discover([tmp_path / ("x" * 300)])


@pytest.mark.parametrize(
    ("category", "name", "message"),
    [
        ("storge", None, r"unknown category 'storge'; did you mean 'storage'\?"),
        (None, "write_troughput", r"unknown benchmark 'write_troughput'; did you mean 'write_thr"),
        ("storage", "pacing", "unknown benchmark 'pacing' in category 'storage'; known: "),
        ("xyz", "pacing", "unknown category 'xyz'; known: .*self, storage"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_nearest_that_does(
    category: str | None, name: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        select(discover([standard_suite()]), category, name)


def test_benchmarks_are_chosen_by_category_and_name() -> None:
    known = discover([standard_suite()])

    assert ids(select(known, "self", "pacing")) == ["self.pacing"]
    assert ids(select(known, name="pacing")) == ["self.pacing"]
    assert {one.category for one in select(known, "storage")} == {"storage"}
    assert select(known) == known


def test_a_parameter_that_no_benchmark_has_is_refused_although_all_take_any() -> None:
    storage = select(discover([standard_suite()]), "storage")
    assert all(benchmark.takes_any for benchmark in storage)

    check_parameters(storage, ["batch_sizes", "num_samples"])

    with pytest.raises(UsageError, match=r"unknown parameter 'batch_size'; did you mean 'batch_s"):
        check_parameters(storage, ["batch_size"])
    with pytest.raises(UsageError, match="unknown parameter 'bench'"):
        check_parameters(storage, ["bench"])


def test_the_standard_suite_is_beside_the_package_in_a_checkout_and_inside_it_when_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "agentmem_observe"
    package.mkdir(parents=True)
    monkeypatch.setattr(agentmem_observe, "__file__", str(package / "__init__.py"))

    assert standard_suite() == tmp_path / "site-packages" / "benchmarks"

    (package / "benchmarks").mkdir()

    assert standard_suite() == package / "benchmarks"


def test_an_async_benchmark_is_refused_with_the_cure(tmp_path):
    (tmp_path / "mine.py").write_text("async def benchmark_a():\n    return {}\n")

    with pytest.raises(BenchmarkError, match=r"mine.py:1: benchmark_a is async; make it a plain"):
        discover([tmp_path])
