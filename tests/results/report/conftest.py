import json
import math
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.results.store import BenchmarkResults

VOID = {"wbr", "meta", "br", "hr", "img", "link", "input"}
FETCHING = {"src", "srcset", "data", "poster", "action", "formaction", "background", "ping"}
FOREIGN = {"svg", "path", "text", "g", "circle", "rect"}
PHRASING_ONLY = {"p", "h1", "h2", "h3", "h4", "span", "b", "i", "s", "a", "summary", "figcaption"}
BLOCKS = {"p", "div", "ul", "dl", "table", "section", "article", "figure", "h1", "h2", "h3", "h4"}


class Page(HTMLParser):
    """What a page consists of, read strictly: what is opened is closed, nothing is fetched."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.mistakes: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        if self._open:
            self.mistakes.append(f"never closed: {self._open}")

    def handle_decl(self, decl: str) -> None:
        if decl != "DOCTYPE html" or self.tags:
            self.mistakes.append(f"doctype {decl!r}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.mistakes.append(f"{tag} has an attribute twice")
        for name, value in attrs:
            if name in FETCHING or name.startswith("on") or name == "style":
                self.mistakes.append(f"{tag} {name}={value}")
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "xlink:href"):
                self.links.append(value or "")
        if tag in ("script", "link", "iframe", "object", "embed", "img", "form", "base"):
            self.mistakes.append(f"has a {tag}")
        if tag in BLOCKS and self._open and self._open[-1] in PHRASING_ONLY:
            self.mistakes.append(f"{tag} in {self._open[-1]}")
        if tag in ("td", "th") and self._open[-1:] != ["tr"]:
            self.mistakes.append(f"{tag} in {self._open[-1:]}")
        if tag == "li" and self._open[-1:] != ["ul"]:
            self.mistakes.append(f"li in {self._open[-1:]}")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.mistakes.append(f"</{tag}> closes {self._open[-1:]}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        """Return all that is read on the page."""
        return " ".join(" ".join(self.text).split())


def histogram(median_seconds: float, count: int = 2000, seed: int = 1) -> dict[str, Any]:
    """Return durations as a result has them."""
    made = Histogram()
    seconds = np.random.default_rng(seed).lognormal(math.log(median_seconds), 0.6, count)
    made.record((seconds * 1e9).astype(np.int64))
    return made.to_dict()


def durations(operation: str, outcome: str = "ok", tier: str = "", **of: Any) -> dict[str, Any]:
    """Return one entry of a result's histograms, of a closed loop."""
    content = histogram(**({"median_seconds": 1e-4} | of))
    names = {"operation": operation, "tier": tier, "outcome": outcome}
    return names | {"latency": content, "service_time": content}


def agent_scaling() -> dict[str, Any]:
    """Return figures as that benchmark makes them."""
    counts = {
        str(agents): {
            "throughput_ops_per_second": 1000 * agents / (1 + 0.1 * (agents - 1)),
            "scaling_efficiency_ratio": 1 / (1 + 0.1 * (agents - 1)),
            "avg_agent_duration_seconds": 0.5,
            "95th_percentile_duration": None,
            "validity": validity,
            "bottleneck": {"kind": "cpu", "confidence": "high", "evidence": ["<b>both cores</b>"]},
        }
        for agents, validity in ((1, "valid"), (10, "degraded"), (50, "void"), (100, "valid"))
    }
    interval = {"value": 0.1, "low": 0.09, "high": 0.11}
    law = {
        "throughput_alone_ops_per_second": {"value": 1000.0, "low": 990.0, "high": 1010.0},
        "contention_ratio": interval,
        "coherence_ratio": {"value": 0.0, "low": 0.0, "high": 0.001},
        "peak_agents_count": None,
        "peak_throughput_ops_per_second": None,
        "misfit_ratio": 0.02,
    }
    share = {"ratio": 0.1, "low": 0.08, "high": 0.12, "agents": [100]}
    return counts | {"scaling_law": law, "serial_share": share}


