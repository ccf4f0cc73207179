"""The formats of a comparison by name."""

from typing import Final

FORMATS: Final = {
    "json": "agentmem_observe.results.formats.plain_json:render",
    "markdown": "agentmem_observe.results.formats.markdown:render",
    "junit": "agentmem_observe.results.formats.junit:render",
    "pytest-benchmark": "agentmem_observe.results.formats.pytest_benchmark:render",
    "github-action-benchmark": "agentmem_observe.results.formats.github_action:render_smaller",
    "github-action-benchmark-bigger": (
        "agentmem_observe.results.formats.github_action:render_bigger"
    ),
    "bencher": "agentmem_observe.results.formats.bencher:render",
    "hdr": "agentmem_observe.results.formats.hdr:render",
}
"""Each is a function that takes a `Comparison` and returns text. The first three are about the
comparison; the others are of the current side's results alone, for tools that compare themselves.
"""
