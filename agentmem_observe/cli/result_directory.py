"""A directory of result files as an option's value, for the commands that read one."""

from pathlib import Path

from agentmem_observe.errors import UsageError
from agentmem_observe.results.store import BenchmarkResults


def results_in(directory: str, option: str) -> BenchmarkResults:
    """Return the results in a directory that should be there.

    Args:
        directory: Where.
        option: What names another.

    Raises:
        UsageError: If it is not: a misspelled name must not look like an empty history.
    """
    if not Path(directory).exists():
        raise UsageError(
            f"{option} {directory!r}: there is no such directory; name another, or make results "
            "with: agentmem-observe run"
        )
    return BenchmarkResults(directory)
