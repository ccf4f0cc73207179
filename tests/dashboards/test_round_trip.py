"""Grafana's own SDK reads every dashboard, and writes it as it was."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from .conftest import Board, changed, every_board

ACCEPTED = {
    "id: lost": "null stands for a board that no Grafana has yet, and the SDK leaves it out",
    "annotations.list.#.builtIn: added as 0": "a default",
    "annotations.list.#.placement: added as 'inControlsMenu'": "the only value of a constant",
    "links.#.placement: added as 'inControlsMenu'": "the only value of a constant",
    "panels.#.repeatDirection: added as 'h'": "a default",
    "panels.#.transparent: added as False": "a default",
    "panels.#.options.selectionMode: added as 'x'": "a default, of heatmaps",
    "panels.#.options.perPage: added as 20": "a default, of timelines",
    "panels.#.options.showTypeIcons: added as False": "a default, of tables",
    "panels.#.fieldConfig.defaults.custom.inspect: added as False": "a default, of tables",
    "panels.#.options.footer: added as {'show': False, 'reducer': [], 'countRows': False}": (
        "a default, of tables before Grafana 12.2"
    ),
    "templating.list.#.allowCustomValue: added as True": "a default",
    "templating.list.#.skipUrlSync: added as False": "a default",
    "templating.list.#.current.text: added as ''": "no choice is the empty one",
    "templating.list.#.current.value: added as ''": "no choice is the empty one",
    "templating.list.#.auto: added as False": "a default, of intervals",
    "templating.list.#.auto_count: added as 30": "a default, of intervals",
    "templating.list.#.auto_min: added as '10s'": "a default, of intervals",
    "timepicker.hidden: added as False": "a default",
    "timepicker.refresh_intervals: added as ['5s', '10s', '30s', '1m', '5m', '15m', '30m', '1h', "
    "'2h', '1d']": "a default",
}
"""Differences that are the SDK's own doing, and why; # is any index."""


def there_and_back(board: Board) -> Board:
    """Return what the SDK writes of what it has read."""
    plugins.register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(board)))


def differences(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """Yield each place that is not the same, such as ``panels.3.options.legend: lost``."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            place = f"{where}.{key}".removeprefix(".")
            if key not in after:
                yield f"{place}: lost"
            elif key not in before:
                yield f"{place}: added as {after[key]!r}"
            else:
                yield from differences(before[key], after[key], place)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from differences(left, right, f"{where}.{index}")
    elif before != after:
        yield f"{where}: {before!r} became {after!r}"


def unexplained(board: Board) -> list[str]:
    """Return the differences of a round trip that are not accepted."""
    found = differences(board, there_and_back(board))
    return [each for each in found if re.sub(r"\.\d+\.", ".#.", each) not in ACCEPTED]


@every_board
def test_a_board_comes_back_as_it_was(board):
    assert unexplained(board) == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("editabel", False),
        ("panels.Latency.targets.0.legend", "p50"),
        ("panels.Latency.options.legend.show", True),
        ("panels.Latency.fieldConfig.defaults.custom.width", 2),
        ("panels.Latency, all of it.options.dataFormat", "tsbuckets"),
        ("panels.Throughput.colorValue", True),
        ("templating.list.job.tagsQuery", ""),
    ],
)
def test_what_the_sdk_does_not_know_is_lost(sample, where, value):
    (found,) = unexplained(changed(sample, where, value))

    assert found.endswith(f"{where.split('.')[-1]}: lost")


@pytest.mark.parametrize("accepted", ACCEPTED)
def test_every_accepted_difference_is_seen(sample, accepted):
    found = differences(sample, there_and_back(sample))

    assert accepted in {re.sub(r"\.\d+\.", ".#.", each) for each in found}
