"""docs/daemon.md and deploy/ say all that settings have, and nothing that they have not."""

import re
import shutil
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from agentmem_observe.daemon.settings import loading
from agentmem_observe.daemon.settings.loading import load_settings
from agentmem_observe.daemon.settings.tables import (
    DEFAULT_JOBS,
    BenchmarkTable,
    DaemonTable,
    JobTable,
    RetentionTable,
    SoakTable,
    Table,
    WebTable,
)
from agentmem_observe.fields import keys
from agentmem_observe.targets.base import MemoryTarget
from agentmem_observe.targets.registry import build_target

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "daemon.md"
EXAMPLE = ROOT / "deploy" / "daemon.toml"
UNIT = ROOT / "deploy" / "systemd" / "agentmem-observe.service"

TABLES = {
    "### The file": (DaemonTable, Table),
    "### `results_retention`": (RetentionTable, Table),
    "### `web`": (WebTable, Table),
    "### Jobs": (JobTable, Table),
    "#### Soaks": (SoakTable, JobTable),
    "#### Benchmarks": (BenchmarkTable, JobTable),
}


def section(heading: str) -> str:
    found = re.search(
        rf"^{re.escape(heading)}$(.*?)(?=^#|\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found, heading
    return found[1]


def rows(heading: str) -> dict[str, str]:
    """Return the default of each key in the table below a heading."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section(heading), re.MULTILINE))


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {weight:g}" for key, weight in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def shown(field: FieldInfo) -> str | None:
    """Return a default as the page has it; None if it has to be told in words."""
    default = field.default
    if default is None or isinstance(default, Table) or default is DEFAULT_JOBS:
        return None
    return f"`{as_toml(default)}`"


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_every_key_with_its_default(heading):
    model, base = TABLES[heading]
    fields = {name: field for name, field in keys(model).items() if name not in keys(base)}

    found = rows(heading)

    assert list(found) == list(fields)
    for name, field in fields.items():
        default = shown(field)
        assert found[name] == default if default else "`" not in found[name]


def test_the_page_has_the_default_jobs():
    (block,) = re.findall(r"^```toml\n(.*?)^```$", section("### Jobs"), re.DOTALL | re.MULTILINE)

    assert tomllib.loads(block)["jobs"] == DEFAULT_JOBS


def test_the_page_has_the_environment():
    names = re.findall(r"^\| `(AGENTMEM_\w+)` \|", PAGE.read_text(), re.MULTILINE)

    assert names == [loading.STATE_DIR, loading.LISTEN_ADDRESS, loading.WEB_CONFIG_FILE]


def test_what_the_page_shows_is_good(tmp_path):
    blocks = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    file = tmp_path / "daemon.toml"

    for block in blocks:
        file.write_text(block)
        assert load_settings(file, {"REDIS_PASSWORD": "secret"}).jobs


def test_the_example_works_as_it_is(tmp_path):
    found = load_settings(EXAMPLE, {})

    assert [job.name for job in found.jobs] == ["soak", "storage", "nightly"]
    for job in found.jobs:
        target: MemoryTarget = build_target(job.target, tmp_path)
        assert target.info().name == "embedded"


def test_what_the_example_leaves_out_is_good_too(tmp_path):
    text = re.sub(
        r"^# ?(?=state_dir|config_file|\[|soak|target|rate)", "", EXAMPLE.read_text(), flags=re.M
    )
    (tmp_path / "daemon.toml").write_text(text)
    (tmp_path / "web.yml").write_text("{}")

    found = load_settings(tmp_path / "daemon.toml", {"REDIS_PASSWORD": "secret"})

    assert "checkout" in {job.name for job in found.jobs}
    assert found.web.config_file == tmp_path / "web.yml"


class Unit(ConfigParser):
    """A unit file, of which systemd allows keys to be given twice."""

    def __init__(self) -> None:
        super().__init__(strict=False, interpolation=None)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def test_the_unit_fits_what_the_daemon_does():
    unit = Unit()
    unit.read(UNIT)
    service = unit["Service"]

    assert service["Type"] == "notify"
    assert float(service["WatchdogSec"]) > 10  # signs of life come every second
    assert float(service["TimeoutStopSec"]) > load_settings(None, {}).shutdown_seconds + 10
    assert service["KillMode"] == "mixed"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["OOMPolicy"] == "continue"
    state_directory = f"%S/{service['StateDirectory']}"
    assert service["Environment"] == f"{loading.STATE_DIR}={state_directory}"


@pytest.mark.server
def test_systemd_takes_the_unit(tmp_path):
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not here; it is in Debian's package systemd")
    program = tmp_path / "agentmem-observe"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(
        UNIT.read_text().replace("/opt/agentmem-observe/bin/agentmem-observe", str(program))
    )

    done = subprocess.run(
        [analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")
