"""What `import agentmem_observe` offers, and what it costs."""

import subprocess
import sys

import pytest

import agentmem_observe
from agentmem_observe.bench.runner import BenchmarkRunner
from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.results.store import BenchmarkResults

PUBLIC = {
    "BenchmarkConfig": BenchmarkConfig,
    "BenchmarkResults": BenchmarkResults,
    "BenchmarkRunner": BenchmarkRunner,
    "__version__": agentmem_observe.__version__,
}


def test_all_is_exact():
    assert agentmem_observe.__all__ == sorted(PUBLIC)
    assert dir(agentmem_observe) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_what_its_module_defines(name):
    assert getattr(agentmem_observe, name) is PUBLIC[name]


def test_a_star_import_brings_the_public_names_alone():
    names: dict[str, object] = {}

    exec("from agentmem_observe import *", names)

    del names["__builtins__"]
    assert names == PUBLIC


def test_a_name_that_does_not_exist_is_missing_as_from_any_module():
    with pytest.raises(ImportError, match="cannot import name 'BenchmarkRuner'"):
        exec("from agentmem_observe import BenchmarkRuner")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        agentmem_observe.nothing  # noqa: B018  looked up for its error


def loaded_after(code: str) -> set[str]:
    program = f"import sys, agentmem_observe\n{code}\nprint(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(ended.stdout.split())


def test_importing_the_package_imports_nothing_of_it_and_no_numpy():
    modules = loaded_after("")

    assert {module for module in modules if module.startswith("agentmem_observe")} == {
        "agentmem_observe"
    }
    assert modules & {"numpy", "pydantic", "msgspec"} == set()


def test_a_public_name_is_loaded_when_it_is_asked_for():
    assert "agentmem_observe.config" in loaded_after("agentmem_observe.BenchmarkConfig")


def test_a_type_checker_sees_the_public_names_and_no_others(tmp_path):
    file = tmp_path / "user.py"
    file.write_text(
        "from agentmem_observe import BenchmarkConfig, BenchmarkResults, BenchmarkRunner\n"
        "path: int = BenchmarkRunner(BenchmarkConfig()).run_benchmark('a', 'b')\n"
        "from agentmem_observe import BenchmarkRuner\n"
    )

    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental", "--follow-imports=silent", str(file)],
        capture_output=True,
        text=True,
    )

    assert "user.py:2: error: Incompatible types in assignment" in ended.stdout
    assert 'user.py:3: error: Module "agentmem_observe" has no attribute' in ended.stdout
    assert "Found 2 errors" in ended.stdout
