"""Golden files, and running a benchmark as a worker does but in the test's own process."""

import gc
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.bench import worker
from agentmem_observe.bench.discover import discover, select, standard_suite
from agentmem_observe.bench.document import document
from agentmem_observe.bench.messages import Finished, Message, MessageReader, Progress, Request
from agentmem_observe.bench.supervisor import WorkerRun
from agentmem_observe.measure.recorder import Aggregate

GOLDEN = Path(__file__).parent / "golden"
SEED = 1


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the golden tests produce into tests/golden, to be reviewed as code",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a file below tests/golden, or write it there with --update-golden."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        expected = path.read_text(encoding="utf-8") if path.exists() else ""
        assert text == expected, f"differs from {path}; if it should: pytest --update-golden"

    return check


@dataclass(frozen=True)
class Ran:
    """What became of a run: the worker's last word, all it measured, and the result."""

    finished: Finished
    aggregate: Aggregate
    document: dict[str, Any]

    @property
    def metadata(self) -> dict[str, Any]:
        return self.document["metadata"]

    def counts(self, operation: str) -> dict[tuple[str, str], int]:
        """Return what the result's histograms count, by tier and outcome."""
        return {
            (each["tier"], each["outcome"]): each["service_time"]["count"]
            for each in self.metadata["histograms"]
            if each["operation"] == operation
        }


RunHere = Callable[..., Ran]


@pytest.fixture
def run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunHere]:
    """Return a function that runs a benchmark here and returns what came through the pipe."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    directory = tmp_path / "run"
    directory.mkdir()

    def run(
        category: str,
        name: str,
        *,
        target: str = "fake",
        suite: Path | None = None,
        **params: Any,
    ) -> Ran:
        (benchmark,) = select(discover([suite or standard_suite()]), category, name)
        request = Request(str(benchmark.path), name, params, target, str(directory), SEED, 30.0)
        stream = io.BytesIO()
        reporter = worker.Reporter(stream)
        finished = worker.run(request, reporter)
        reporter.flush()
        worker.send(stream, finished)
        aggregate, last = _received(stream.getvalue())
        return Ran(last, aggregate, document(benchmark, request, WorkerRun(last, aggregate)))

    yield run
    gc.unfreeze()
    for module in [module for module in sys.modules if module.startswith("agentmem_observe_s")]:
        del sys.modules[module]


def _received(data: bytes) -> tuple[Aggregate, Finished]:
    aggregate = Aggregate()
    finished: list[Finished] = []

    def receive(message: Message) -> None:
        if isinstance(message, Finished):
            finished.append(message)
        elif isinstance(message, Progress):
            aggregate.merge(Aggregate.from_bytes(message.delta))

    MessageReader(receive).feed(data)
    (last,) = finished
    return aggregate, last
