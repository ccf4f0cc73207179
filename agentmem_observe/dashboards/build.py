"""All dashboards, as the files of the repository's ``dashboards/``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentmem_observe.dashboards.benchmark import benchmark
from agentmem_observe.dashboards.exporter import exporter
from agentmem_observe.dashboards.fleet import fleet
from agentmem_observe.dashboards.overview import overview
from agentmem_observe.dashboards.regressions import regressions
from agentmem_observe.dashboards.scalability import scalability
from agentmem_observe.dashboards.soak import soak

BOARDS = (overview, benchmark, scalability, soak, regressions, exporter, fleet)
"""Each makes a dashboard; in the order in which one would read them."""


def dashboards() -> dict[str, dict[str, Any]]:
    """Return Grafana's JSON of each dashboard, as plain data, by its uid."""
    return {board.uid: board.to_dict() for make in BOARDS for board in [make()]}


def dashboard_files(directory: Path) -> Mapping[Path, str]:
    """Return what is to be in the files of a directory, such as ``dashboards/soak.json``.

    Args:
        directory: Where they go.
    """
    return {
        directory / f"{uid.partition('-')[2]}.json": json.dumps(board, indent=2) + "\n"
        for uid, board in dashboards().items()
    }
