"""Where the code of a side is from: an interpreter, directories, a commit."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agentmem_observe.errors import UsageError

_IN_ENVIRONMENT = Path("bin", "python")
_SOURCES = "src"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the code of a side is from.

    Attributes:
        python: Its interpreter.
        paths: Directories to import from before what is installed there.
        environment: Further variables of its process.
    """

    python: str = sys.executable
    paths: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Return whether it is the one that this process runs."""
        return not self.paths and self.python == sys.executable

    def variables(self) -> dict[str, str]:
        """Return all variables of its process."""
        variables = os.environ | dict(self.environment)
        known = variables.get("PYTHONPATH")
        paths = [*map(str, self.paths), *([known] if known else [])]
        return variables | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})


def find_python(name: str) -> str:
    """Return the interpreter that someone means.

    Args:
        name: Its path, its name on the ``PATH``, or the virtual environment that it is in.

    Raises:
        UsageError: If there is none.
    """
    inside = Path(name) / _IN_ENVIRONMENT
    found = shutil.which(str(inside if Path(name).is_dir() else name))
    if found is None:
        raise UsageError(
            f"no interpreter {name!r}; name a Python, or a virtual environment with one in it"
        )
    return str(Path(found).absolute())  # not resolved: a virtual environment's is a link


def check_out(revision: str, into: Path, repository: Path) -> Sequence[Path]:
    """Write the files of a commit, and return where to import them from.

    Args:
        revision: As git takes it: ``main``, ``HEAD~3``, a hash.
        into: An empty directory.
        repository: A directory of the working copy; what lies in it is meant, not what is above.

    Raises:
        UsageError: If git has no such commit, or there is no repository.
    """
    # Without --end-of-options what looks like an option would be one.
    files = _git(repository, "archive", "--format=tar", "--end-of-options", revision)
    with tarfile.open(fileobj=io.BytesIO(files)) as archive:
        archive.extractall(into, filter="data")
    sources = into / _SOURCES
    return [sources, into] if sources.is_dir() else [into]


def _git(directory: Path, *arguments: str) -> bytes:
    try:
        ended = subprocess.run(["git", *arguments], cwd=directory, capture_output=True)
    except FileNotFoundError:
        raise UsageError("no git here, which takes commits out of a repository") from None
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UsageError(f"git {arguments[0]} {arguments[-1]!r}: {said[-1] if said else 'failed'}")
    return ended.stdout
