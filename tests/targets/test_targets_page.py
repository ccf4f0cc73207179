"""What docs/targets.md promises."""

import doctest
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.model import Record
from agentmem_observe.targets.base import Capability
from agentmem_observe.targets.registry import TARGETS, build_target

PAGE = Path(__file__).parents[2] / "docs" / "targets.md"


def test_the_capability_table_is_true(tmp_path: Path) -> None:
    rows = re.findall(r"^\| (\w+) \|((?: (?:yes|no) \|)+)$", PAGE.read_text(), re.MULTILINE)
    shown = {
        scheme: {name for name, marks in rows if marks.split("|")[column].strip() == "yes"}
        for column, scheme in enumerate(sorted(TARGETS))
    }

    assert [name for name, _ in rows] == [str(capability) for capability in Capability]
    assert shown == {
        scheme: {str(c) for c in build_target(scheme, tmp_path).info().capabilities}
        for scheme in TARGETS
    }


def test_every_shipped_target_has_a_row() -> None:
    names = re.findall(r"^\| `(\w+)", PAGE.read_text(), re.MULTILINE)

    assert set(TARGETS) <= set(names)


def test_the_scripted_example_is_true() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)

    assert failed == 0
    assert tried > 5


@pytest.mark.parametrize(
    ("category", "benchmark"),
    [
        ("storage", "read_latency"),
        ("integration", "concurrent_clients"),
        ("scalability", "agent_scaling"),
    ],
)
def test_the_example_of_a_target_lacks_nothing_that_these_need(
    category: str,
    benchmark: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_here: Callable[..., Any],
) -> None:
    source = PAGE.read_text().partition("```python\n")[2].partition("```")[0]
    (tmp_path / "my_memory_for_benchmarks.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    small = {
        "num_samples": 20,
        "agent_counts": [1],
        "least_operations": 60,
        "concurrent_clients": [2],
        "operations_per_test": 20,
    }

    ran = run_here(category, benchmark, target="my_memory_for_benchmarks:DictTarget", **small)

    assert (ran.finished.status, ran.finished.reason) == ("ok", "")


def test_the_example_of_a_target_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = PAGE.read_text().partition("```python\n")[2].partition("```")[0]
    (tmp_path / "my_memory_of_the_page.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    target = build_target("my_memory_of_the_page:DictTarget", tmp_path)

    target.open()
    for room in range(3):
        target.store(Record("agent", f"room-{room}", state={"room": room}))
    assert target.search("agent", {"room": 2}, 1)[0].record_id == "room-2"
    assert target.retrieve("agent", "room-1") is not None
    target.close()
