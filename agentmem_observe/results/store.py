"""The directory of result files: ``<directory>/<category>/<benchmark>_<timestamp>.json``."""

import difflib
import errno
import itertools
import json
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentmem_observe.errors import ResultFormatError
from agentmem_observe.files import RESULTS_DIRECTORY, create_file, read_json, replace_file
from agentmem_observe.results.lazy import load
from agentmem_observe.results.schema import (
    FORMAT,
    TIMESTAMP_FORMAT,
    Result,
    is_name,
    validate_result,
)
from agentmem_observe.results.table import ComparisonTable, tabulate

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas

_FILE_NAME = re.compile(
    r"(?P<benchmark>.+)_(?P<timestamp>\d{8}_\d{6})(?:_(?P<number>\d+))?\.json", re.ASCII
)
_CURES = {
    errno.ENOSPC: "free some space or choose another output directory",
    errno.EDQUOT: "free some space or choose another output directory",
    errno.EACCES: "make it writable or choose another output directory",
    errno.EPERM: "make it writable or choose another output directory",
    errno.EEXIST: "name a directory",
    errno.EROFS: "choose an output directory that is not read-only",
}


class BenchmarkResults:
    """Saves, lists, loads and compares the result files of one directory.

    Examples:
        >>> directory = getfixture("tmp_path")
        >>> results = BenchmarkResults(directory)
        >>> path = results.save_result("write_throughput", "storage", {"batch_10": {"ops": 9.5}})
        >>> results.list_results(category="storage") == [path]
        True
        >>> results.load_result(path)["results"]
        {'batch_10': {'ops': 9.5}}
    """

    def __init__(self, results_dir: str | Path = RESULTS_DIRECTORY) -> None:
        """Use a directory; it is made when the first result is saved.

        Args:
            results_dir: The directory.
        """
        self.results_dir = Path(results_dir)

    def prepare(self) -> None:
        """Make the directory and see that files can be written there, before it costs a run.

        Raises:
            ResultFormatError: If not.
        """
        try:
            self.results_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.results_dir):
                pass
        except OSError as error:
            raise _unwritable(self.results_dir, error) from error

    def save_result(
        self,
        benchmark: str,
        category: str,
        results: Mapping[Any, Any],
        metadata: Mapping[str, Any] | None = None,
        timestamp: str | None = None,
    ) -> str:
        """Save what a benchmark found as a new file.

        Args:
            benchmark: Its name, without ``benchmark_``.
            category: Its category.
            results: What it returned: JSON values, numpy's, and keys that become strings.
            metadata: What is known of the run; ``format`` and a ``status`` of ``ok`` are added.
            timestamp: Local time of the run, as ``%Y%m%d_%H%M%S``; now if None.

        Returns:
            Path of the file. A second one of the same second ends in ``_2``.

        Raises:
            ResultFormatError: If it cannot be written, or has what JSON cannot have; then nothing
                of it is left.
        """
        document = {
            "benchmark": benchmark,
            "category": category,
            "timestamp": timestamp or time.strftime(TIMESTAMP_FORMAT),
            "results": results,
            "metadata": metadata or {},
        }
        return self.save_document(document)

    def save_document(self, document: Mapping[str, Any]) -> str:
        """Save a whole result; otherwise like `save_result`.

        Args:
            document: The five keys of a result.
        """
        source = f"{document.get('category')}/{document.get('benchmark')}"
        result = validate_result(document, source)
        stamped = {"status": "ok"} | result.metadata | {"format": FORMAT}
        text = json.dumps(result.to_dict() | {"metadata": stamped}, indent=2) + "\n"
        directory = self.results_dir / result.category
        return self._create(directory, f"{result.benchmark}_{result.timestamp}", text)

    def list_results(self, category: str | None = None, benchmark: str | None = None) -> list[str]:
        """Return the paths of the result files, oldest first.

        Only names are looked at, so a damaged file is listed too. Of one second, those without a
        number come first, then those that end in ``_2``, and so on; of one number by name.

        Args:
            category: Only results of this category; None for all.
            benchmark: Only results of this benchmark; None for all.

        Raises:
            ResultFormatError: If the directory exists and cannot be read.
        """
        found = []
        for path in self._files():
            match = _FILE_NAME.fullmatch(path.name)
            if (
                match
                and category in (None, path.parent.name)
                and benchmark in (None, match["benchmark"])
            ):
                age = (match["timestamp"], int(match["number"] or 1))
                found.append((*age, path.parent.name, match["benchmark"], str(path)))
        return [path for *_, path in sorted(found)]

    def unlisted(self) -> list[str]:
        """Return the JSON files that `list_results` does not take for results, by name.

        Those directly in the directory are among them: a result is in its category's.

        Raises:
            ResultFormatError: If the directory exists and cannot be read.
        """
        own = [path for path in self._files() if not _FILE_NAME.fullmatch(path.name)]
        above = self.results_dir.glob("*.json")
        return sorted(str(path) for path in (*own, *above) if _is_json(path))

    def load_result(self, path: str | Path) -> dict[str, Any]:
        """Return a result as it stands in its file.

        Args:
            path: The file; or its path inside the results directory, or its name alone, both with
                or without ``.json``.

        Raises:
            ResultFormatError: If there is no such file, more than one of that name, or if it is
                not a result of a format that we know.
        """
        return self._load(self._find(Path(path))).to_dict()

    def tabulate_results(self, paths: Iterable[str | Path]) -> ComparisonTable:
        """Return all numbers of some results side by side, one row each.

        Args:
            paths: Files or names, as `load_result` takes them.

        Raises:
            ResultFormatError: If one of them cannot be loaded.
        """
        files = [self._find(Path(path)) for path in paths]
        return tabulate((str(file), self._load(file)) for file in files)

    def compare_results(self, paths: Iterable[str | Path]) -> "pandas.DataFrame":
        """Return all numbers of some results side by side, as a data frame.

        It has the rows and columns of `tabulate_results`, which needs no pandas.

        Args:
            paths: Files or names, as `load_result` takes them.

        Raises:
            ResultFormatError: If one of them cannot be loaded.
            UsageError: If the extra ``report`` is not installed.
        """
        table = self.tabulate_results(paths)
        frame: pandas.DataFrame = load("agentmem_observe.results.frames:frame")(table)
        return frame

    def render_report(
        self, category: str | None = None, baseline_dir: str | Path | None = None
    ) -> str:
        """Return one HTML page about the results: verdicts first, then charts and tables.

        The page needs no network and no other file. Files that cannot be read are listed in it.

        Args:
            category: Only results of this category; None for all.
            baseline_dir: Directory of results that these are compared with; None for none.

        Raises:
            ResultFormatError: If a directory exists and cannot be read.
        """
        render = load("agentmem_observe.results.report.rendering:render")
        baseline = None if baseline_dir is None else BenchmarkResults(baseline_dir)
        text: str = render(self, category, baseline)
        return text

    def generate_report(
        self, category: str | None = None, baseline_dir: str | Path | None = None
    ) -> str:
        """Write one HTML page about the results into their directory; like `render_report`.

        Args:
            category: Only results of this category; None for all.
            baseline_dir: Directory of results that these are compared with; None for none.

        Returns:
            Path of the page, ``report_<timestamp>.html``; with a category
            ``report_<category>_<timestamp>.html``. The second of a second ends in ``_2``.

        Raises:
            ResultFormatError: If the directory cannot be read or written.
        """
        text = self.render_report(category, baseline_dir)
        names = ["report", *([category] if category else []), time.strftime(TIMESTAMP_FORMAT)]
        return _create_next(paths_of(self.results_dir, "_".join(names), ".html"), text)

    def plot_comparison(
        self, files: Iterable[str | Path], metric: str, x_axis: str
    ) -> "matplotlib.figure.Figure":
        """Draw a figure of some results over what varies between or inside of them.

        Args:
            files: Files or names, as `load_result` takes them; rounds become one line.
            metric: Name of the figure, such as ``throughput_ops_per_second``.
            x_axis: What it is drawn over, such as ``batch_size`` for keys such as ``batch_100``;
                a parameter; another figure beside it; or ``timestamp``.

        Raises:
            ResultFormatError: If one of the files cannot be loaded.
            UsageError: If the results have no such figure over that axis, or the extra ``report``
                is not installed.
        """
        plot = load("agentmem_observe.results.plots:plot_results")
        found = [self._load(self._find(Path(file))) for file in files]
        drawn: matplotlib.figure.Figure = plot(found, metric, x_axis)
        return drawn

    def save_plot(self, fig: "matplotlib.figure.Figure", name: str | Path) -> str:
        """Save a plot, in place of an older one of that name.

        Args:
            fig: As `plot_comparison` returns it, or another of matplotlib's.
            name: Of the file, in the results directory unless it is an absolute path. Its ending
                says what it becomes, such as ``.png`` or ``.svg``.

        Returns:
            Path of the file.

        Raises:
            ResultFormatError: If it cannot be written.
            UsageError: If there is no such format.
        """
        content = self.encode_plot(fig, name)
        path = self.results_dir / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
        except OSError as error:
            raise _unwritable(path, error) from error
        return str(path)

    def encode_plot(self, fig: "matplotlib.figure.Figure", name: str | Path) -> bytes:
        """Return a plot as a file of the format that a name ends in; what `save_plot` writes.

        Raises:
            UsageError: If there is no such format.
        """
        content: bytes = load("agentmem_observe.results.plots:encode")(fig, str(name))
        return content

    def _create(self, directory: Path, stem: str, text: str) -> str:
        return _create_next(paths_of(directory, stem), text)

    def _files(self) -> list[Path]:
        try:
            categories = [one for one in self.results_dir.iterdir() if is_name(one.name)]
            return [file for one in categories if one.is_dir() for file in one.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ResultFormatError(
                f"{self.results_dir}: cannot be read: {error.strerror}; "
                "name a directory of results"
            ) from error

    def _find(self, path: Path) -> Path:
        completed = path.parent / f"{path.name}.json"
        for candidate in (path, self.results_dir / path, self.results_dir / completed):
            if candidate.is_file():
                return candidate
        names = (path.name, completed.name)
        same = [found for found in self.list_results() if Path(found).name in names]
        if path.parent == Path() and len(same) == 1:
            return Path(same[0])
        if path.parent == Path() and same:
            raise ResultFormatError(f"{path}: more than one result: {', '.join(same)}; name one")
        raise ResultFormatError(
            f"{path}: no such result, nor in {self.results_dir}; {self._nearest(path)}"
        )

    def _nearest(self, path: Path) -> str:
        """Return a hint: the newest result of a benchmark of that name, or the most alike."""
        name = path.name.removesuffix(".json")
        known = [Path(found).stem for found in self.list_results()]
        newest = [Path(found).stem for found in self.list_results(benchmark=name)[-1:]]
        close = newest or difflib.get_close_matches(name, known, n=1)
        return f"did you mean {close[0]!r}?" if close else "see agentmem-observe results list"

    def _load(self, path: Path) -> Result:
        return validate_result(read_json(path, ResultFormatError), str(path))


def _is_json(path: Path) -> bool:
    return path.suffix == ".json" and not path.name.startswith(".") and path.is_file()


def paths_of(directory: Path, stem: str, suffix: str = ".json") -> Iterator[Path]:
    """Yield the paths that a result may have, without end; the first that is free is its own.

    Args:
        directory: Of its category.
        stem: Benchmark and timestamp.
        suffix: Of its name.
    """
    yield directory / f"{stem}{suffix}"
    for number in itertools.count(2):
        yield directory / f"{stem}_{number}{suffix}"


def _create_next(paths: Iterator[Path], text: str) -> str:
    """Write a file at the first path that is free, and return it."""
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path.parent, error) from error
        try:
            create_file(path, text)
        except FileExistsError:
            continue
        except OSError as error:
            raise _unwritable(path, error) from error
        return str(path)
    raise AssertionError("there is always a next number")


def _unwritable(path: Path, error: OSError) -> ResultFormatError:
    cure = _CURES.get(error.errno or 0, "choose another output directory")
    return ResultFormatError(f"{path}: cannot be written: {error.strerror}; {cure}")
