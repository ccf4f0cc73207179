"""Daemons that get into trouble."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemons import Daemon, Daemons, job_table

HERE = Path(__file__).parent

SUITE = HERE / "suite"
"""Benchmarks that get into trouble."""


@pytest.fixture
def new_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Return a function that prepares daemons; nothing of them outlives the test."""
    run = Daemons(tmp_path, {"PYTHONPATH": str(HERE)})
    try:
        yield run
    finally:
        run.end()


@pytest.fixture
def soak() -> Callable[..., str]:
    """Return a function that writes a soak with windows of a second on the scripted target."""

    def write(name: str = "steady", **changes: object) -> str:
        usual = {"soak": True, "target": "fake", "rate": 40, "window": "1s", "records": 50}
        return job_table(name, usual | changes)

    return write


@pytest.fixture
def benchmark() -> Callable[..., str]:
    """Return a function that writes a benchmark of the faulty suite, beside whatever runs."""

    def write(name: str = "often", benchmark: str = "quick", **changes: object) -> str:
        usual = {
            "suites": [str(SUITE)],
            "category": "faulty",
            "benchmark": benchmark,
            "every": "1h",
            "target": "fake",
            "beside_others": True,
        }
        return job_table(name, usual | changes)

    return write
