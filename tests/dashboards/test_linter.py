"""What grafana/dashboard-linter asks of a dashboard, rule for rule."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import promql_parser as promql
import pytest
from grafana_foundation_sdk.models import units

from .conftest import COMMITTED, Board, changed, every_board, panels_of
from .queries import (
    HISTOGRAMS,
    RATE_INTERVAL,
    expand,
    parse,
    queries_of,
    selectors,
    variable_query,
    variables,
    walk,
)

UNITS = {value for name, value in vars(units).items() if name[0].isupper()}
DATASOURCES = ("$datasource", "${datasource}")
WITHOUT_QUERIES = ("row", "text")
RATES = ("rate", "irate", "increase")


def template_datasource(board: Board) -> Iterator[str]:
    found = [(each["name"], each["label"]) for each in variables(board, "datasource")]
    if found != [("datasource", "Data source")]:
        yield f"the variables of data sources are {found}"


def _template(board: Board, name: str) -> Iterator[str]:
    for variable in board["templating"]["list"]:
        if variable["name"] == name:
            wanted = {
                "type": "query",
                "label": name.title(),
                "multi": True,
                "includeAll": True,
                "allValue": ".+",
            }
            for key, value in wanted.items():
                if variable.get(key) != value:
                    yield f"{name}: {key} is {variable.get(key)!r}, not {value!r}"
            if variable["datasource"]["uid"] not in DATASOURCES:
                yield f"{name} does not ask the data source that is chosen"
            return
    yield f"there is no variable {name}"


def template_job(board: Board) -> Iterator[str]:
    return _template(board, "job")


def template_instance(board: Board) -> Iterator[str]:
    return _template(board, "instance")


def template_label_promql(board: Board) -> Iterator[str]:
    for variable in variables(board, "query"):
        query = variable_query(variable)
        found = re.fullmatch(r"label_values\((.+), \w+\)|query_result\((.+)\)", query)
        if found is None:
            yield f"{variable['name']}: {query}"
        elif said := _complaint(found[1] or found[2]):
            yield f"{variable['name']}: {said}"


def template_on_time_change_reload(board: Board) -> Iterator[str]:
    for variable in variables(board, "query"):
        if variable["refresh"] != 2:
            yield f"{variable['name']} is not asked again when the time range changes"


def panel_datasource(board: Board) -> Iterator[str]:
    for panel in _with_queries(board):
        for place in (panel, *panel.get("targets", ())):
            if place["datasource"]["uid"] not in DATASOURCES:
                yield f"{panel['title']} asks {place['datasource']['uid']}"


def panel_title_description(board: Board) -> Iterator[str]:
    for panel in _with_queries(board):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel['id']} {panel.get('title')!r}"


def panel_units(board: Board) -> Iterator[str]:
    for panel in _with_queries(board):
        config = panel["fieldConfig"]
        properties = [p for each in config["overrides"] for p in each["properties"]]
        found = [p["value"] for p in properties if p["id"] == "unit"]
        found += [config["defaults"]["unit"]] if config["defaults"].get("unit") else []
        # What is shown as words has no unit, nor has a figure that is a column's name.
        mappings = config["defaults"].get("mappings", [])
        words = any(each["type"] != "special" for each in mappings)
        words = words or any(p["id"] == "mappings" for p in properties)
        if not set(found) <= UNITS:
            yield f"{panel['title']}: {sorted(set(found) - UNITS)}"
        elif (
            not found and not words and not panel["options"].get("reduceOptions", {}).get("fields")
        ):
            yield f"{panel['title']} has none"


def panel_no_targets(board: Board) -> Iterator[str]:
    return (panel["title"] for panel in _with_queries(board) if not panel.get("targets"))


def target_promql(board: Board) -> Iterator[str]:
    for query in queries_of(board):
        for histograms in HISTOGRAMS:
            if said := _complaint(query.text, histograms):
                yield f"{query.where}: {said}"


def target_logql(board: Board) -> Iterator[str]:
    # Two of the 17 are about Loki; nothing of ours asks it.
    for query in queries_of(board):
        source = query.target.get("datasource", {"type": "prometheus"})
        if source.get("type") != "prometheus":
            yield f"{query.where} asks {source.get('type')}"


def target_rate_interval(board: Board) -> Iterator[str]:
    interval = timedelta(milliseconds=int(RATE_INTERVAL.removesuffix("ms")))
    for query in queries_of(board):
        for node in parse(query):
            for part, parents in walk(node):
                if not isinstance(part, promql.MatrixSelector) or part.range == interval:
                    continue
                if _function(parents[-1:]) in ("rate", "irate"):
                    yield f"{query.where}: {part.vector_selector.name} {part.range}"


def _matched(board: Board, label: str) -> Iterator[str]:
    wanted = (promql.MatchOp.Re, f"${label}")
    for query in queries_of(board):
        for node in parse(query):
            for selector, _ in selectors(node):
                matchers = selector.matchers.matchers
                found = [(each.op, each.value) for each in matchers if each.name == label]
                if found != [wanted]:
                    yield f"{query.where}: {selector}"


def target_job(board: Board) -> Iterator[str]:
    return _matched(board, "job")


def target_instance(board: Board) -> Iterator[str]:
    return _matched(board, "instance")


def target_counter_agg(board: Board) -> Iterator[str]:
    for query in queries_of(board):
        for node in parse(query):
            for selector, parents in selectors(node):
                counts = re.search("_(total|count|sum|bucket)$", selector.name or "")
                if counts and _function(parents[-2:-1]) not in RATES:
                    yield f"{query.where}: {selector.name}"


def uneditable(board: Board) -> Iterator[str]:
    if board.get("editable", True):
        yield "it can be edited, and what is changed is lost when it is made again"


def _with_queries(board: Board) -> Iterator[dict[str, Any]]:
    return (panel for panel in panels_of(board) if panel["type"] not in WITHOUT_QUERIES)


def _function(parents: tuple[Any, ...]) -> str:
    return parents[0].func.name if parents and isinstance(parents[0], promql.Call) else ""


def _complaint(text: str, histograms: str = HISTOGRAMS[0]) -> str:
    try:
        promql.parse(expand(text, histograms))
    except (ValueError, KeyError) as error:
        return f"{text}: {type(error).__name__}: {error}"
    return ""


RULES: dict[str, Callable[[Board], Iterator[str]]] = {
    "template-datasource": template_datasource,
    "template-job": template_job,
    "template-instance": template_instance,
    "template-label-promql": template_label_promql,
    "template-on-time-change-reload": template_on_time_change_reload,
    "panel-datasource": panel_datasource,
    "panel-title-description": panel_title_description,
    "panel-units": panel_units,
    "panel-no-targets": panel_no_targets,
    "target-logql, target-logql-auto": target_logql,
    "target-promql": target_promql,
    "target-rate-interval": target_rate_interval,
    "target-job": target_job,
    "target-instance": target_instance,
    "target-counter-agg": target_counter_agg,
    "uneditable": uneditable,
}

_BACKFILLED = "what is backfilled from results has neither job nor instance"
EXCEPTIONS = {
    ("template-job", "job: allValue is '.*', not '.+'"): _BACKFILLED,
    ("template-instance", "instance: allValue is '.*', not '.+'"): _BACKFILLED,
    ("target-rate-interval", "Targets, A: agentmem_operations_total 0:05:00"): (
        "a row of a table is about now, however long the range is"
    ),
    ("target-rate-interval", "Until memory is used up, A: agentmem_operations_total 1:00:00"): (
        "what will be in days is told from an hour at least"
    ),
    ("target-counter-agg", "Lost writes, A: agentmem_daemon_state_lost_writes_total"): (
        "what the daemon has lost since it started stays lost, however short the range is"
    ),
}
"""What the rules say, and why it is right all the same."""


@every_board
@pytest.mark.parametrize("rule", RULES)
def test_a_board_breaks_no_rule(board, rule):
    found = [said for said in RULES[rule](board) if (rule, said) not in EXCEPTIONS]

    assert found == []


UP = 'up{job=~"$job", instance=~"$instance"}'


@pytest.mark.parametrize(
    ("rule", "where", "value"),
    [
        ("template-datasource", "templating.list.datasource.name", "prometheus"),
        ("template-datasource", "templating.list.datasource.type", "constant"),
        ("template-job", "templating.list.job.name", "jobs"),
        ("template-job", "templating.list.job.multi", False),
        ("template-job", "templating.list.job.datasource.uid", "mine"),
        ("template-instance", "templating.list.instance.allValue", ".*"),
        ("template-instance", "templating.list.instance.label", "Host"),
        (
            "template-label-promql",
            "templating.list.target.query.query",
            "label_values(up{, target)",
        ),
        ("template-label-promql", "templating.list.target.query.query", "values(up, target)"),
        ("template-on-time-change-reload", "templating.list.target.refresh", 1),
        ("panel-datasource", "panels.Verdicts.datasource.uid", "mine"),
        ("panel-datasource", "panels.Verdicts.targets.1.datasource.uid", "mine"),
        ("panel-title-description", "panels.Throughput.title", ""),
        ("panel-title-description", "panels.Throughput.description", ...),
        ("panel-units", "panels.Throughput.fieldConfig.defaults.unit", ...),
        ("panel-units", "panels.Throughput.fieldConfig.defaults.unit", "operations"),
        ("panel-units", "panels.Verdicts.fieldConfig.overrides.1.properties.0.value", "seconds"),
        ("panel-no-targets", "panels.Throughput.targets", []),
        ("panel-no-targets", "panels.Throughput.targets", ...),
        ("target-logql, target-logql-auto", "panels.Throughput.targets.0.datasource.type", "loki"),
        ("target-promql", "panels.Throughput.targets.0.expr", ""),
        ("target-promql", "panels.Throughput.targets.0.expr", "sum(rate(up[$__rate_interval])"),
        ("target-promql", "panels.Throughput.targets.0.expr", "sum(rate(up[$__rate]))"),
        ("target-promql", "annotations.list.Regressions.target.expr", "changes(up)"),
        ("target-rate-interval", "panels.Throughput.targets.0.expr", f"rate({UP}[5m])"),
        ("target-job", "panels.Throughput.targets.0.expr", 'up{instance=~"$instance"}'),
        ("target-job", "panels.Throughput.targets.0.expr", f'{UP} or up{{job="$job"}}'),
        ("target-instance", "panels.Throughput.targets.0.expr", 'up{job=~"$job"}'),
        ("target-counter-agg", "panels.Throughput.targets.0.expr", "sum(a_total)"),
        ("target-counter-agg", "panels.Throughput.targets.0.expr", 'a_total{b="c"}'),
        ("target-counter-agg", "panels.Throughput.targets.0.expr", "rate(b[5m]) / a_count"),
        ("target-counter-agg", "panels.Throughput.targets.0.expr", "deriv(a_total[5m])"),
        ("uneditable", "editable", True),
        ("uneditable", "editable", ...),
    ],
)
def test_a_rule_sees_what_breaks_it(sample, rule, where, value):
    assert list(RULES[rule](changed(sample, where, value)))


def test_every_exception_is_needed():
    said = {(rule, each) for board in COMMITTED for rule in RULES for each in RULES[rule](board)}

    assert EXCEPTIONS.keys() - said == set()
