"""The queries of a dashboard, and what stands in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser as promql

from .conftest import Board, panels_of

RATE_INTERVAL = "1234567ms"  # no range that anybody writes
BUILT_IN = {
    "__rate_interval": RATE_INTERVAL,
    "__interval": "30s",
    "__range": "1h",
    "__range_s": "3600",
    "__interval_ms": "30000",
    "__range_ms": "3600000",
}
HISTOGRAMS = ("seconds", "seconds_bucket")
"""What the names of native and of classic histograms end in: the variable chooses one."""

Node = Any  # promql_parser's classes of expressions have no common attributes


@dataclass(frozen=True)
class Query:
    """One query of a panel or an annotation.

    Attributes:
        where: Whose it is, for a message.
        text: As it stands in the dashboard.
        panel: The panel; empty for an annotation.
        target: All of the query.
    """

    where: str
    text: str
    panel: dict[str, Any]
    target: dict[str, Any]


def queries_of(board: Board) -> Iterator[Query]:
    """Yield every query for Prometheus: those of panels, then those of annotations."""
    for panel in panels_of(board):
        for target in panel.get("targets", ()):
            where = f"{panel['title']}, {target.get('refId')}"
            yield Query(where, target.get("expr", ""), panel, target)
    for annotation in board["annotations"]["list"]:
        if not annotation.get("builtIn"):
            target = annotation.get("target", {})
            yield Query(annotation["name"], target.get("expr", ""), {}, target)


def expand(text: str, histograms: str = HISTOGRAMS[0]) -> str:
    """Return a query without variables, but for those inside of quotes."""
    parts = text.split('"')
    for index in range(0, len(parts), 2):
        parts[index] = re.sub(
            r"\$(\w+)|\$\{(\w+)\}",
            lambda found: {**BUILT_IN, "histograms": histograms}[found[1] or found[2]],
            parts[index],
        )
    return '"'.join(parts)


def parse(query: Query) -> Iterator[Node]:
    """Yield what a query says, once for each kind of histograms; nothing if it is no PromQL."""
    for histograms in HISTOGRAMS if "${histograms}" in query.text else HISTOGRAMS[:1]:
        try:
            yield promql.parse(expand(query.text, histograms))
        except (ValueError, KeyError):
            return  # test_linter says so


def walk(node: Node, parents: tuple[Node, ...] = ()) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Yield each part of a query, and what it stands in, the outermost first."""
    yield node, parents
    children = [*getattr(node, "args", ())]
    children += [
        getattr(node, name) for name in ("expr", "lhs", "rhs", "param", "vector_selector")
        if getattr(node, name, None) is not None
    ]  # fmt: skip
    for child in children:
        yield from walk(child, (*parents, node))


def selectors(node: Node) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Yield the selectors of series in a query, and what each stands in."""
    return ((n, parents) for n, parents in walk(node) if isinstance(n, promql.VectorSelector))


def variables(board: Board, kind: str) -> Iterator[dict[str, Any]]:
    """Yield the variables of a type, such as ``query``."""
    return (each for each in board["templating"]["list"] if each["type"] == kind)


def variable_query(variable: dict[str, Any]) -> str:
    """Return a variable's query, which is text or in an object."""
    query = variable["query"]
    return query if isinstance(query, str) else query["query"]
