"""The command backfill: what it refuses, what it says, and what its exit code means."""

import re
from pathlib import Path

import pytest

from agentmem_observe.cli import backfilling
from agentmem_observe.cli.backfilling import notes, parse_labels
from agentmem_observe.errors import UsageError
from agentmem_observe.results.store import BenchmarkResults
from agentmem_observe.telemetry.history import Period

BLOCKS = {f"01M7XJ8YT4ZCMKD23TJX14VZZ{number}" for number in (1, 2)}
HOUR_MS = 3_600_000
NOW_MS = 1_800_000_000_000


@pytest.fixture
def promtool(tmp_path: Path) -> Path:
    """Return a program that makes one empty block of each text, whatever is in it."""
    program = tmp_path / "bin" / "promtool"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nmkdir -p "$6/01M7XJ8YT4ZCMKD23TJX14VZZ${6##*/}"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def arguments(store: BenchmarkResults, tmp_path: Path, promtool: Path) -> list[object]:
    return ["backfill", "--input-dir", store.results_dir, "--output-dir", tmp_path / "blocks",
            "--promtool", promtool]  # fmt: skip


def test_blocks_are_made_and_what_is_damaged_is_named(command, arguments, tmp_path):
    ran = command(*arguments)

    assert (ran.code, ran.out) == (0, "")
    assert {path.name for path in (tmp_path / "blocks").iterdir()} == BLOCKS
    first, second, *others = ran.err.splitlines()
    assert re.match(r"skipped .*/mine/torn_20260103_000000.json:1:15: not valid JSON", first)
    assert second == f"Wrote 2 blocks to {tmp_path}/blocks: 2 results, 1 skipped."
    assert [line.partition(": ")[0] for line in others] == ["note", "note"]


def test_blocks_that_are_there_are_not_added_to_unless_forced(command, arguments, tmp_path):
    older = tmp_path / "blocks" / "01M7XJ8YT4ZCMKD23TJX14YYYA"
    older.mkdir(parents=True)

    refused = command(*arguments)
    forced = command(*arguments, "--force")

    assert refused.code == 1
    assert re.search(r"blocks: has blocks already \(1\); .*--force", refused.err)
    assert forced.code == 0
    assert {path.name for path in (tmp_path / "blocks").iterdir()} == {*BLOCKS, older.name}


def test_other_things_in_the_directory_are_no_obstacle(command, arguments, tmp_path):
    (tmp_path / "blocks" / "wal").mkdir(parents=True)

    assert command(*arguments).code == 0


def test_text_needs_no_promtool(command, store, tmp_path):
    file = tmp_path / "history.om"

    ran = command("backfill", "--input-dir", store.results_dir, "--promtool", "no-such-program",
                  "--openmetrics", file)  # fmt: skip

    assert ran.code == 0
    assert f"Wrote {file}: 2 results, 1 skipped." in ran.err
    assert file.read_text().endswith("# EOF\n")


def test_without_promtool_nothing_is_read(command, store):
    ran = command("backfill", "--input-dir", store.results_dir, "--promtool", "no-such-program")

    assert ran.code == 1
    assert ran.err.startswith("Error: no-such-program: no such program; it is in Debian's package")


def test_results_of_which_none_can_be_used_are_a_failure(command, arguments, store, tmp_path):
    for path in Path(store.results_dir, "mine").iterdir():
        path.write_text("{")

    ran = command(*arguments)

    assert ran.code == 1
    assert ran.err.count("skipped ") == 3
    assert "Nothing written: none of 3 result files in " in ran.err
    assert not (tmp_path / "blocks").exists()


def test_a_directory_without_results_says_how_to_make_some(command, arguments, tmp_path):
    arguments[2] = tmp_path / "empty"
    arguments[2].mkdir()

    ran = command(*arguments)

    assert ran.code == 1
    assert ran.err.endswith("could be used; make some with: agentmem-observe run\n")


def test_a_directory_that_is_not_there_is_an_error_of_its_own(command, arguments, tmp_path):
    arguments[2] = tmp_path / "nowhere"

    ran = command(*arguments)

    assert ran.code == 1
    assert "there is no such directory" in ran.err
    assert not (tmp_path / "blocks").exists()


def test_what_is_no_directory_of_results_is_said_to_be_none(command, arguments, tmp_path):
    arguments[2] = tmp_path / "file"
    arguments[2].touch()

    ran = command(*arguments)

    assert ran.code == 1
    assert ran.err.startswith(f"Error: {tmp_path}/file: cannot be read: Not a directory; name a ")


def test_a_refusal_leaves_none_of_the_directories_that_it_made(
    command, arguments, promtool, tmp_path
):
    promtool.write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "there").mkdir()
    places = ["new", "new/below", "there", "there/below", "bin/promtool/below"]

    codes = []
    for place in places:
        arguments[4] = tmp_path / place
        codes.append(command(*arguments).code)

    assert codes == [1] * len(places)
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "there").iterdir()) == []


def test_a_directory_that_others_use_meanwhile_is_left_to_them(
    command, arguments, promtool, tmp_path
):
    promtool.write_text(f"#!/bin/sh\ntouch {tmp_path}/new/theirs\nexit 1\n")
    arguments[4] = tmp_path / "new" / "below"

    assert command(*arguments).code == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["theirs"]


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (["job"], "'job': write NAME=VALUE"),
        (["job="], "'job=': write NAME=VALUE"),
        (["a-b=1"], "'a-b' cannot be used"),
        (["__name__=x"], "'__name__' cannot be used"),
        (["le=1"], "'le' cannot be used"),
        (["benchmark=x"], "'benchmark' cannot be used"),
        (["jöb=x"], "'jöb' cannot be used"),
        (["job=a", "job=b"], "'job' is given twice"),
    ],
)
def test_a_label_that_cannot_be_is_refused(texts, complaint):
    with pytest.raises(UsageError, match=complaint):
        parse_labels(texts)


def test_a_label_may_have_any_value():
    assert parse_labels(["job=a=b", "x=\udcff"]) == {"job": "a=b", "x": "?"}


def test_what_prometheus_does_with_old_and_with_new_blocks_is_said():
    day = 24 * HOUR_MS

    old = notes(Period(NOW_MS - 20 * day, NOW_MS - 10 * day), NOW_MS)
    new = notes(Period(NOW_MS - 10 * day, NOW_MS - HOUR_MS), NOW_MS)

    assert [note.split()[0] for note in old] == ["histograms", "Prometheus"]
    assert [note.split()[0] for note in new] == ["histograms", "some"]
    assert "retention" in old[1]


def test_progress_is_said_only_of_what_takes_long(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(backfilling.time, "monotonic", lambda: now[0])
    progress = backfilling._Patient("read", "results")

    for done in range(1, 8):
        now[0] += 0.5
        progress(done, 10_000)

    assert capsys.readouterr().err == "read 4 of 10,000 results\n"
