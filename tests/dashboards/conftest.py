"""The committed dashboards, and a sample of every type of panel to break."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests/fixtures/dashboards/sample.json"

Board = dict[str, Any]

COMMITTED: list[Board] = [
    json.loads(path.read_text()) for path in sorted((ROOT / "dashboards").glob("*.json"))
]
BOARDS = [*COMMITTED, json.loads(SAMPLE.read_text())]

every_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])


def panels_of(board: Board) -> Iterator[dict[str, Any]]:
    """Yield all panels, those inside of collapsed rows too."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def changed(board: Board, where: str, value: Any = None) -> Board:
    """Return a copy with something set, or removed for ``...``.

    A place is keys with dots; panels are found by their title: ``panels.Latency.options.foo``.
    """
    copied = copy.deepcopy(board)
    at: Any = copied
    *path, last = where.split(".")
    for key in path:
        at = at[_index(at, key)]
    if value is ...:
        del at[_index(at, last)]
    elif isinstance(at, list) and last == "+":
        at.append(value)
    else:
        at[_index(at, last)] = value
    return copied


def _index(at: Any, key: str) -> Any:
    if not isinstance(at, list):
        return key
    if key.isdigit():
        return int(key)
    (found,) = (i for i, each in enumerate(at) if key in (each.get("title"), each.get("name")))
    return found


@pytest.fixture(scope="session")
def sample() -> Board:
    """Return a board that breaks no rule, with a panel of each type; not to be written to."""
    return json.loads(SAMPLE.read_text())
