"""What we ask of our dashboards beyond what Grafana does."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import promql_parser as promql
import pytest

from agentmem_observe.telemetry import catalog

from .conftest import BOARDS, COMMITTED, Board, changed, every_board, panels_of
from .queries import parse, queries_of, selectors, variable_query, variables

COLUMNS = 24
LENGTHS = {"title": 45, "description": 300}
OF_PROMETHEUS = {
    "up": (),
    "scrape_duration_seconds": (),
    "scrape_samples_scraped": (),
    "ALERTS": ("alertname", "alertstate", "severity"),
}
"""Metrics that Prometheus makes itself, and their labels."""
OF_SCRAPES = {"job", "instance", "__name__"}


def places(board: Board) -> Iterator[str]:
    """Yield panels that leave the grid, overlap, or leave a gap that Grafana would close."""
    groups = [
        board["panels"],
        *(panel["panels"] for panel in board["panels"] if "panels" in panel),
    ]
    for group in groups:
        for panel in group:
            at = panel["gridPos"]
            if at["x"] < 0 or at["x"] + at["w"] > COLUMNS or min(at["w"], at["h"]) < 1:
                yield f"{panel['title']} leaves the grid: {at}"
        for one, other in itertools.combinations(group, 2):
            if _overlap(one["gridPos"], other["gridPos"]):
                yield f"{one['title']} overlaps {other['title']}"
        for panel in group:
            at = panel["gridPos"]
            above = {**at, "y": at["y"] - 1}
            if at["y"] > min(each["gridPos"]["y"] for each in group) and not any(
                _overlap(above, each["gridPos"]) for each in group if each is not panel
            ):
                yield f"{panel['title']} hangs in the air; Grafana would move it up"


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def holes(board: Board) -> Iterator[str]:
    """Yield rows that are not full."""
    rows = {panel["gridPos"]["y"]: panel["title"] for panel in board["panels"]}
    starts = [p["gridPos"]["y"] for p in board["panels"] if p["type"] == "row"]
    ends = [*starts[1:], max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in board["panels"])]
    for start, end in zip(starts, ends, strict=True):
        places = [panel["gridPos"] for panel in board["panels"]]
        filled = sum(at["w"] * at["h"] for at in places if start < at["y"] < end)
        if filled != COLUMNS * (end - start - 1):
            yield f"{rows[start]}: {COLUMNS * (end - start - 1) - filled} cells are empty"


def absences(board: Board) -> Iterator[str]:
    """Yield stats and tables that paint what is absent in the colour of the least value."""
    for panel in panels_of(board):
        if panel["type"] in ("stat", "table"):
            mappings = panel["fieldConfig"]["defaults"].get("mappings", [])
            matches = [m["options"]["match"] for m in mappings if m["type"] == "special"]
            if matches != ["null+nan"]:
                yield f"{panel['title']}: {matches}"


def ids(board: Board) -> Iterator[str]:
    """Yield ids that change or are there twice."""
    found = [panel["id"] for panel in panels_of(board)]
    if len(set(found)) < len(found):
        yield f"ids of panels: {found}"
    if board.get("id") is not None:
        yield "the board has the id of one Grafana"
    for panel in panels_of(board):
        letters = [target["refId"] for target in panel.get("targets", ())]
        if len(set(letters)) < len(letters):
            yield f"{panel['title']} has queries {letters}"


def texts(board: Board) -> Iterator[str]:
    """Yield texts that are missing or too long to be read."""
    for each in (board, *panels_of(board)):
        for key, length in LENGTHS.items():
            text = each.get(key, "")
            if len(text) > length:
                yield f"{key} of {len(text)} characters: {text}"
            if not text and not (each.get("type") in ("row", "text") and key == "description"):
                yield f"{each.get('title') or each.get('id')} has no {key}"
            if text != text.strip() or (key == "description" and text and text[-1] not in ".?!:`"):
                yield f"{key} ends in the middle of a sentence: {text!r}"


def links(board: Board) -> Iterator[str]:
    """Yield links to dashboards that there are not."""
    uids = {each["uid"] for each in BOARDS}
    tags = {tag for each in BOARDS for tag in each["tags"]}
    for link in _links(board):
        if link.get("type") == "dashboards":
            if not link["tags"] or not set(link["tags"]) <= tags:
                yield f"{link['title']}: no dashboard has the tags {link['tags']}"
            continue
        path = urlsplit(link["url"]).path
        if path.startswith("/d/"):
            if path.split("/")[2] not in uids:
                yield f"{link['title']}: {path}"
        elif not link["url"].startswith(("https://", "${__value", "${__data")):
            yield f"{link['title']}: {link['url']}"


def _links(board: Board) -> Iterator[dict[str, Any]]:
    yield from board.get("links", ())
    for panel in panels_of(board):
        yield from panel.get("links", ())
        config = panel.get("fieldConfig", {"defaults": {}, "overrides": ()})
        yield from config["defaults"].get("links", ())
        for override in config["overrides"]:
            for each in override["properties"]:
                yield from each["value"] if each["id"] == "links" else ()


def metrics(board: Board) -> Iterator[str]:
    """Yield metrics, labels of metrics, and states that the catalog does not have."""
    for query in queries_of(board):
        for node in parse(query):
            for selector, _ in selectors(node):
                yield from (f"{query.where}: {said}" for said in _unknown(selector))
    for variable in variables(board, "query"):
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable_query(variable))
        for selector, _ in selectors(promql.parse(found[1])) if found else ():
            yield from (f"{variable['name']}: {said}" for said in _unknown(selector, found[2]))


def _unknown(selector: Any, *labels: str) -> Iterator[str]:
    """Yield what the catalog does not have of a selector, and of labels that it is asked for."""
    matchers = selector.matchers.matchers
    wanted = {*labels, *(matcher.name for matcher in matchers)}
    for name in [selector.name] if selector.name else _named(matchers):
        metric = _metric(name)
        if metric is None and name not in OF_PROMETHEUS:
            yield f"there is no metric {name}"
            continue
        for label in wanted - _labels(name):
            yield f"{name} has no label {label}"
        for matcher in matchers if metric and metric.states else ():
            values = {value for value in matcher.value.split("|") if value[:1] != "$"}
            if matcher.name == metric.labels[-1] and not values <= {*metric.states, ".*", ".+"}:
                yield f"{name} has no {matcher.name} {matcher.value}"


def _named(matchers: Any) -> Iterator[str]:
    """Yield a metric for each name that a matcher of names gives the choice of."""
    for matcher in matchers:
        for pattern in matcher.value.split("|") if matcher.name == "__name__" else ():
            yield next((name for name in catalog.METRICS if re.fullmatch(pattern, name)), pattern)


def _metric(name: str) -> catalog.Metric | None:
    """Return what the catalog has of a name in PromQL, parts of histograms included."""
    if name in catalog.METRICS:
        return catalog.METRICS[name]
    found = catalog.METRICS.get(re.sub("_(bucket|count|sum)$", "", name))
    return found if found and found.kind is catalog.Kind.HISTOGRAM else None


def _labels(name: str) -> set[str]:
    metric = _metric(name)
    labels = metric.labels if metric else OF_PROMETHEUS.get(name, ())
    return {*labels, *OF_SCRAPES, *(["le"] if name.endswith("_bucket") else [])}


def legends(board: Board) -> Iterator[str]:
    """Yield names of series that show a label which the query has summed away."""
    for query in queries_of(board):
        shown = set(re.findall(r"\{\{ *(\w+) *\}\}", query.target.get("legendFormat", "")))
        for node in parse(query):
            while isinstance(node, promql.ParenExpr):
                node = node.expr
            kept = _kept(node)
            if kept is not None and not shown - {"le"} <= kept:
                yield f"{query.where}: {sorted(shown - kept)} is not in {node}"


def _kept(node: Any) -> set[str] | None:
    """Return the labels that are left after an aggregation; None where it is not known."""
    if isinstance(node, promql.Call) and node.func.name.startswith("histogram_"):
        return _kept(node.args[-1])
    if isinstance(node, promql.AggregateExpr) and str(node).split()[0].split("(")[0] in (
        "sum", "avg", "max", "min", "count", "group", "quantile",
    ):  # fmt: skip
        if node.modifier is None:
            return set()
        by = node.modifier.type == promql.AggModifierType.By
        return set(node.modifier.labels) if by else None
    return None


RULES: Sequence[Callable[[Board], Iterator[str]]] = (
    places,
    holes,
    absences,
    ids,
    texts,
    links,
    metrics,
    legends,
)


@every_board
@pytest.mark.parametrize("rule", RULES)
def test_a_board_breaks_none_of_our_rules(board, rule):
    assert list(rule(board)) == []


JOB = 'job=~"$job", instance=~"$instance"'
FIRST = "panels.Throughput.targets.0"


@pytest.mark.parametrize(
    ("rule", "where", "value"),
    [
        (places, "panels.Latency.gridPos.w", 13),
        (places, "panels.Latency, all of it.gridPos.x", 13),
        (places, "panels.Reading.gridPos.y", 28),
        (holes, "panels.Verdicts.gridPos.h", 6),
        (holes, "panels.Latency, all of it.gridPos.w", 11),
        (absences, "panels.Throughput.fieldConfig.defaults.mappings", []),
        (absences, "panels.Verdicts.fieldConfig.defaults.mappings", ...),
        (ids, "panels.Latency.id", 1),
        (ids, "id", 7),
        (ids, "panels.Latency.targets.1.refId", "A"),
        (texts, "panels.Latency.title", "Latency " * 6),
        (texts, "panels.Latency.description", "Long. " * 60),
        (texts, "panels.Latency.description", "How long it"),
        (texts, "description", ""),
        (links, "links.Sample.url", "/d/agentmem-simple"),
        (links, "links.Boards.tags", ["agentmen"]),
        (links, "links.Sample.url", "d/agentmem-sample"),
        (links, "panels.Latency.links", [{"title": "x", "url": "/d/gone", "type": "link"}]),
        (metrics, f"{FIRST}.expr", f"agentmem_operation_total{{{JOB}}}"),
        (metrics, f"{FIRST}.expr", f"agentmem_operations_total_count{{{JOB}}}"),
        (metrics, f"{FIRST}.expr", f'agentmem_job_runs_total{{{JOB}, target="x"}}'),
        (metrics, f"{FIRST}.expr", f'agentmem_leak{{{JOB}, verdict="leaking"}}'),
        (metrics, f"{FIRST}.expr", f'agentmem_leak{{{JOB}, verdict=~"leak|leaky"}}'),
        (
            metrics,
            "templating.list.target.query.query",
            "label_values(agentmem_job_state, target)",
        ),
        (metrics, f"{FIRST}.expr", f'{{__name__=~"agentmem_latency(_bucket)?",{JOB}}}'),
        (legends, "panels.Latency.targets.0.legendFormat", "p50 {{operation}}"),
        (legends, f"{FIRST}.legendFormat", "{{benchmark}}"),
    ],
)
def test_a_rule_sees_what_breaks_it(sample, rule, where, value):
    assert list(rule(changed(sample, where, value)))


def test_every_board_has_a_fixed_uid_of_its_own():
    uids = [board["uid"] for board in BOARDS]

    assert len(set(uids)) == len(uids)
    assert [uid for uid in uids if not re.fullmatch("agentmem-[a-z]+", uid)] == []


def test_every_board_can_be_reached_from_every_other():
    for board in COMMITTED:
        tags = {tag for link in board["links"] for tag in link["tags"]}
        assert [each["uid"] for each in COMMITTED if not tags & {*each["tags"]}] == []
