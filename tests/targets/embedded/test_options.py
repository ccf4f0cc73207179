from pathlib import Path

import numpy as np
import pytest

from agentmem_observe.errors import TargetError, UsageError
from agentmem_observe.model import Record
from agentmem_observe.targets.embedded import EmbeddedMemory, EmbeddedOptions
from agentmem_observe.targets.registry import build_target


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"durability": "ful"}, "durability is 'ful'; did you mean 'full'"),
        ({"codes": "pq"}, "codes is 'pq'; known: int8, linear"),
        ({"stm_capacity": 0}, "stm_capacity is 0; give an integer >= 1"),
        ({"im_capacity": -1}, "im_capacity is -1; give an integer >= 1"),
        ({"dimensions": 7}, "dimensions is 7; give an integer >= 8"),
        ({"cells_threshold": 999}, "cells_threshold is 999; give an integer >= 1000"),
        ({"probed_cells": 0}, "probed_cells is 0; give an integer >= 1"),
        ({"stm_age_seconds": 0.0}, "stm_age_seconds is 0.0; give seconds > 0"),
        ({"im_age_seconds": float("nan")}, "im_age_seconds is nan; give seconds > 0"),
        ({"exact": True, "codes": "linear"}, "exact keeps float32"),
    ],
)
def test_a_wrong_option_is_refused_with_its_value_and_the_cure(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmbeddedOptions(**options)


def test_a_spec_sets_every_kind_of_option(tmp_path: Path) -> None:
    text = "embedded?durability=full&exact=true&stm_capacity=100&stm_age_seconds=2.5"

    notes = build_target(text, tmp_path).info().notes

    assert notes["durability"].startswith("full")
    assert notes["codes"] == "float32, exact"
    assert notes["capacity"].startswith("100 in STM")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("embedded?durabilty=full", "did you mean 'durability'"),
        ("embedded?stm_capacity=many", "stm_capacity=many"),
        ("embedded?stm_capacity=0", "give an integer >= 1"),
    ],
)
def test_a_spec_with_a_wrong_option_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_target(text, tmp_path)


def test_a_spec_may_say_where_the_file_is(tmp_path: Path) -> None:
    memory = build_target(f"embedded://{tmp_path / 'elsewhere'}", tmp_path / "unused")
    memory.open()
    memory.close()

    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_calls_before_open_and_after_close_say_so(tmp_path: Path) -> None:
    memory = EmbeddedMemory(EmbeddedOptions(), tmp_path)

    with pytest.raises(TargetError, match=r"call open\(\) first"):
        memory.count()


def test_one_directory_is_open_once(open_memory, tmp_path: Path) -> None:
    first = open_memory()

    with pytest.raises(TargetError, match="another embedded memory has it open"):
        open_memory()

    first.close()
    open_memory()


def test_other_dimensions_than_the_directorys_are_refused(open_memory) -> None:
    open_memory(dimensions=16).close()

    with pytest.raises(TargetError, match="open it with dimensions=16"):
        open_memory(dimensions=32)

    open_memory(dimensions=16)


def test_a_file_that_is_no_memory_is_refused(open_memory, tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.sqlite3").write_bytes(b"not a database" * 1000)

    with pytest.raises(TargetError, match="it is no embedded memory"):
        open_memory()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(TargetError, match="give a directory that can be written"):
        EmbeddedMemory(EmbeddedOptions(), tmp_path / "file" / "memory").open()


@pytest.mark.parametrize(
    "vector",
    [np.zeros(16), np.full(16, np.nan), np.full(16, np.inf), np.ones(15), np.ones((1, 16))],
    ids=["zero", "nan", "infinite", "short", "matrix"],
)
def test_a_vector_that_cannot_be_compared_is_refused_and_nothing_is_stored(
    open_memory, vector
) -> None:
    memory = open_memory()

    with pytest.raises(ValueError, match=r"shape|length"):
        memory.store(Record("agent", "one", vector=vector))
    with pytest.raises(ValueError, match=r"shape|length"):
        memory.store_many([Record("agent", "two"), Record("agent", "one", vector=vector)])

    assert memory.count() == 0


def test_a_state_that_is_not_json_like_is_refused_and_nothing_is_stored(open_memory) -> None:
    memory = open_memory()

    with pytest.raises(TypeError):
        memory.store(Record("agent", "one", state={"socket": object()}))

    assert memory.count() == 0


def test_vectors_of_any_length_are_compared_by_cosine(open_memory) -> None:
    memory = open_memory()
    memory.store(Record("agent", "one", vector=np.full(16, 5.0, np.float32)))

    (hit,) = memory.search("agent", None, 1, vector=np.full(16, 0.1, np.float32))

    assert hit.score == pytest.approx(1, abs=1e-5)


def test_a_callers_embedder_is_used_for_states_texts_and_queries(tmp_path: Path) -> None:
    seen = []

    def embedder(subject):
        seen.append(subject)
        return np.ones(8, np.float32)

    memory = EmbeddedMemory(EmbeddedOptions(dimensions=8), tmp_path, embedder=embedder)
    memory.open()
    memory.store(Record("agent", "one", content="text", state={"a": 1}))
    memory.store(Record("agent", "two", content="text"))
    memory.search("agent", "query", 1)
    memory.close()

    assert seen == [{"a": 1}, "text", "query"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("text", 0), "ask for at least 1 hit"),
        ((None, 1), "give a query or a vector"),
    ],
)
def test_a_search_for_nothing_is_refused(open_memory, arguments, message: str) -> None:
    memory = open_memory()

    with pytest.raises(ValueError, match=message):
        memory.search("agent", *arguments)
