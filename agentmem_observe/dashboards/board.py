"""A dashboard: rows of panels below variables, links and annotations that all of ours share."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafanalib import core
from grafanalib._gen import DashboardEncoder

from agentmem_observe.dashboards.modern import modernise
from agentmem_observe.dashboards.panels import Placed
from agentmem_observe.dashboards.queries import HISTOGRAMS, select_all
from agentmem_observe.telemetry import catalog

TAG: Final = "agentmem-observe"
"""All our dashboards have it; it is what the links between them go by."""

_COLUMNS: Final = 24
_ANYTHING: Final = ".*"  # for "All": also what has no such label
_SOURCE: Final = catalog.EXPORTER_SERIES.name  # every instance has it, always
_OF_RUNS: Final = f"{catalog.BENCHMARK_RUNNING.name}|{catalog.REGRESSION.name}"
"""Of what ran since the start, or was judged by its past."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading, side by side as far as they fit.

    Attributes:
        title: The heading.
        panels: In reading order.
    """

    title: str
    panels: Sequence[Placed]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard.

    Attributes:
        uid: For ever, such as ``agentmem-overview``: links and alerts name it.
        title: Of the page.
        description: What it answers.
        rows: From the top.
        of_runs: Whether one may choose target, category and benchmark.
        since: How far back it looks at first, as Grafana writes it.
    """

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    of_runs: bool = True
    since: str = "now-6h"

    def to_dict(self) -> dict[str, Any]:
        """Return it as Grafana's JSON, as plain data."""
        board = core.Dashboard(
            uid=self.uid,
            title=self.title,
            description=self.description,
            tags=[TAG],
            timezone="browser",
            refresh="30s",
            graphTooltip=core.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
            time=core.Time(self.since, "now"),
            panels=list(_placed(self.rows)),
        ).auto_panel_ids()
        data = json.loads(json.dumps(board.to_json_data(), cls=DashboardEncoder))
        data["templating"] = {"list": [_plain(variable) for variable in self._variables()]}
        data["links"] = [_link_to_ours()]
        data["annotations"] = {"list": list(_annotations())}
        return modernise(data)

    def _variables(self) -> Iterator[core.Template]:
        yield core.Template(
            name="datasource", label="Data source", type="datasource", query="prometheus"
        )
        yield _choice("job", "Job", f"label_values({_SOURCE}, job)")
        yield _choice("instance", "Instance", f'label_values({_SOURCE}{{job=~"$job"}}, instance)')
        if self.of_runs:
            matchers = [f'__name__=~"{_OF_RUNS}"', 'job=~"$job"', 'instance=~"$instance"']
            for label in catalog.RUN:
                chosen = f"label_values({{{','.join(matchers)}}}, {label})"
                yield _choice(label, label.capitalize(), chosen)
                matchers.append(f'{label}=~"${label}"')
            name = catalog.OPERATION_LATENCY.name
            either = f'{{__name__=~"{name}(_bucket)?",job=~"$job",instance=~"$instance"}}'
            yield core.Template(
                name=HISTOGRAMS,
                label="Histograms",
                query=f"label_values({either}, __name__)",
                regex=f"/{name.removesuffix('seconds')}(?<value>.*)/",
                dataSource="${datasource}",
            )


def _choice(name: str, label: str, query: str) -> core.Template:
    return core.Template(
        name=name,
        label=label,
        query=query,
        dataSource="${datasource}",
        multi=True,
        includeAll=True,
        allValue=_ANYTHING,
    )


def _plain(part: Any) -> Any:
    return json.loads(json.dumps(part, cls=DashboardEncoder))


def _placed(rows: Sequence[Row]) -> Iterator[core.Panel]:
    """Yield panels, each as far up, and then as far left, as there is room."""
    floor = 0
    for row in rows:
        yield core.RowPanel(title=row.title, gridPos=core.GridPos(h=1, w=_COLUMNS, x=0, y=floor))
        bottoms = [floor + 1] * _COLUMNS
        for placed in row.panels:
            width, height = placed.width, placed.height
            y, x = min((max(bottoms[x : x + width]), x) for x in range(_COLUMNS - width + 1))
            placed.panel.gridPos = core.GridPos(h=height, w=width, x=x, y=y)
            bottoms[x : x + width] = [y + height] * width
            yield placed.panel
        floor = max(bottoms)


def _link_to_ours() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "Agent memory",
        "icon": "external link",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "Our other dashboards, with the same choices",
        "url": "",
    }


def _annotations() -> Iterator[dict[str, Any]]:
    """Yield what is marked on all curves; a value is when it was, in milliseconds."""
    yield _annotation(
        "Runs",
        "blue",
        f"{select_all(catalog.BENCHMARK_LAST_END)} * 1000",
        "{{category}}.{{benchmark}} ended",
        "{{target}}",
    )
    yield _annotation(
        "Regressions",
        "red",
        f"{select_all(catalog.REGRESSION_CHANGED)} * 1000",
        "{{category}}.{{benchmark}} changed",
        "{{target}}",
    )


def _annotation(name: str, colour: str, expression: str, title: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "target": {"refId": "Anno", "expr": expression, "interval": "60s"},
        "titleFormat": title,
        "textFormat": text,
        "tagKeys": "job,instance",
        "useValueForTime": True,
    }
