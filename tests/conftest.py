"""Golden files, and running a benchmark as a worker does but in the test's own process."""

import gc
import io
import sys
from collections.abc import Callable, Iterator, Mapping
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
from agentmem_observe.results.store import BenchmarkResults

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


NOISE = (1.0, 1.012, 0.991, 1.004, 0.985, 1.007, 0.996, 1.015, 0.989, 1.001)
"""Of ten rounds: 1 %, as on a quiet machine."""

ROUND_METADATA: Mapping[str, Any] = {
    "status": "ok",
    "execution_time": 1.5,
    "params": {"size": 3},
    "validity": {"verdict": "valid", "reasons": []},
    "target": {"spec": "fake", "name": "fake", "version": "1"},
    "host": {"hostname": "vm", "cores": 2, "cpu_model": "some CPU"},
    "versions": {"numpy": "2.4.6"},
    "vcs": {"commit": "0123456789abcdef", "branch": "main", "dirty": False},
}


@pytest.fixture
def save_rounds() -> Callable[..., list[str]]:
    """Return a function that saves rounds of ``mine.fine`` with known noise.

    Each figure is multiplied by the noise of its round, unless it is a whole number. ``shift``
    says where in the noise to begin, so that two sides have different values; what is named
    besides replaces metadata.
    """

    def save(
        store: BenchmarkResults,
        figures: Mapping[str, float],
        *,
        count: int = 10,
        benchmark: str = "fine",
        shift: int = 0,
        **metadata: Any,
    ) -> list[str]:
        paths = []
        for number in range(count):
            results = {
                name: value
                if isinstance(value, int)
                else value * NOISE[(number + place + shift) % len(NOISE)]
                for place, (name, value) in enumerate(figures.items())
            }
            rounds = {"number": number + 1, "total": count, "series": "0a1b2c3d"}
            known = {**ROUND_METADATA, **({"rounds": rounds} if count > 1 else {}), **metadata}
            time = f"20260101_{number // 60:02d}{number % 60:02d}{shift:02d}"
            paths.append(store.save_result(benchmark, "mine", {"case": results}, known, time))
        return paths

    return save
