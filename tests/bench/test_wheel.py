"""The built wheel, installed elsewhere, has the standard suite inside and runs it."""

import ast
import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def call(*command: str | Path, cwd: Path) -> str:
    """Run a program without what the checkout might lend it, and return its standard output."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, install it in a venv of its own, and return the venv.

    What the package depends on comes from the environment of the tests, so that no network is
    needed; a path file brings it without the checkout that is installed there.
    """
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    call(*build, directory, ROOT, cwd=directory)
    (wheel,) = directory.glob("*.whl")
    environment = directory / "venv"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install"]
    call(*install, "--no-deps", "--no-index", "--quiet", wheel, cwd=directory)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    paths = sysconfig.get_paths()
    lent = dict.fromkeys([paths["purelib"], paths["platlib"]])
    (site_packages / "dependencies.pth").write_text("\n".join(lent))
    return environment


def command(installed: Path, cwd: Path, *arguments: str) -> Any:
    return json.loads(call(installed / "bin" / "agentmem-observe", *arguments, cwd=cwd))


def test_the_standard_suite_is_found_inside_the_installed_package(
    installed: Path, tmp_path: Path
) -> None:
    code = "from agentmem_observe.bench.discover import *; print(standard_suite())"
    suite = Path(call(installed / "bin" / "python", "-P", "-c", code, cwd=tmp_path).strip())

    listed = command(installed, tmp_path, "list", "--json")

    assert suite.is_relative_to(installed)
    assert {path.name for path in (ROOT / "benchmarks").glob("*.py")} <= {
        path.name for path in suite.iterdir()
    }
    assert "write_throughput" in json.dumps(listed)


def test_the_status_page_is_inside_the_installed_package(installed: Path, tmp_path: Path) -> None:
    code = "from agentmem_observe.daemon.page import *; print([r.path for r in page_routes()])"

    served = call(installed / "bin" / "python", "-P", "-c", code, cwd=tmp_path)

    files = (ROOT / "agentmem_observe" / "daemon" / "page").iterdir()
    wanted = {f"/page/{file.name}" for file in files if file.suffix in (".css", ".js", ".svg")}
    assert {"/", "/page/page.js"} <= wanted | {"/"} <= set(ast.literal_eval(served))


def test_an_installed_package_runs_a_benchmark_from_any_directory(
    installed: Path, tmp_path: Path
) -> None:
    choice = ["--category", "storage", "--benchmark", "write_throughput"]
    params = ["--params", "batch_sizes=[10]", "--params", "data_complexity_levels=[1]"]

    (result,) = command(installed, tmp_path, "run", *choice, *params, "--export", "json")

    assert list(result) == ["benchmark", "category", "timestamp", "results", "metadata"]
    assert result["metadata"]["status"] == "ok"
    case = result["results"]["complexity_1"]["batch_10"]
    assert case["throughput_ops_per_second"] > 0
    assert set(case["tiers"]) == {"stm", "im", "ltm"}
    (file,) = tmp_path.glob("benchmark_results/storage/write_throughput_*.json")
    assert json.loads(file.read_text()) == result
