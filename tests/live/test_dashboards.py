"""Every query of every dashboard, asked of real servers that scraped a real daemon."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from agentmem_observe.dashboards.build import dashboards
from tests.prometheus import Prometheus

pytestmark = pytest.mark.server

EMPTY = {
    "Against a week ago": "the servers are minutes old",
    "Drift": "a soak's drift takes half an hour",
    "Peak": "no peak is in sight",
    "Refused at the door": "nobody had more connections than allowed",
}
"""Titles of panels that may have no data, and why."""

_PATIENCE_SECONDS = 150.0
_LOOK_EVERY_SECONDS = 2.0
_RANGE_SECONDS = 300
_GRAFANAS = {"__rate_interval": "30s", "__range": "5m", "__interval": "5s"}


@dataclass(frozen=True)
class Query:
    """One query.

    Attributes:
        where: Dashboard and panel.
        title: Of the panel.
        text: PromQL with variables.
        instant: Whether one value is wanted.
    """

    where: str
    title: str
    text: str
    instant: bool


def queries() -> Iterator[Query]:
    for uid, board in dashboards().items():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                title = panel["title"]
                yield Query(f"{uid}: {title}", title, target["expr"], target["instant"])
        for each in board["annotations"]["list"]:
            yield Query(f"{uid}: {each['name']}", each["name"], each["target"]["expr"], False)


def chosen(server: Prometheus, board: dict[str, Any]) -> dict[str, str]:
    """Return what Grafana chooses for each variable at first; fail if one has no values."""
    values: dict[str, str] = {}
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        assert asked is not None, variable
        url = f"{server.url}/api/v1/label/{asked[2]}/values"
        answer = requests.get(url, params={"match[]": filled_in(asked[1], values)}, timeout=30)
        found = answer.json()["data"]
        if pattern := variable.get("regex"):
            matching = re.compile(pattern.strip("/").replace("(?<", "(?P<"))
            found = [hit["value"] for name in found if (hit := matching.search(name))]
        assert found, f"{board['uid']}: {variable['name']} has no values"
        values[variable["name"]] = variable.get("allValue", found[0])
    return values


def filled_in(text: str, values: dict[str, str]) -> str:
    """Return a query with values in place of its variables, as Grafana sends it."""
    every = {**_GRAFANAS, **values}
    return re.sub(r"\$\{?(\w+)\}?", lambda name: every[name[1]], text)


def answers(server: Prometheus, query: Query, values: dict[str, str]) -> bool:
    """Return whether a query has data: any value but NaN."""
    text, now = filled_in(query.text, values), time.time()
    if query.instant:
        found = server.get("/api/v1/query", query=text)["result"]
    else:
        start = now - _RANGE_SECONDS
        found = server.get("/api/v1/query_range", query=text, start=start, end=now, step=5)[
            "result"
        ]
    return any(
        "histogram" in series
        or "histograms" in series
        or any(value != "NaN" for _, value in series.get("values", [series.get("value")]))
        for series in found
    )


def test_every_query_parses_and_has_data(server: Prometheus) -> None:
    boards = dashboards()
    values = {uid: chosen(server, board) for uid, board in boards.items()}
    open_questions = list(queries())
    deadline = time.monotonic() + _PATIENCE_SECONDS

    while True:
        open_questions = [
            query
            for query in open_questions
            if not answers(server, query, values[query.where.partition(":")[0]])
        ]
        unexplained = [query for query in open_questions if query.title not in EMPTY]
        if not unexplained or time.monotonic() > deadline:
            break
        time.sleep(_LOOK_EVERY_SECONDS)

    assert not unexplained, "\n".join(f"{query.where}: {query.text}" for query in unexplained)
    needless = set(EMPTY) - {query.title for query in open_questions}
    assert not needless, f"these have data after all: {needless}"


def test_the_histograms_to_choose_from_are_those_that_the_server_has(
    server: Prometheus, request: pytest.FixtureRequest
) -> None:
    board = dashboards()["agentmem-benchmark"]

    suffix = chosen(server, board)["histograms"]

    assert suffix == ("seconds" if "native" in request.node.name else "seconds_bucket")


def test_all_files_are_dashboards_that_were_asked() -> None:
    files = {path.stem for path in (Path(__file__).parents[2] / "dashboards").glob("*.json")}

    assert files == {uid.removeprefix("agentmem-") for uid in dashboards()}
