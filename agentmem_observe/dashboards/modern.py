"""Turns what grafanalib writes, for the Grafana of 2016, into what today's takes."""

from typing import Any, Final

SCHEMA_VERSION: Final = 42

_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}

_PANEL_KEYS: Final = (
    *("id", "type", "title", "description", "gridPos", "datasource", "targets"),
    *("fieldConfig", "options", "links", "transformations"),
)
_TARGET_KEYS: Final = ("refId", "expr", "format", "legendFormat", "instant")
_VARIABLE_KEYS: Final = (
    *("name", "type", "label", "description", "query", "regex", "multi", "includeAll", "allValue"),
    *("refresh", "sort", "hide", "current", "datasource", "definition"),
)
_BOARD_KEYS: Final = (
    *("uid", "title", "description", "tags", "timezone", "refresh", "time", "graphTooltip"),
    *("links", "annotations", "templating", "panels"),
)
_ROW_KEYS: Final = ("id", "type", "title", "description", "gridPos", "collapsed", "panels")


def modernise(board: dict[str, Any]) -> dict[str, Any]:
    """Return a dashboard as today's Grafana exports it, from one of grafanalib's.

    Keys that it does not know any more are dropped, data sources become references, and queries
    say whether they are ranges and whether they want exemplars.

    Args:
        board: Plain data, as JSON has it.
    """
    modern: dict[str, Any] = {key: board[key] for key in _BOARD_KEYS if key in board}
    variables = board["templating"]["list"]
    return {
        **modern,
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "timepicker": {},
        "templating": {"list": [_variable(each) for each in variables]},
        "panels": [_panel(panel) for panel in board["panels"]],
    }


def _panel(panel: dict[str, Any]) -> dict[str, Any]:
    if panel["type"] == "row":
        return {key: panel[key] for key in _ROW_KEYS if panel.get(key) is not None}
    kept = {key: value for key in _PANEL_KEYS if (value := panel.get(key)) not in (None, [], "")}
    config = panel["fieldConfig"]
    defaults = _without_none(config["defaults"])
    if not defaults.get("thresholds", {}).get("steps"):
        defaults["thresholds"] = {
            "mode": "absolute",
            "steps": [{"color": "green", "value": None}],
        }
    else:
        defaults["thresholds"] = config["defaults"]["thresholds"]
    kept["datasource"] = dict(_DATASOURCE)
    kept["fieldConfig"] = {"defaults": defaults, "overrides": config.get("overrides", [])}
    kept["targets"] = [_target(target) for target in panel["targets"]]
    return kept


def _target(target: dict[str, Any]) -> dict[str, Any]:
    kept = {key: target[key] for key in _TARGET_KEYS}
    return {
        **kept,
        "datasource": dict(_DATASOURCE),
        "editorMode": "code",
        "range": not kept["instant"],
        # Only a histogram's buckets carry them.
        "exemplar": not kept["instant"] and "histogram_quantile" in kept["expr"],
    }


def _variable(variable: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key in _VARIABLE_KEYS if (value := variable.get(key)) not in (None, "")}
    if kept["type"] == "query":
        kept["datasource"] = dict(_DATASOURCE)
        kept["definition"] = kept["query"]
        kept["query"] = {"query": kept["query"], "refId": f"variable-{kept['name']}"}
        kept["refresh"] = 2  # when the time range changes: targets come and go
    kept["current"] = {}
    if kept["includeAll"]:
        kept["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return kept


def _without_none(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_none(value) for key, value in tree.items() if value is not None}
    return tree
