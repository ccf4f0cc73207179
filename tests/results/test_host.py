import os
import shutil
import subprocess
from pathlib import Path

import pytest

import agentmem_observe
from agentmem_observe.results.host import host, recent_vcs, vcs, versions

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="no git program")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) : 2.20GHz\nprocessor\t: 1\n"
        "model name\t: another\n"
    )
    (tmp_path / "proc" / "meminfo").write_text(
        "MemTotal:        2097152 kB\nMemFree:          100 kB\n"
    )
    return tmp_path


def git(directory, *arguments):
    # Nothing of the user's or of a hook that runs the tests may reach these repositories.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    identity = [
        "-c",
        "user.name=n",
        "-c",
        "user.email=e@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    answer = subprocess.run(
        ["git", *identity, "-C", str(directory), *arguments],
        env=environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "--quiet", "--initial-branch", "trunk")
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def test_the_machine_is_described(root):
    facts = host(root, {})

    assert facts["cpu_model"] == "Intel(R) Xeon(R) : 2.20GHz"
    assert facts["memory_bytes"] == 2 * 2**30
    assert facts["cores"] == os.cpu_count()
    assert 1 <= facts["usable_cores"] <= facts["cores"]
    assert facts["python"]["version"].startswith("3.")
    assert facts["container"] is None


def test_what_the_machine_does_not_tell_is_none(tmp_path):
    facts = host(tmp_path, {})

    assert facts["cpu_model"] is None
    assert facts["memory_bytes"] is None


@pytest.mark.parametrize(
    ("file", "environ", "expected"),
    [
        (".dockerenv", {}, "docker"),
        ("run/.containerenv", {"container": "oci"}, "podman"),
        ("run/nothing", {"container": "lxc"}, "lxc"),
        (".dockerenv", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
    ],
)
def test_a_container_is_recognised(root, file, environ, expected):
    (root / "run").mkdir()
    (root / file).touch()

    assert host(root, environ)["container"] == expected


def test_versions_name_us_and_what_is_installed():
    found = versions(["numpy", "no-such-package-of-ours"])

    assert found["agentmem-observe"] == agentmem_observe.__version__
    assert found["numpy"].count(".") >= 1
    assert found["no-such-package-of-ours"] is None


@needs_git
def test_a_clean_working_copy_is_its_commit_and_branch(repository):
    commit = git(repository, "rev-parse", "HEAD")

    assert vcs(repository) == {"commit": commit, "branch": "trunk", "dirty": False}


@needs_git
def test_a_changed_tracked_file_is_dirty_and_an_untracked_one_is_not(repository):
    (repository / "result.json").write_text("{}")
    untracked = vcs(repository)
    (repository / "code.py").write_text("2")

    assert (untracked["dirty"], vcs(repository)["dirty"]) == (False, True)


@needs_git
def test_whatever_starts_together_asks_git_once_and_what_starts_later_sees_a_new_head(
    repository, monkeypatch
):
    now = [7.1]
    before = recent_vcs(repository, now=lambda: now[0])
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "second")

    now[0] = 7.9
    together = recent_vcs(repository, now=lambda: now[0])
    now[0] = 8.1
    later = recent_vcs(repository, now=lambda: now[0])
    monkeypatch.chdir(repository)

    assert together == before
    assert later["commit"] == git(repository, "rev-parse", "HEAD") != before["commit"]
    assert recent_vcs(now=lambda: 8.2) == later


@needs_git
def test_no_two_directories_share_an_answer(repository, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(repository)
    inside = recent_vcs(now=lambda: 9.0)
    monkeypatch.chdir(tmp_path_factory.mktemp("outside"))

    assert inside is not None
    assert recent_vcs(now=lambda: 9.0) is None


@needs_git
def test_a_detached_head_has_no_branch(repository):
    git(repository, "checkout", "--quiet", "--detach")

    assert vcs(repository)["branch"] is None
    assert len(vcs(repository)["commit"]) == 40


@needs_git
def test_a_repository_without_commit_has_none(tmp_path):
    git(tmp_path, "init", "--quiet", "--initial-branch", "trunk")

    assert vcs(tmp_path) == {"commit": None, "branch": "trunk", "dirty": False}


@needs_git
def test_the_directory_counts_and_not_the_repository_of_a_hook(
    repository, tmp_path_factory, monkeypatch
):
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("other")))

    assert vcs(repository)["branch"] == "trunk"


@needs_git
def test_outside_of_a_working_copy_there_is_nothing(tmp_path):
    assert vcs(tmp_path) is None


def test_without_git_there_is_nothing(tmp_path):
    assert vcs(tmp_path, git=str(tmp_path / "no-git")) is None


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_git_that_hangs_is_an_error_in_the_facts(tmp_path):
    program = script(tmp_path / "git", "exec sleep 30")

    error = vcs(tmp_path, git=program, timeout_seconds=0.01)["error"]

    assert error.endswith("timed out after 0.01 seconds")


def test_a_git_that_fails_is_an_error_in_the_facts(tmp_path):
    program = script(tmp_path / "git", "echo 'fatal: dubious ownership' >&2; exit 128")

    assert vcs(tmp_path, git=program) == {"error": "fatal: dubious ownership"}
