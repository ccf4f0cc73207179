"""Where a result came from: the machine, the versions, the working copy."""

import functools
import os
import platform
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from agentmem_observe import __version__

PACKAGES = (
    "msgspec",
    "numpy",
    "opentelemetry-sdk",
    "prometheus-client",
    "psutil",
    "zstandard",
)
"""Those whose version can change a measured number."""

_CONTAINER_FILES = {".dockerenv": "docker", "run/.containerenv": "podman"}
_REPOSITORY_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


def host(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Describe the machine; what it does not tell is None.

    Args:
        root: Of the file system.
        environ: Environment variables.

    Returns:
        ``hostname``, ``cpu_model``, ``cores`` (logical), ``usable_cores`` (of this process),
        ``memory_bytes``, ``machine``, ``kernel``, ``python``, and ``container``: the kind of
        container we are in, as far as it shows.
    """
    memory_kib = _field(root / "proc/meminfo", "MemTotal")
    return {
        "hostname": socket.gethostname(),
        "cpu_model": _field(root / "proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int(memory_kib.split()[0]) * 1024 if memory_kib else None,
        "machine": platform.machine(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": {
            "implementation": platform.python_implementation(),
            "version": platform.python_version(),
            "build": " ".join(platform.python_build()),
            "compiler": platform.python_compiler(),
        },
        "container": _container(root, environ),
    }


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str | None]:
    """Return our own version and those of other installed packages.

    Args:
        packages: Names of distributions; the version of one that is not installed is None.
    """
    return {"agentmem-observe": __version__} | {name: _version(name) for name in packages}


def vcs(
    directory: str | Path = ".", git: str = "git", timeout_seconds: float = 2.0
) -> dict[str, Any] | None:
    """Describe the git working copy that a directory is in.

    Args:
        directory: Any directory of the working copy.
        git: The program to ask.
        timeout_seconds: How long it may take.

    Returns:
        ``commit`` (None before the first), ``branch`` (None if detached) and ``dirty`` (whether a
        tracked file differs from the commit); ``error`` alone if git could not tell; None if
        there is no working copy or no git.
    """
    # Without optional locks and hooks: looking must not change the working copy.
    command = [git, "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(directory)]
    command += ["status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    # A git hook that runs us points these at its own repository.
    environ = {
        name: text for name, text in os.environ.items() if name not in _REPOSITORY_VARIABLES
    }
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            env=environ | {"LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        return None
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    if answer.returncode != 0:
        outside = "not a git repository" in answer.stderr
        return None if outside else {"error": answer.stderr.strip()}
    return _working_copy(answer.stdout.splitlines())


def recent_vcs(
    directory: str | Path = ".", *, now: Callable[[], float] = time.monotonic
) -> dict[str, Any] | None:
    """Return what `vcs` does, at most a second old: who starts at the same time asks git once.

    Args:
        directory: Any directory of the working copy.
        now: Seconds of a clock that only goes forward.
    """
    found = _vcs_in_second(os.path.abspath(directory), int(now()))
    return None if found is None else dict(found)


@functools.lru_cache(maxsize=8)
def _vcs_in_second(directory: str, second: int) -> dict[str, Any] | None:
    return vcs(directory)


def _working_copy(lines: Iterable[str]) -> dict[str, Any]:
    headers: dict[str, str] = {}
    dirty = False
    for line in lines:
        if line.startswith("# "):
            name, _, text = line.removeprefix("# ").partition(" ")
            headers[name] = text
        else:
            dirty = True
    commit, branch = headers.get("branch.oid"), headers.get("branch.head")
    return {
        "commit": None if commit == "(initial)" else commit,
        "branch": None if branch == "(detached)" else branch,
        "dirty": dirty,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _container(root: Path, environ: Mapping[str, str]) -> str | None:
    if "KUBERNETES_SERVICE_HOST" in environ:
        return "kubernetes"
    for file, kind in _CONTAINER_FILES.items():
        if (root / file).exists():
            return kind
    # podman, systemd-nspawn and LXC tell their first process; others leave it unset.
    return environ.get("container")


def _field(path: Path, name: str) -> str | None:
    """Return the first value of a ``name : value`` file of the kernel's."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None  # not every system has it; the caller's None says so
    for line in lines:
        key, colon, text = line.partition(":")
        if colon and key.strip() == name:
            return text.strip()
    return None
