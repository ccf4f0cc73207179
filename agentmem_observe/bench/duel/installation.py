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
_HASH_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the code of a side is from.

    Attributes:
        python: Its interpreter.
        paths: Directories to import from before what is installed there.
        environment: Further variables of its process.
        commit: Whose files are in these directories; "" if it is none.
    """

    python: str = sys.executable
    paths: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    commit: str = ""

    @property
    def is_ours(self) -> bool:
        """Return whether it is the one that this process runs."""
        return not self.paths and self.python == sys.executable

    def name_of(self, file: str) -> str:
        """Return what people call a file of it: a commit's lies in a directory without a name.

        Examples:
            >>> code = Installation(paths=[Path("/tmp/x/src"), Path("/tmp/x")], commit="1a2b3c4d")
            >>> code.name_of("/tmp/x/src/memory.py"), code.name_of("/usr/lib/memory.py")
            ('1a2b3c4d:memory.py', '/usr/lib/memory.py')
        """
        for path in self.paths:
            if self.commit and Path(file).is_relative_to(path):
                return f"{self.commit}:{Path(file).relative_to(path)}"
        return file

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


def check_out(revision: str, into: Path, repository: Path) -> tuple[str, Sequence[Path]]:
    """Write the files of a commit; return its hash, and where to import them from.

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
    full = _git(repository, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    sources = into / _SOURCES
    return full.decode()[:_HASH_DIGITS], [sources, into] if sources.is_dir() else [into]


def _git(directory: Path, *arguments: str) -> bytes:
    try:
        ended = subprocess.run(["git", *arguments], cwd=directory, capture_output=True)
    except FileNotFoundError:
        raise UsageError("no git here, which takes commits out of a repository") from None
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UsageError(f"git {arguments[0]} {arguments[-1]!r}: {said[-1] if said else 'failed'}")
    return ended.stdout
