"""Asks Prometheus what a dashboard's queries ask it."""

import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NICE_SECONDS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800)


@dataclass
class Series:
    """What one series did.

    Attributes:
        ref: Letter of its query.
        labels: Its labels.
        name: How its query wants it to be called.
        times: Seconds since 1970.
        values: A number, or a native histogram as Prometheus' API gives it, for each time.
    """

    ref: str
    labels: Mapping[str, str]
    name: str
    times: list[float] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """A Prometheus, a range of time, and the variables of a dashboard.

    Attributes:
        url: Of the server.
        start: Seconds since 1970.
        end: Likewise.
        scrape_seconds: How often it scrapes.
        variables: What stands for each, in queries.
    """

    url: str
    start: float
    end: float
    scrape_seconds: float
    variables: Mapping[str, str]

    def step(self, points: int, least: str = "") -> float:
        """Return how far apart points are if there may be so many."""
        wanted = max((self.end - self.start) / points, self.scrape_seconds, _period(least or "1s"))
        return next((float(nice) for nice in NICE_SECONDS if nice >= wanted), wanted)

    def expand(self, text: str, step: float) -> str:
        """Return a query, or a title, without variables."""
        rate = max(step + self.scrape_seconds, 4 * self.scrape_seconds)
        known = {
            **self.variables,
            "__rate_interval": f"{rate:.0f}s",
            "__interval": f"{step:.0f}s",
            "__interval_ms": f"{step * 1000:.0f}",
            "__range": f"{self.end - self.start:.0f}s",
            "__range_s": f"{self.end - self.start:.0f}",
        }
        return re.sub(
            r"\$\{(\w+)(?::\w+)?\}|\$(\w+)", lambda found: known[found[1] or found[2]], text
        )

    def ask(self, target: Mapping[str, Any], step: float) -> list[Series]:
        """Return the series that a query of a panel finds; an instant one has one point each."""
        query = self.expand(target["expr"], step)
        if target.get("instant") and not target.get("range"):
            found = self._get("query", query=query, time=self.end)
        else:
            first = math.ceil(self.start / step) * step
            found = self._get("query_range", query=query, start=first, end=self.end, step=step)
        if found["resultType"] == "scalar":
            found = {"result": [{"metric": {}, "value": found["result"]}]}
        return [self._series(target, each, query) for each in found["result"]]

    def _series(self, target: Mapping[str, Any], found: dict[str, Any], query: str) -> Series:
        labels = found["metric"]
        series = Series(target["refId"], labels, _name(target, labels, query))
        points = found.get("values") or ([found["value"]] if "value" in found else [])
        histograms = found.get("histograms") or (
            [found["histogram"]] if "histogram" in found else []
        )
        for time, value in points or histograms:
            series.times.append(float(time))
            series.values.append(float(value) if isinstance(value, str) else value)
        return series

    def exemplars(self, target: Mapping[str, Any], step: float) -> list[tuple[float, float]]:
        """Return time and value of each exemplar of a query's metrics."""
        query = self.expand(target["expr"], step)
        found = self._get("query_exemplars", query=query, start=self.start, end=self.end)
        return [
            (float(each["timestamp"]), float(each["value"]))
            for series in found
            for each in series["exemplars"]
        ]

    def _get(self, what: str, **params: Any) -> Any:
        query = urllib.parse.urlencode(params)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{query}") as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{error.read().decode()}\n{params}") from error


def _name(target: Mapping[str, Any], labels: Mapping[str, str], query: str) -> str:
    legend = target.get("legendFormat", "")
    if legend and legend != "__auto":
        return re.sub(r"\{\{ *(\w+) *\}\}", lambda found: labels.get(found[1], ""), legend)
    words = ", ".join(f'{k}="{v}"' for k, v in labels.items() if k != "__name__")
    name = labels.get("__name__", "")
    return (f"{name}{{{words}}}" if words else name) or "Value"


def _period(text: str) -> float:
    found = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text)
    assert found, text
    return int(found[1]) * {"ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]