def memory_size_scaling() -> dict[str, Any]:
    """Return figures as that benchmark makes them."""
    volumes = {
        str(volume): {
            "counted": volume,
            "memory_usage_bytes": 50 * 2**20 + 100 * volume,
            "rss_bytes_per_record": 100.0,
            "recall_at_10_ratio": 1 - volume / 1e6,
            "operations": {
                "search_memory": {
                    "items_processed": 1000,
                    "service_time_p50_seconds": 1e-4 * volume**0.5,
                    "service_time_p99_seconds": 4e-4 * volume**0.5,
                    "validity": "valid",
                }
            },
        }
        for volume in (1000, 10_000, 100_000)
    }
    slope = {"slope_exponent": {"value": 0.5, "low": 0.45, "high": 0.55}, "growth": "sublinear"}
    return volumes | {"degradation": {"search_memory": slope}}


def resource_utilization(verdict: str = "none") -> dict[str, Any]:
    """Return figures as that benchmark makes them."""
    times = [step / 2 for step in range(100)]
    return {
        "time_series": {
            "timestamps": times,
            "cpu_percent": [5 + math.sin(at) for at in times],
            "memory_mb": [60 + at / 10 for at in times],
        },
        "leak": {
            "verdict": verdict,
            "cycles": {"verdict": verdict, "reasons": ["blocks do not grow"]},
            "floor": {"verdict": "unknown", "reasons": ["soak longer"]},
        },
    }


FIGURES: dict[tuple[str, str], dict[str, Any]] = {
    ("storage", "write_throughput"): {
        "complexity_1": {
            f"batch_{size}": {"throughput_ops_per_second": 1e4 + size, "validity": "valid"}
            for size in (10, 100)
        }
    },
    ("scalability", "agent_scaling"): agent_scaling(),
    ("scalability", "memory_size_scaling"): memory_size_scaling(),
    ("scalability", "resource_utilization"): resource_utilization(),
    ("retrieval", "recall_at_scale"): {
        f"volume_{volume}": {"k_10": {"recall_at_k_ratio": 0.99, "precision_ratio": 0.9}}
        for volume in (1000, 10_000)
    },
    ("compression", "compression_ratio"): {
        "navigation": {
            "records_100": {
                "raw": {"bytes_per_record": 2032.0},
                "ltm": {"bytes_per_record": 1000.0},
                "raw_to_ltm_ratio": 2.032,
            }
        }
    },
    ("compression", "embedding_quality"): {
        "navigation": {"int8": {"bytes_per_vector": 388.0, "overlap_at_10_ratio": 0.998}}
    },
}


Save = Callable[..., str]


@pytest.fixture
def results(tmp_path: Path) -> BenchmarkResults:
    return BenchmarkResults(tmp_path / "results")


@pytest.fixture
def save(results: BenchmarkResults) -> Save:
    """Return a function that saves a result."""

    def save(
        benchmark: str = "write_throughput",
        category: str = "storage",
        figures: Any = None,
        timestamp: str = "20260101_120000",
        **metadata: Any,
    ) -> str:
        usual = {
            "execution_time": 2.5,
            "params": {},
            "warnings": [],
            "validity": {"verdict": "valid", "reasons": []},
            "target": {"spec": "embedded", "version": "1"},
            "histograms": [durations("create_memory"), durations("search_memory")],
        }
        known = FIGURES.get((category, benchmark), {}) if figures is None else figures
        return results.save_result(benchmark, category, known, usual | metadata, timestamp)

    return save


@pytest.fixture
def everything(save: Save) -> None:
    """Save results of which every section is made, four runs of each, and damaged files."""
    for day in range(1, 5):
        for category, benchmark in FIGURES:
            save(benchmark, category, timestamp=f"202601{day:02}_120000")
    torn = Path(save("torn", "storage"))
    torn.write_text(json.dumps(json.loads(torn.read_text()))[:200])


@pytest.fixture
def make_durations() -> Callable[..., dict[str, Any]]:
    return durations


@pytest.fixture
def parse() -> type[Page]:
    return Page
