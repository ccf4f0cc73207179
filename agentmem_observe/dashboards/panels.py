"""Panels: each has a title, a description, a unit, and queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafanalib import core

GREEN: Final = "green"
YELLOW: Final = "yellow"
RED: Final = "red"
BLUE: Final = "blue"
GREY: Final = "text"

Steps = Sequence[tuple[float | None, str]]
"""From which value on which colour holds; the first value is None, that is any."""

CALM: Final[Steps] = ((None, GREEN),)


@dataclass(frozen=True, slots=True)
class Query:
    """What a panel asks.

    Attributes:
        expression: PromQL.
        legend: Name of a series, with labels as ``{{target}}``.
        instant: Whether only the last value is asked for.
        format: ``time_series``, ``table`` or ``heatmap``.
    """

    expression: str
    legend: str = ""
    instant: bool = False
    format: str = "time_series"


@dataclass(frozen=True, slots=True)
class Placed:
    """A panel and how much room it takes.

    Attributes:
        panel: Without a place.
        width: Of 24 columns.
        height: In units of 30 pixels.
    """

    panel: core.Panel
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class State:
    """A value that stands for a word.

    Attributes:
        text: The word.
        colour: How it looks.
    """

    text: str
    colour: str


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 12,
    height: int = 8,
    log: bool = False,
    stacked: bool = False,
    least: float | None = 0,
    decimals: int | None = None,
    steps: bool = False,
) -> Placed:
    """Return curves over time.

    Args:
        title: A few words.
        description: What it shows and how to read it.
        unit: Grafana's id: ``s``, ``bytes``, ``ops``, ``percentunit``, ``short`` ...
        queries: One or more.
        width: Of 24 columns.
        height: In units of 30 pixels.
        log: Whether the axis is logarithmic; it has no zero then.
        stacked: Whether series are added up.
        least: Where the axis begins; None for where the data do.
        decimals: Digits behind the point; None for as many as needed.
        steps: Whether values hold until the next one, as of gauges that seldom change.
    """
    custom: dict[str, Any] = {
        "fillOpacity": 25 if stacked else 0,
        "lineWidth": 1,
        "showPoints": "auto",
        "spanNulls": False,
        "lineInterpolation": "stepAfter" if steps else "linear",
        "scaleDistribution": {"type": "log", "log": 10} if log else {"type": "linear"},
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    defaults: dict[str, Any] = {"custom": custom}
    if decimals is not None:
        defaults["decimals"] = decimals
    if least is not None and not log:
        defaults["min"] = least
    options = {
        "legend": {
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
            "calcs": ["lastNotNull", "max"],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    panel = core.TimeSeries(
        **_common(title, description, queries),
        unit=unit,
        extraJson={"fieldConfig": {"defaults": defaults}, "options": options},
    )
    return Placed(panel, width, height)


def stat(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    steps: Steps = CALM,
    states: Mapping[int, State] | None = None,
    width: int = 4,
    height: int = 4,
    decimals: int | None = None,
    none: str = "no data",
) -> Placed:
    """Return one large number, or one per series.

    Args:
        title: A few words.
        description: What it shows and how to read it.
        unit: Grafana's id.
        query: Asked for its last value.
        steps: Colours by value.
        states: Words in place of values.
        width: Of 24 columns.
        height: In units of 30 pixels.
        decimals: Digits behind the point; None for as many as needed.
        none: What stands there without data.
    """
    defaults: dict[str, Any] = {
        "unit": unit,
        "noValue": none,
        "color": {"mode": "thresholds"},
        "thresholds": _thresholds(steps),
        "mappings": [*_mappings(states or {}), _absence(none, GREY)],
    }
    if decimals is not None:
        defaults["decimals"] = decimals
    panel = core.Stat(
        **_common(title, description, [query]),
        graphMode="none",
        reduceCalc="lastNotNull",
        extraJson={
            "fieldConfig": {"defaults": defaults},
            "options": {
                "colorMode": "background" if len(steps) > 1 else "value",
                "wideLayout": True,
                "percentChangeColorMode": "standard",
                "showPercentChange": False,
            },
        },
    )
    return Placed(panel, width, height)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        label: A label, or ``Value`` for the value of the only query, or ``Value #B`` for that of
            the second.
        title: What stands above it.
        unit: Grafana's id; of values only.
        steps: Colours by value.
        link: Where a click leads, as `link` returns it.
    """

    label: str
    title: str
    unit: str = ""
    steps: Steps = ()
    link: str = ""


