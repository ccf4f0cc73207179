"""What was measured, in a result and back."""

import json

import numpy as np
import pytest

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.measure.recorder import Aggregate, SeriesKey
from agentmem_observe.results.histograms import aggregate_of, histograms_of


def test_what_was_measured_comes_back_from_a_result_as_it_was() -> None:
    aggregate = Aggregate()
    for outcome, durations in {"ok": [5, 7_000], "timeout": [10**9]}.items():
        series = aggregate.series(SeriesKey("create_memory", "stm", outcome))
        series.service_time.record(np.array(durations))

    stored = json.loads(json.dumps({"histograms": histograms_of(aggregate)}))
    restored = aggregate_of(stored)

    assert dict(restored) == dict(aggregate)
    assert "latency" not in stored["histograms"][0]  # a closed loop has none


@pytest.mark.parametrize("metadata", [{}, {"histograms": None}, {"histograms": []}])
def test_a_result_without_histograms_measured_nothing(metadata: dict[str, object]) -> None:
    assert aggregate_of(metadata).outcomes() == {}


@pytest.mark.parametrize(
    ("histograms", "told"),
    [
        ([{"operation": "o", "tier": ""}], r"metadata\.histograms\[0\]: .* outcome, got"),
        (["text"], r"metadata\.histograms\[0\]"),
        ([{"operation": "o", "tier": "", "outcome": "ok", "latency": {"count": 7}}], "histogram"),
    ],
)
def test_what_is_no_histogram_is_refused(histograms: list[object], told: str) -> None:
    with pytest.raises(ResultFormatError, match=told):
        aggregate_of({"histograms": histograms})
