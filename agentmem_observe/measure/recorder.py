"""Folds batches of observations into histograms per operation, tier and outcome."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.model import Int64Array, ObservationBatch, Outcome

OK = "ok"


class SeriesKey(NamedTuple):
    """What a series is about; all three are bounded sets and become labels."""

    operation: str
    tier: str
    outcome: str


@dataclass(slots=True)
class Series:
    """The durations of one operation with one outcome.

    Attributes:
        latency: finished - intended: what a user of the load waits.
        service_time: finished - started: what the target takes.
        lateness: started - intended: the wait in line, behind whatever.
        dispatch_delay: started - ready: the part of the lateness that is the generator's own.
    """

    latency: Histogram = field(default_factory=Histogram)
    service_time: Histogram = field(default_factory=Histogram)
    lateness: Histogram = field(default_factory=Histogram)
    dispatch_delay: Histogram = field(default_factory=Histogram)

    def histograms(self) -> dict[str, Histogram]:
        """Return the four histograms by name."""
        return {
            "latency": self.latency,
            "service_time": self.service_time,
            "lateness": self.lateness,
            "dispatch_delay": self.dispatch_delay,
        }

    def merge(self, other: "Series") -> None:
        """Add another series' counts to this one's."""
        theirs = other.histograms()
        for name, histogram in self.histograms().items():
            histogram.merge(theirs[name])


class _SeriesOnWire(msgspec.Struct, array_like=True):
    key: tuple[str, str, str]
    histograms: dict[str, bytes]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[_SeriesOnWire])


class Aggregate:
    """All series of a run, a phase, or one batch: what travels, and what every output reads.

    Merging adds counts, so that parts may come from any thread, process or machine, in any order.
    """

    def __init__(self) -> None:
        self._series: dict[SeriesKey, Series] = {}

    def __iter__(self) -> Iterator[tuple[SeriesKey, Series]]:
        """Yield keys and series, sorted by key."""
        return iter(sorted(self._series.items()))

    def __bool__(self) -> bool:
        return bool(self._series)

    def series(self, key: SeriesKey) -> Series:
        """Return the series of a key, made empty if there is none."""
        return self._series.setdefault(key, Series())

    def merge(self, other: "Aggregate") -> None:
        """Add another aggregate's counts to this one's."""
        for key, series in other._series.items():
            self.series(key).merge(series)

    def total(self, operation: str | None = None, outcome: str | None = OK) -> Series:
        """Return one series merged over tiers, and over what is left open.

        Args:
            operation: Only this operation; None for all.
            outcome: Only this outcome; None for all.
        """
        total = Series()
        for key, series in self._series.items():
            if operation in (None, key.operation) and outcome in (None, key.outcome):
                total.merge(series)
        return total

    def outcomes(self, operation: str | None = None) -> dict[str, int]:
        """Return the number of operations by outcome, ``ok`` first, then the most frequent."""
        counts: dict[str, int] = {}
        for key, series in self._series.items():
            if operation in (None, key.operation):
                counts[key.outcome] = counts.get(key.outcome, 0) + series.service_time.count
        return dict(sorted(counts.items(), key=lambda item: (item[0] != OK, -item[1], item[0])))

    def to_bytes(self) -> bytes:
        """Encode for a pipe."""
        return _encoder.encode(
            [
                _SeriesOnWire(
                    key,
                    {name: each.to_bytes() for name, each in series.histograms().items()},
                )
                for key, series in self
            ]
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Aggregate":
        """Decode what `to_bytes` made."""
        aggregate = cls()
        for part in _decoder.decode(data):
            aggregate._series[SeriesKey(*part.key)] = Series(
                **{name: Histogram.from_bytes(data) for name, data in part.histograms.items()}
            )
        return aggregate


def fold(batch: ObservationBatch) -> Aggregate:
    """Return the aggregate of one batch."""
    aggregate = Aggregate()
    if not batch.outcome.any():
        _record(aggregate.series(SeriesKey(batch.operation, batch.tier, OK)), batch, None)
        return aggregate
    for code in np.unique(batch.outcome).tolist():
        key = SeriesKey(batch.operation, batch.tier, outcome_name(code, batch.error_types))
        _record(aggregate.series(key), batch, np.flatnonzero(batch.outcome == code))
    return aggregate


def outcome_name(code: int, error_types: Sequence[str]) -> str:
    """Return the label of an outcome.

    Args:
        code: As in an `ObservationBatch`.
        error_types: As there.
    """
    if code >= Outcome.ERROR:
        return f"error:{error_types[code - Outcome.ERROR]}"
    return Outcome(code).name.lower()


def _record(series: Series, batch: ObservationBatch, chosen: Int64Array | None) -> None:
    def of(times: Int64Array) -> Int64Array:
        return times if chosen is None else times[chosen]

    started, finished = of(batch.started), of(batch.finished)
    series.service_time.record(finished - started)
    if batch.intended is None or batch.ready is None:  # closed loop: nothing waited in line
        series.latency.merge(series.service_time)
        return
    intended = of(batch.intended)
    series.latency.record(finished - intended)
    series.lateness.record(started - intended)
    series.dispatch_delay.record(started - of(batch.ready))