def link(board: str, *columns: str) -> str:
    """Return where a row leads to: another dashboard, with values of the row chosen.

    Args:
        board: The dashboard's uid without its beginning, such as ``benchmark``.
        columns: Titles of columns, in small letters the names of variables.
    """
    chosen = (f"var-{title.lower()}=${{__data.fields.{title}:percentencode}}" for title in columns)
    return f"/d/agentmem-{board}?{'&'.join(chosen)}"


def table(
    title: str,
    description: str,
    columns: Sequence[Column],
    *queries: Query,
    width: int = 24,
    height: int = 8,
    unit: str = "short",
    none: str = "no data",
) -> Placed:
    """Return a table with a row for each combination of labels.

    Args:
        title: A few words.
        description: What it shows and how to read it.
        columns: In their order; other labels are hidden.
        queries: Asked for their last values; with several, rows of the same labels become one.
        width: Of 24 columns.
        height: In units of 30 pixels.
        unit: Of values whose column has none.
        none: What stands there without data.
    """
    asked = [Query(query.expression, instant=True, format="table") for query in queries]
    shown = [column.label for column in columns]
    organize = {
        "id": "organize",
        "options": {
            "indexByName": {label: place for place, label in enumerate(shown)},
            "renameByName": {column.label: column.title for column in columns},
            "includeByName": dict.fromkeys(shown, True),
            "excludeByName": {"Time": True},
        },
    }
    merge = [{"id": "merge", "options": {}}] if len(queries) > 1 else []
    panel = core.Table(
        **_common(title, description, asked),
        transformations=[*merge, organize],
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "unit": unit,
                    "noValue": none,
                    "mappings": [_absence("–", "transparent")],  # noqa: RUF001  a dash, not minus
                    "custom": {"align": "auto", "filterable": True},
                },
                "overrides": [override for column in columns for override in _override(column)],
            },
            "options": {"showHeader": True, "cellHeight": "sm", "frameIndex": 0},
        },
    )
    return Placed(panel, width, height)


def timeline(
    title: str,
    description: str,
    states: Mapping[int, State],
    query: Query,
    *,
    width: int = 24,
    height: int = 7,
) -> Placed:
    """Return a band for each series, coloured by its state over time.

    Args:
        title: A few words.
        description: What it shows and how to read it.
        states: What the values stand for.
        query: Numbers of states.
        width: Of 24 columns.
        height: In units of 30 pixels.
    """
    panel = core.StateTimeline(
        **_common(title, description, [query]),
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "unit": "short",
                    "mappings": _mappings(states),
                    "custom": {"fillOpacity": 80, "lineWidth": 0},
                }
            },
            "options": {
                "legend": {
                    "displayMode": "list",
                    "placement": "bottom",
                    "showLegend": True,
                    "calcs": [],
                },
                "tooltip": {"mode": "single", "sort": "none"},
                "showValue": "auto",
            },
        },
    )
    return Placed(panel, width, height)


