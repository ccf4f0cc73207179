"""What the deployment's files say, read once."""

import re
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@cache
def read(path: str) -> Any:
    """Return the content of a YAML file, by its path in the repository."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def services() -> dict[str, dict[str, Any]]:
    """Return the services of docker-compose.yml by name."""
    found: dict[str, dict[str, Any]] = read("docker-compose.yml")["services"]
    return found


def program(name: str, where: str) -> str:
    """Return where a program is, beside this Python or on the path; skip where it is not.

    Args:
        name: Of the program.
        where: Where it can be had, for whoever reads why a test was skipped.
    """
    beside = shutil.which(name, path=sysconfig.get_path("scripts"))
    if found := beside or shutil.which(name):
        return found
    pytest.skip(f"no {name} here: {where}")


def run(*command: str, cwd: Path = ROOT) -> str:
    """Return what a command printed; fail with all of it if the command does."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def promtool_version() -> tuple[int, int]:
    """Return the version of the promtool that is here; skip where there is none."""
    promtool = program("promtool", "Debian's packages prometheus and promtool have it")
    said = subprocess.run([promtool, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+)\.(\d+)", said.stdout + said.stderr)
    assert found, said
    return int(found[1]), int(found[2])
