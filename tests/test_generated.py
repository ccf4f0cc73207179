from pathlib import Path

import pytest

from agentmem_observe.errors import UsageError
from agentmem_observe.generated import find_drift, write_generated


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    same, other, new = tmp_path / "same", tmp_path / "other", tmp_path / "below" / "new"
    same.write_text("a\n")
    other.write_text("a\n")
    files = {same: "a\n", other: "b\n", new: "c\n"}

    assert write_generated(files) == [other, new]
    assert find_drift(files) == []


def test_drift_says_which_file_and_shows_the_lines(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("one\ntwo\nthree\n")

    drift, missing = find_drift({there: "one\n2\nthree\n", tmp_path / "gone": ""})

    assert drift.startswith(f"{there}: not as it is made")
    assert "  -two\n  +2" in drift
    assert missing == f"{tmp_path / 'gone'}: missing"


def test_a_long_difference_is_cut(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("".join(f"{n}\n" for n in range(100)))

    (drift,) = find_drift({there: ""})

    assert len(drift.splitlines()) < 30
    assert "more" in drift.splitlines()[-1]


def test_what_cannot_be_written_or_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match="cannot be read"):
        write_generated({tmp_path: "text"})
    with pytest.raises(UsageError, match="cannot be"):
        write_generated({tmp_path / "file" / "below": "text"})
