"""A target is built on trial, elsewhere: what is wrong with it is known before anything runs."""

import os
import sys
from pathlib import Path

import pytest

from agentmem_observe.bench.target_check import check_target
from agentmem_observe.errors import TargetError

MODULE = """
import os, threading
from agentmem_observe.targets.fake import FakeTarget

print("talk that is no answer")

def good(directory):
    (directory / "file").write_text("kept nowhere")
    return FakeTarget()

def with_threads():
    threading.Thread(target=threading.Event().wait).start()
    return FakeTarget()

def broken():
    raise ValueError("no API key")

def silent():
    pass

def dying():
    print("no memory left")
    os._exit(3)

def hanging():
    threading.Event().wait()

class Half:
    def info(self): ...

number = 3
"""


@pytest.fixture(autouse=True)
def _modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_memory.py").write_text(MODULE)
    (tmp_path / "torn.py").write_text("def make(:\n")
    (tmp_path / "script.py").write_text("raise SystemExit('usage: ...')\n")
    (tmp_path / "needy.py").write_text("import no_such_package\n")


@pytest.mark.parametrize("factory", ["good", "with_threads"])
def test_a_target_that_can_be_built_passes_and_is_imported_nowhere_else(
    factory: str, tmp_path: Path
) -> None:
    before = set(os.listdir(tmp_path))

    check_target(f"my_memory:{factory}", time_limit_seconds=60)

    assert "my_memory" not in sys.modules
    assert set(os.listdir(tmp_path)) - before <= {"__pycache__"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("nowhere:make", ["'nowhere:make': no module 'nowhere'", "check the spelling"]),
        ("my_memory:god", ["'my_memory' has no 'god'", "did you mean 'good'?"]),
        ("my_memory:number", ["'my_memory:number' is of type 'int'", "name a function or class"]),
        ("my_memory:silent", ["'NoneType' has no method 'info'", "inherit from"]),
        ("my_memory:Half", ["'Half' has no method 'open'", "implement it"]),
        ("my_memory:broken", ["raised ValueError: no API key (", "my_memory.py:16)", "mend it"]),
        ("my_memory:dying", ["ended its process with exit code 3; it said: no memory left"]),
        ("my_memory:good?size=1", ["takes no options", "inside the factory"]),
        ("torn:make", ["raised SyntaxError: ", "(torn.py, line 1);"]),
        ("script:make", ["raised SystemExit: usage: ... (", "script.py:1)"]),
        ("needy:make", ["needs the package 'no_such_package': pip install"]),
        ("unheard://of", ["no target 'unheard'", "embedded"]),
    ],
)
def test_what_is_wrong_with_a_target_is_said_with_its_name_and_a_cure(
    spec: str, said: list[str]
) -> None:
    with pytest.raises(TargetError) as refused:
        check_target(spec, time_limit_seconds=60)

    assert spec.partition(":")[0] in str(refused.value)
    assert [part for part in said if part not in str(refused.value)] == []


def test_a_target_that_never_comes_is_given_up() -> None:
    with pytest.raises(TargetError, match=r"'my_memory:hanging': not built after 1\.00 s; allow"):
        check_target("my_memory:hanging", time_limit_seconds=1)


def test_what_is_wrong_with_a_target_shows_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "mine-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[agentmem_observe.targets]\nmine = my_adapter:from_spec\n"
    )
    (tmp_path / "my_adapter.py").write_text(
        "def from_spec(spec):\n    raise ConnectionError(f'{spec.location} is gone')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    with pytest.raises(TargetError) as refused:
        check_target("mine://user:hunter2@host", time_limit_seconds=60)

    assert "raised ConnectionError: user:***@host is gone" in str(refused.value)
