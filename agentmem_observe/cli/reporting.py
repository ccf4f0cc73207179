"""What ``results report`` and ``results plot`` do, once their options are read."""

from pathlib import Path

import click

from agentmem_observe.cli.result_directory import results_in
from agentmem_observe.errors import ResultFormatError, UsageError
from agentmem_observe.files import create_file, replace_file
from agentmem_observe.results.store import BenchmarkResults

_RESULTS_DIR = "--results-dir"


def write_report(
    *,
    category: str | None,
    baseline_dir: str | None,
    results_dir: str,
    output: str,
    force: bool,
) -> None:
    """Write the page of a directory of results, whatever it says.

    Raises:
        UsageError: If there is no such directory, or the page is there already.
        ResultFormatError: If it cannot be written.
    """
    store = results_in(results_dir, _RESULTS_DIR)
    baseline = None
    if baseline_dir is not None:
        baseline = results_in(baseline_dir, "--baseline-dir").results_dir
    _refuse_early(output, force)
    _write(Path(output), store.render_report(category, baseline).encode(), force)


def write_plot(
    *,
    results: tuple[str, ...],
    metric: str,
    x_axis: str,
    results_dir: str,
    **where: str | bool | None,
) -> None:
    """Draw results and write the plot.

    Raises:
        UsageError: If there is nothing to draw, the extra is not installed, or the plot is there
            already.
        ResultFormatError: If a result cannot be read or the plot not be written.
    """
    output, force = str(where["output"] or f"{metric}.png"), bool(where["force"])
    _refuse_early(output, force)
    all_are_files = results and all(Path(result).is_file() for result in results)
    store = (
        BenchmarkResults(results_dir) if all_are_files else results_in(results_dir, _RESULTS_DIR)
    )
    figure = store.plot_comparison(results or _readable(store), metric, x_axis)
    _write(Path(output), store.encode_plot(figure, output), force)


def _readable(store: BenchmarkResults) -> list[str]:
    """Return all results of a directory but the damaged, which are told."""
    readable = []
    for path in store.list_results():
        try:
            store.load_result(path)
        except ResultFormatError as error:
            click.echo(f"left out: {error}", err=True)
        else:
            readable.append(path)
    return readable


def _refuse_early(output: str, force: bool) -> None:
    """Refuse before work is done for nothing."""
    if Path(output).is_dir():
        raise UsageError(f"--output {output!r} is a directory; name a file in it")
    if Path(output).exists() and not force:
        raise UsageError(f"{output} exists already; give --force to replace it, or --output")


def _write(path: Path, content: bytes, force: bool) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write = replace_file if force else create_file
        write(path, content)
    except OSError as error:
        # Somebody else's, made since we looked; or a file where a directory should be.
        raise ResultFormatError(
            f"{path}: cannot be written: {error.strerror or 'it exists already'}; choose another "
            "--output"
        ) from error
    click.echo(f"Wrote {path}")