def heatmap(
    title: str, description: str, unit: str, query: Query, *, width: int = 24, height: int = 9
) -> Placed:
    """Return how often which value was seen, over time.

    Args:
        title: A few words.
        description: What it shows and how to read it.
        unit: Grafana's id.
        query: Buckets, native or classic.
        width: Of 24 columns.
        height: In units of 30 pixels.
    """
    hidden = {"legend": False, "tooltip": False, "viz": False}
    panel = core.Heatmap(
        **_common(title, description, [query]),
        extraJson={
            "fieldConfig": {
                "defaults": {
                    "unit": unit,
                    "custom": {"hideFrom": hidden, "scaleDistribution": {"type": "linear"}},
                },
                "overrides": [],
            },
            "options": {
                "calculate": False,
                "cellGap": 1,
                "color": {
                    "mode": "scheme",
                    "scheme": "Turbo",
                    "scale": "exponential",
                    "exponent": 0.5,
                    "fill": "dark-orange",
                    "steps": 64,
                    "reverse": False,
                },
                "exemplars": {"color": "rgba(255,0,255,0.7)"},
                "filterValues": {"le": 1e-9},
                "legend": {"show": True},
                "rowsFrame": {"layout": "auto"},
                "showValue": "never",
                "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
                "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
            },
        },
    )
    return Placed(panel, width, height)


def curve(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    along: str,
    series: str,
    width: int = 12,
    height: int = 9,
) -> Placed:
    """Return the last values of series over a label that is a number.

    Args:
        title: A few words.
        description: What it shows and how to read it.
        unit: Of the values, Grafana's id.
        query: Asked for its last values.
        along: The label on the horizontal axis.
        series: The label that tells the curves apart.
        width: Of 24 columns.
        height: In units of 30 pixels.
    """
    asked = Query(query.expression, instant=True, format="table")
    field = f"{along}\\{series}"
    panel = core.TimeSeries(
        **_common(title, description, [asked]),
        unit=unit,
        transformations=[
            {
                "id": "groupingToMatrix",
                "options": {"columnField": series, "rowField": along, "valueField": "Value"},
            },
            {
                "id": "convertFieldType",
                "options": {
                    "fields": {},
                    "conversions": [{"targetField": field, "destinationType": "number"}],
                },
            },
            {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": field}]}},
        ],
        extraJson={
            "type": "trend",
            "fieldConfig": {
                "defaults": {
                    "min": 0,
                    "custom": {
                        "fillOpacity": 0,
                        "lineWidth": 2,
                        "showPoints": "always",
                        "scaleDistribution": {"type": "linear"},
                        "stacking": {"mode": "none", "group": "A"},
                    },
                },
            },
            "options": {
                "xField": field,
                "legend": {
                    "displayMode": "list",
                    "placement": "bottom",
                    "showLegend": True,
                    "calcs": [],
                },
                "tooltip": {"mode": "multi", "sort": "desc"},
            },
        },
    )
    return Placed(panel, width, height)


def _common(title: str, description: str, queries: Sequence[Query]) -> dict[str, Any]:
    targets = [
        core.Target(
            expr=query.expression,
            legendFormat=query.legend,
            instant=query.instant,
            format=query.format,
            refId=chr(ord("A") + number),
        )
        for number, query in enumerate(queries)
    ]
    return {"title": title, "description": description, "targets": targets}


def _thresholds(steps: Steps) -> dict[str, Any]:
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": colour} for value, colour in steps],
    }


def _mappings(states: Mapping[int, State]) -> list[dict[str, Any]]:
    if not states:
        return []
    options = {
        str(value): {"text": state.text, "color": state.colour, "index": number}
        for number, (value, state) in enumerate(states.items())
    }
    return [{"type": "value", "options": options}]


def _absence(text: str, colour: str) -> dict[str, Any]:
    """Return what stands for no value; without it, that has the colour of the least one."""
    result = {"text": text, "color": colour, "index": 99}
    return {"type": "special", "options": {"match": "null+nan", "result": result}}


def _override(column: Column) -> list[dict[str, Any]]:
    properties: list[dict[str, Any]] = []
    if column.unit:
        properties.append({"id": "unit", "value": column.unit})
    if column.steps:
        properties.append({"id": "thresholds", "value": _thresholds(column.steps)})
        cell = {"type": "color-background", "mode": "basic"}
        properties.append({"id": "custom.cellOptions", "value": cell})
    if column.link:
        link = {"title": "look closer", "url": column.link, "targetBlank": False}
        properties.append({"id": "links", "value": [link]})
    matcher = {"id": "byName", "options": column.title}
    return [{"matcher": matcher, "properties": properties}] if properties else []
