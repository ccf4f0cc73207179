"""A dashboard as one page of HTML that needs nothing else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from . import grids, lines, words
from .fields import tables_of, transformed
from .source import Series, Source
from .values import colour

WIDTH = 1400
MARGIN = 16
GAP = 8
CELL_HEIGHT = 30
HEADER = 34
PADDING = 10
STYLE = (Path(__file__).parent / "page.css").read_text()


@dataclass(frozen=True)
class Page:
    """A dashboard and where its data are.

    Attributes:
        board: Grafana's JSON.
        source: The Prometheus.
        version: Of it.
        chosen: What the variables on top show, by their label.
    """

    board: Mapping[str, Any]
    source: Source
    version: str
    chosen: Mapping[str, str]

    def render(self) -> str:
        """Return HTML."""
        marks = list(self._annotations())
        parts = [self._panel(panel, marks) for panel in self.board["panels"]]
        bottom = max(_bottom(panel) for panel in self.board["panels"])
        height = bottom * (CELL_HEIGHT + GAP)
        start, end = (datetime.fromtimestamp(t, UTC) for t in (self.source.start, self.source.end))
        choices = "".join(
            f"<span><i>{escape(label)}</i>{escape(value)}</span>"
            for label, value in self.chosen.items()
        )
        return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{escape(self.board["title"])}</title>
<style>{STYLE}</style>
<body style="width:{WIDTH}px">
<header><h1>{escape(self.board["title"])}</h1>
<time>{start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC</time></header>
<nav>{choices}</nav>
<main style="height:{height}px">{"".join(parts)}</main>
<footer>This is not Grafana: agentmem-observe drew it (docs/images/boards.py) from the
JSON of {escape(self.board["uid"])} and from what Prometheus {escape(self.version)} answered to its
queries. Grafana shows the same figures and looks different.</footer>
</body></html>"""

    def _panel(self, panel: Mapping[str, Any], marks: list[tuple[float, str]]) -> str:
        at = panel["gridPos"]
        column = (WIDTH - 2 * MARGIN + GAP) / 24
        left, top = at["x"] * column, at["y"] * (CELL_HEIGHT + GAP)
        width, height = at["w"] * column - GAP, at["h"] * (CELL_HEIGHT + GAP) - GAP
        place = f"left:{left:.1f}px;top:{top}px;width:{width:.1f}px;height:{height}px"
        title = escape(self.source.expand(panel.get("title", ""), 60))
        if panel["type"] == "row":
            more = f" ({len(panel['panels'])} panels)" if panel.get("collapsed") else ""
            return f'<h2 style="{place}">{title}{more}</h2>'
        inside = (width - 2 * PADDING - 2, height - HEADER - PADDING)
        drawn = self._draw(panel, inside, marks) or '<p class="empty">No data</p>'
        about = '<i class="about">i</i>' if panel.get("description") else ""
        return (
            f'<section style="{place}" class="{panel["type"]}"><h3>{title}{about}</h3>'
            f'<div class="inside">{drawn}</div></section>'
        )

    def _draw(
        self,
        panel: Mapping[str, Any],
        size: tuple[float, float],
        marks: list[tuple[float, str]],
    ) -> str:
        kind = panel["type"]
        if kind == "text":
            return words.markdown(panel)
        step = self.source.step(int(size[0] / (5 if kind == "heatmap" else 2)))
        targets = [target for target in panel["targets"] if not target.get("hide")]
        series = [each for target in targets for each in self.source.ask(target, step)]
        span = (self.source.start, self.source.end, step)
        if kind == "stat":
            return words.stat(panel, series, size)
        if kind == "bargauge":
            return words.bar_gauge(panel, series, size)
        if kind in ("table", "trend"):
            rows = transformed(tables_of(series, panel), panel)
            draw = words.table if kind == "table" else lines.over_numbers
            return draw(panel, rows, size)
        if kind == "heatmap":
            return grids.heatmap(panel, series, span, size)
        if kind == "state-timeline":
            return grids.state_timeline(panel, series, span, size)
        if kind == "timeseries":
            exemplars = [
                point
                for target in targets
                if target.get("exemplar") and any(s.ref == target["refId"] for s in series)
                for point in self.source.exemplars(target, step)
            ]
            return lines.over_time(panel, series, span, size, lines.Marks(marks, exemplars))
        raise ValueError(f"{panel['title']}: panels of type {kind!r} are not drawn")

    def _annotations(self) -> Iterator[tuple[float, str]]:
        step = self.source.step(WIDTH)
        for each in self.board["annotations"]["list"]:
            if each.get("builtIn") or not each["enable"] or each.get("hide"):
                continue
            target = {"refId": "Anno", **each["target"]}
            for series in self.source.ask(target, step):
                yield from ((at, colour(each["iconColor"])) for at in _times(each, series))


def _times(annotation: Mapping[str, Any], series: Series) -> list[float]:
    if annotation.get("useValueForTime"):
        return sorted({value / 1000 for value in series.values if value > 0})
    return [time for time, value in zip(series.times, series.values, strict=True) if value > 0]


def _bottom(panel: Mapping[str, Any]) -> int:
    return int(panel["gridPos"]["y"] + panel["gridPos"]["h"])
