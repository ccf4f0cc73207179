"""Every dashboard is of the types that Grafana itself is compiled with."""

import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .conftest import BOARDS, Board, changed, every_board, panels_of

pytestmark = pytest.mark.server

PACKAGES = ("@grafana/schema@13.2.3", "typescript@5.9.3")
TYPES = Path(__file__).parent / "types.ts"
COMPILER = """{"compilerOptions": {
  "strict": true, "noEmit": true, "skipLibCheck": true, "types": [],
  "target": "es2022", "module": "esnext", "moduleResolution": "bundler"
}, "include": ["*.ts", "*/*.ts"]}"""

BROKEN = {
    "a key that no board has": ("editabel", False),
    "an older schema": ("schemaVersion", 39),
    "a type of variable that there is not": ("templating.list.job.type", "querry"),
    "a refresh that there is not": ("templating.list.job.refresh", 3),
    "a tooltip that there is not": ("graphTooltip", 3),
    "a key that no annotation has": ("annotations.list.Regressions.expression", "up"),
    "a link without a type": ("links.Boards.type", ...),
    "a type of panel that there is not": ("panels.Latency.type", "graph"),
    "a row that says nothing of its panels": ("panels.Operations.panels", ...),
    "a data source that is bare text": ("panels.Latency.datasource", "Prometheus"),
    "a data source of one server alone": ("panels.Latency.targets.0.datasource.uid", "mine"),
    "a key that no query has": ("panels.Latency.targets.0.legend", "p50"),
    "a format that there is not": ("panels.Latency.targets.0.format", "timeseries"),
    "a key that no legend has": ("panels.Latency.options.legend.show", True),
    "a placement that there is not": ("panels.Latency.options.legend.placement", "below"),
    "a key that no line has": ("panels.Latency.fieldConfig.defaults.custom.width", 2),
    "a style that there is not": ("panels.Latency.fieldConfig.defaults.custom.drawStyle", "dots"),
    "thresholds of no colour": (
        "panels.Throughput.fieldConfig.defaults.thresholds.steps.0.color",
        ...,
    ),
    "a colour mode that there is not": ("panels.Throughput.options.colorMode", "background-solid"),
    "a calculation that is no list": ("panels.Throughput.options.reduceOptions.calcs", "last"),
    "Angular's heatmap": ("panels.Latency, all of it.options.dataFormat", "tsbuckets"),
    "a scale that there is not": ("panels.Latency, all of it.options.color.scale", "log"),
    "an override of what there is not": (
        "panels.Verdicts.fieldConfig.overrides.1.properties.0.id",
        "units",
    ),
    "an override of a wrong value": (
        "panels.Verdicts.fieldConfig.overrides.1.properties.1.value",
        "90px",
    ),
    "a matcher that there is not": ("panels.Verdicts.fieldConfig.overrides.1.matcher.id", "name"),
    "a cell that there is not": (
        "panels.Verdicts.fieldConfig.overrides.0.properties.0.value.type",
        "colored",
    ),
    "a mapping without a type": ("panels.Jobs.fieldConfig.defaults.mappings.0.type", ...),
    "a key that no timeline has": ("panels.Jobs.options.showValues", "auto"),
    "a mode that there is not": ("panels.Progress.options.displayMode", "retro"),
    "a text of no mode": ("panels.Reading.options.mode", "md"),
    "bars that stack as there is not": ("panels.Service time by operation.options.stacking", "on"),
    "a place without a height": ("panels.Latency.gridPos.h", ...),
}
"""What Grafana would not understand, or silently leave out: where it stands in the sample."""

Errors = Mapping[str, list[str]]


@pytest.fixture(scope="session")
def packages(pytestconfig: pytest.Config) -> Path:
    """Return the directory of an npm project that has Grafana's types and the compiler."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    assert pytestconfig.cache is not None
    project = pytestconfig.cache.mkdir("npm-" + re.sub(r"[^\w.]+", "-", "-".join(PACKAGES)))
    if not (project / "node_modules/.bin/tsc").exists():
        asked = subprocess.run(
            [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if asked.returncode:
            shutil.rmtree(project)
            pytest.skip(f"npm cannot get {' and '.join(PACKAGES)}: {asked.stderr.strip()[:300]}")
    return project


@pytest.fixture(scope="module")
def errors(packages: Path, sample: Board, tmp_path_factory: pytest.TempPathFactory) -> Errors:
    """Return what the compiler says of each board, the broken ones too; it runs once for all."""
    directory = tmp_path_factory.mktemp("types")
    (directory / "node_modules").symlink_to(packages / "node_modules")
    (directory / "tsconfig.json").write_text(COMPILER)
    (directory / "types.ts").write_text(TYPES.read_text())
    by_directory = {board["uid"]: board["uid"] for board in BOARDS}
    for board in BOARDS:
        _write(directory / board["uid"], board)
    for number, (what, change) in enumerate(BROKEN.items()):
        by_directory[f"broken-{number}"] = what
        _write(directory / f"broken-{number}", changed(sample, *change))
    compiler = directory / "node_modules/.bin/tsc"
    said = subprocess.run(
        [compiler, "--pretty", "false"], cwd=directory, capture_output=True, text=True, timeout=300
    )
    found: dict[str, list[str]] = defaultdict(list)
    for line in said.stdout.splitlines():
        if match := re.match(r"([\w-]+)/", line):
            found[by_directory[match[1]]].append(line)
        else:
            assert line.startswith(" "), said.stdout  # more words on the line before
    return found


def _write(directory: Path, board: Board) -> None:
    """Write a board as modules: one of its frame and one of each panel, so errors name it."""
    directory.mkdir()
    _literal(directory / "board.ts", "Dashboard", {**board, "panels": []})
    for panel in panels_of(board):
        inner = {"panels": []} if panel.get("panels") else {}
        _literal(
            directory / f"panel-{panel['id']}.ts", f'Panels["{panel["type"]}"]', {**panel, **inner}
        )


def _literal(file: Path, type_name: str, value: Any) -> None:
    text = json.dumps(value, indent=1)
    file.write_text(
        f'import type {{ Dashboard, Panels }} from "../types";\n'
        f"export const it: {type_name} = {text};\n"
    )


@every_board
def test_a_board_is_of_grafanas_types(errors, board):
    assert not errors.get(board["uid"])


@pytest.mark.parametrize("what", BROKEN)
def test_the_compiler_sees(errors, what):
    assert errors.get(what)
