"""From a directory of results to its page."""

from datetime import datetime

from agentmem_observe.results.report.gathered import gather
from agentmem_observe.results.report.page import Heading, page
from agentmem_observe.results.store import BenchmarkResults


def render(results: BenchmarkResults, category: str | None) -> str:
    """Return the page of a directory of results.

    Args:
        results: The directory.
        category: Only results of this category; None for all.

    Raises:
        ResultFormatError: If the directory exists and cannot be read.
    """
    gathered = gather(results.list_results(category), results.load_result)
    heading = Heading(str(results.results_dir), category or "", datetime.now().astimezone())
    return page(gathered, heading)
