"""What a command imports: looking something up must not cost what a benchmark costs."""

import subprocess
import sys

import pytest

HEAVY = {"numpy", "pydantic", "opentelemetry", "prometheus_client", "rich", "psutil", "grafanalib"}
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


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(option):
    packages = imported(calling(option))

    assert "click" in packages
    assert packages & HEAVY == set()


@pytest.mark.parametrize("arguments", [["run", "--help"], ["list"], ["results", "list"]])
def test_commands_that_measure_nothing_import_no_exporter(arguments):
    packages = imported(calling(*arguments))

    assert "agentmem_observe" in packages
    assert packages & EXPORTERS == set()


@pytest.mark.parametrize("arguments", [["list"], ["results", "list"]])
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
