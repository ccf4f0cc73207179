"""From a directory of results to its page."""

from datetime import datetime

from agentmem_observe.results.comparison import compare_sides
from agentmem_observe.results.report.gathered import gather
from agentmem_observe.results.report.page import Heading, page
from agentmem_observe.results.sides import side_of
from agentmem_observe.results.store import BenchmarkResults


def render(
    results: BenchmarkResults, category: str | None, baseline: BenchmarkResults | None
) -> str:
    """Return the page of a directory of results.

    Args:
        results: The directory.
        category: Only results of this category; None for all.
        baseline: What they are compared with; None for nothing.

    Raises:
        ResultFormatError: If a directory exists and cannot be read.
    """
    paths = results.list_results(category)
    gathered = gather(paths, results.load_result)
    comparison = None
    if baseline is not None:
        there = side_of(baseline, baseline.list_results(category))
        comparison = compare_sides(side_of(results, paths), there)
    heading = Heading(str(results.results_dir), category or "", datetime.now().astimezone())
    return page(gathered, heading, comparison)
