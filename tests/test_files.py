import errno
import os
import stat
import threading

import pytest

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.files import create_file, read_json, replace_file


@pytest.fixture
def full_disk(monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_created_file_is_there_complete_and_alone(tmp_path):
    create_file(tmp_path / "a.json", "ä")

    assert (tmp_path / "a.json").read_bytes() == "ä".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "usual").touch()

    create_file(tmp_path / "created", "")
    replace_file(tmp_path / "replaced", "")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes["created"] == modes["replaced"] == modes["usual"]


def test_creating_never_touches_a_file_that_exists(tmp_path):
    (tmp_path / "a.json").write_text("mine")

    with pytest.raises(FileExistsError):
        create_file(tmp_path / "a.json", "yours")

    assert (tmp_path / "a.json").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_creating_does_not_follow_a_dangling_link(tmp_path):
    (tmp_path / "a.json").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(FileExistsError):
        create_file(tmp_path / "a.json", "yours")

    assert (tmp_path / "a.json").is_symlink()


def test_of_many_who_create_one_name_one_succeeds(tmp_path):
    barrier, won, lost = threading.Barrier(8), [], []

    def create(text):
        barrier.wait()
        try:
            create_file(tmp_path / "a.json", text)
            won.append(text)
        except FileExistsError:
            lost.append(text)

    threads = [threading.Thread(target=create, args=(f"{number}" * 1000,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    assert len(lost) == 7
    assert (tmp_path / "a.json").read_text() == won[0]


def test_a_name_that_someone_is_writing_is_taken(tmp_path, monkeypatch):
    fsync, refused = os.fsync, []

    def write_the_same_meanwhile(descriptor):
        with pytest.raises(FileExistsError) as caught:
            create_file(tmp_path / "a.json", "yours")
        refused.append(caught.value)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", write_the_same_meanwhile)

    create_file(tmp_path / "a.json", "mine")

    assert len(refused) == 1
    assert (tmp_path / "a.json").read_text() == "mine"


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("write", [create_file, replace_file])
def test_a_full_disk_leaves_nothing_half_written(write, tmp_path):
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a.json", "text")

    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_older_file(tmp_path):
    (tmp_path / "a.json").write_text("older")

    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "a.json", "newer")

    assert (tmp_path / "a.json").read_text() == "older"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("write", [create_file, replace_file])
def test_an_interrupt_leaves_nothing_half_written(write, tmp_path, monkeypatch):
    def interrupted(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.json", "text")

    assert not list(tmp_path.iterdir())


def test_json_that_is_nested_beyond_reason_is_refused(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000)

    with pytest.raises(ResultFormatError) as caught:
        read_json(path, ResultFormatError)

    assert str(caught.value) == f"{path}: not usable JSON: nested too deeply"
