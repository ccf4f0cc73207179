"""Finds ``benchmark_*`` functions by reading source files, without running them."""

import ast
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import agentmem_observe
from agentmem_observe.errors import BenchmarkError, ConfigError, UsageError, did_you_mean

PREFIX = "benchmark_"
CONTEXT_PARAMETER = "bench"
"""A benchmark function with a parameter of this name gets the `Bench` context."""
OWN_CATEGORY = "self"
"""Measures this tool, not the target; runs only when asked for by name."""
_PASSED_OVER = ("_", ".", "test_")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark function that was found, not yet imported.

    Attributes:
        category: Name of its file without the ending.
        name: Name of the function without ``benchmark_``.
        path: The file.
        summary: First line of its docstring, or "".
        parameters: Source text of each parameter's default, by name; "" if it has none.
        takes_context: Whether it has a ``bench`` parameter.
        takes_any: Whether it has ``**kwargs``.
        function: Name of the function without ``benchmark_``, if it goes by another name here.
    """

    category: str
    name: str
    path: Path
    summary: str
    parameters: dict[str, str]
    takes_context: bool
    takes_any: bool
    function: str = ""

    @property
    def id(self) -> str:
        """Return ``category.name``, unique within a run."""
        return f"{self.category}.{self.name}"


def standard_suite() -> Path:
    """Return the directory of the benchmarks that come with the package.

    In an installed wheel they are inside the package, in a checkout beside it.
    """
    package = Path(agentmem_observe.__file__).parent
    installed = package / "benchmarks"
    return installed if installed.is_dir() else package.parent / "benchmarks"


def discover(suites: Iterable[Path]) -> list[Benchmark]:
    """Find the benchmarks of some directories.

    Files whose names start with ``_``, ``.`` or ``test_`` are passed over.

    Args:
        suites: Directories, in order; a later suite replaces a benchmark of the same id.

    Returns:
        The benchmarks in order of suite, file name and position in the file.

    Raises:
        UsageError: If a suite is not a directory that can be read.
        BenchmarkError: If a file is not Python, then the message names file and line; or if it
            cannot be read.
    """
    found: dict[str, Benchmark] = {}
    for suite in suites:
        for path in _files(suite):
            found.update((benchmark.id, benchmark) for benchmark in _in_file(path))
    return list(found.values())


def select(
    benchmarks: Iterable[Benchmark], category: str | None = None, name: str | None = None
) -> list[Benchmark]:
    """Choose benchmarks by category and name.

    Args:
        benchmarks: To choose from.
        category: Only this category; None for all.
        name: Only benchmarks of this name; None for all.

    Raises:
        UsageError: If nothing of that name exists; the message suggests the nearest.
    """
    known = list(benchmarks)
    chosen = [benchmark for benchmark in known if category in (None, benchmark.category)]
    if not chosen and category is not None:
        hint = did_you_mean(category, {benchmark.category for benchmark in known})
        raise UsageError(f"unknown category {category!r}; {hint}")
    named = [benchmark for benchmark in chosen if name in (None, benchmark.name)]
    if not named and name is not None:
        where = f" in category {category!r}" if category else ""
        hint = did_you_mean(name, {benchmark.name for benchmark in chosen})
        raise UsageError(f"unknown benchmark {name!r}{where}; {hint}")
    return named


def choose(suites: Sequence[Path], category: str | None, benchmark: str | None) -> list[Benchmark]:
    """Return what to run.

    Named benchmarks may come from any suite. Unnamed ones are those of the user's suites or, if
    there are none, of the standard suite except our own measurements of ourselves.

    Raises:
        UsageError: If there is nothing of that name, or nothing at all.
        BenchmarkError: If a suite has a file that is not Python.
    """
    if category is None and benchmark is None:
        if suites:
            return _some(discover(suites), suites)
        return [one for one in discover([standard_suite()]) if one.category != OWN_CATEGORY]
    return select(discover([standard_suite(), *suites]), category, benchmark)


def check_parameters(benchmarks: Iterable[Benchmark], names: Iterable[str]) -> None:
    """Refuse a parameter that none of the benchmarks declares.

    ``**kwargs`` does not count: it is there for the configuration, and would hide every typo.

    Raises:
        UsageError: Naming the parameter and the nearest one that exists.
    """
    known = {parameter for benchmark in benchmarks for parameter in benchmark.parameters}
    for name in names:
        if name not in known:
            raise UsageError(f"unknown parameter {name!r}; {did_you_mean(name, known)}")


def check_custom(
    benchmarks: Iterable[Benchmark], custom: Mapping[str, Mapping[str, object]]
) -> None:
    """Refuse parameters of a configuration's ``custom`` that no benchmark could ever get.

    A benchmark with ``**kwargs`` gets whatever its category is given.

    Args:
        benchmarks: All that exist.
        custom: Parameters by category and name.

    Raises:
        ConfigError: For all of them at once, a line for each.
    """
    by_category: dict[str, list[Benchmark]] = {}
    for benchmark in benchmarks:
        by_category.setdefault(benchmark.category, []).append(benchmark)
    problems = []
    for category, params in custom.items():
        if category not in by_category:
            hint = did_you_mean(category, by_category)
            problems.append(f"custom.{category}: no suite has this category; {hint}")
            continue
        own = by_category[category]
        known = {name for benchmark in own for name in benchmark.parameters}
        problems += [
            f"custom.{category}.{name}: no benchmark takes this; {did_you_mean(name, known)}"
            for name in params
            if name not in known and not any(benchmark.takes_any for benchmark in own)
        ]
    if problems:
        raise ConfigError("\n".join(problems))


def _some(found: list[Benchmark], suites: Sequence[Path]) -> list[Benchmark]:
    if not found:
        raise UsageError(
            f"no benchmarks in {', '.join(map(str, suites))}; "
            "a benchmark is a function named benchmark_* in a file *.py"
        )
    return found


def _files(suite: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(suite))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(
            f"no such suite directory: {str(suite)!r}; name a directory of *.py"
        ) from error
    except OSError as error:
        raise UsageError(
            f"suite directory {str(suite)!r} cannot be read: {error.strerror}; make it readable, "
            "or name another"
        ) from error
    return [
        suite / name
        for name in names
        if name.endswith(".py") and not name.startswith(_PASSED_OVER)
    ]


def _in_file(path: Path) -> Iterator[Benchmark]:
    try:
        module = ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        where = f"{path}:{error.lineno}" if error.lineno else str(path)
        raise BenchmarkError(f"{where}: not valid Python: {error.msg}") from error
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror}") from error
    for node in module.body:
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith(PREFIX):
            raise BenchmarkError(
                f"{path}:{node.lineno}: {node.name} is async; make it a plain function that runs "
                "its own event loop"
            )
        if isinstance(node, ast.FunctionDef) and node.name.startswith(PREFIX):
            yield _described(path, node)


def _described(path: Path, node: ast.FunctionDef) -> Benchmark:
    positional = [*node.args.posonlyargs, *node.args.args]
    missing = len(positional) - len(node.args.defaults)
    defaults = [*[None] * missing, *node.args.defaults, *node.args.kw_defaults]
    parameters = {
        argument.arg: ast.unparse(default) if default else ""
        for argument, default in zip([*positional, *node.args.kwonlyargs], defaults, strict=True)
    }
    takes_context = parameters.pop(CONTEXT_PARAMETER, None) is not None
    return Benchmark(
        category=path.stem,
        name=node.name.removeprefix(PREFIX),
        path=path,
        summary=(ast.get_docstring(node) or "").partition("\n")[0],
        parameters=parameters,
        takes_context=takes_context,
        takes_any=node.args.kwarg is not None,
    )
