"""What a command imports: looking something up must not cost what a benchmark costs."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from agentmem_observe.cli import cli

HEAVY = {
    "grafanalib",
    "matplotlib",
    "msgspec",
    "numpy",
    "opentelemetry",
    "pandas",
    "prometheus_client",
    "psutil",
    "pydantic",
    "rich",
    "zstandard",
}
EXPORTERS = {"opentelemetry", "prometheus_client", "grafanalib"}


def imported(code: str) -> set[str]:
    """Return the names of the packages that a fresh process has imported after some code."""
    program = f"{code}\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return {module.partition(".")[0] for module in ended.stderr.split()}


def calling(*arguments: str) -> str:
    return f"from agentmem_observe.cli import main\nassert main({list(arguments)}) == 0"


def paths(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words that call each command there is."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from paths(found, (*path, name))


@pytest.mark.parametrize("path", [*paths()], ids=lambda path: "-".join(path) or "-")
def test_no_commands_help_imports_anything_heavy(path):
    packages = imported(calling(*path, "--help"))

    assert "click" in packages
    assert packages & HEAVY == set()


def test_the_version_imports_nothing_heavy():
    packages = imported(calling("--version"))

    assert "click" in packages
    assert packages & HEAVY == set()


@pytest.mark.parametrize("arguments", [["list"], ["results", "list", "--results-dir", "."]])
def test_commands_that_measure_nothing_import_no_exporter(arguments):
    packages = imported(calling(*arguments))

    assert "agentmem_observe" in packages
    assert packages & EXPORTERS == set()


@pytest.mark.parametrize("arguments", [["list"], ["results", "list", "--results-dir", "."]])
def test_commands_that_only_read_import_no_probe(arguments):
    assert "psutil" not in imported(calling(*arguments))


def test_listing_benchmarks_imports_none_of_them_and_no_numpy():
    assert "numpy" not in imported(calling("list"))


def test_the_worker_of_a_storage_benchmark_imports_no_exporter():
    packages = imported(
        "from pathlib import Path\n"
        "from agentmem_observe.bench.discover import standard_suite\n"
        "from agentmem_observe.bench.worker import load_function\n"
        "from agentmem_observe.targets.registry import build_target\n"
        "load_function(standard_suite() / 'storage.py', 'read_latency')\n"
        "build_target('embedded', Path())\n"
    )

    assert "numpy" in packages
    assert packages & (EXPORTERS | {"pydantic", "rich", "click"}) == set()
