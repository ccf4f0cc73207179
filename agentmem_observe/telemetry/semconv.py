"""Names of OpenTelemetry's conventions for GenAI memory (status: Development), and our own beside.

The convention is ``gen_ai.memory.client`` of open-telemetry/semantic-conventions-genai; no Python
package has its constants yet.
"""

from collections.abc import Mapping
from typing import Final

from agentmem_observe.telemetry.catalog import LABELS

SCOPE: Final = "agentmem_observe"
"""Name of the instrumentation scope of our own spans and metrics."""

OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
STORE_ID: Final = "gen_ai.memory.store.id"
RECORD_COUNT: Final = "gen_ai.memory.record.count"
QUERY_TEXT: Final = "gen_ai.memory.query.text"
"""Opt-in: what was searched for, which may be about people."""
RECORDS: Final = "gen_ai.memory.records"
"""Opt-in: what was stored or found, as a JSON array of objects with ``content``."""
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

MEMORY_OPERATIONS: Final = (
    "create_memory_store",
    "create_memory",
    "update_memory",
    "upsert_memory",
    "search_memory",
    "delete_memory",
    "delete_memory_store",
)
"""Those of the convention."""

OWN_OPERATIONS: Final = ("retrieve_memory", "transition_memory")
"""Ours, for what the convention has no name for."""

TARGET: Final = LABELS["target"].attribute
CATEGORY: Final = LABELS["category"].attribute
BENCHMARK: Final = LABELS["benchmark"].attribute
STATUS: Final = LABELS["status"].attribute
TIER: Final = LABELS["tier"].attribute
OUTCOME: Final = LABELS["outcome"].attribute
PHASE: Final = "agentmem.phase"
"""What a benchmark was doing, in its own words."""
WINDOW: Final = "agentmem.window"
"""Number of a soak's window, within its worker, from 1."""
CONTENT_ERROR: Final = "agentmem.content.error"
"""Type of the exception for which a span has no contents, though they are allowed."""
SELECTION: Final = "agentmem.selection"
"""Why there is a span of this operation: ``sampled`` beforehand, or ``slowest`` of its run."""
LATENCY: Final = "agentmem.operation.latency"
"""Seconds from when an operation was due until it was answered; the span is the service time."""
OPERATIONS: Final = "agentmem.operations"
"""How many operations a loop, or a run, measured."""
OPERATIONS_SAMPLED: Final = "agentmem.operations.sampled"
"""How many of them have a span because they were sampled."""
SPANS_DROPPED: Final = "agentmem.spans.dropped"
"""Spans of a run that were one too many, or whose times cannot be sent."""

CAPTURE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The variable that allows contents in spans; named by OpenTelemetry's GenAI utilities."""

_ALLOWING = {"true", "1", "span_only", "span_and_event"}


def captures_content(environ: Mapping[str, str]) -> bool:
    """Return whether query texts and records may go into spans; by default they may not.

    Examples:
        >>> captures_content({CAPTURE_CONTENT: "SPAN_ONLY"}), captures_content({})
        (True, False)
    """
    return environ.get(CAPTURE_CONTENT, "").strip().lower() in _ALLOWING


def error_type(outcome: str) -> str:
    """Return the ``error.type`` of an operation that ended so, or "" if it ended well.

    Args:
        outcome: ``ok``, ``empty``, ``wrong``, ``timeout``, or ``error:`` and an exception's name.

    Examples:
        >>> error_type("error:ConnectionError"), error_type("timeout"), error_type("ok")
        ('ConnectionError', 'timeout', '')
    """
    return "" if outcome == "ok" else outcome.removeprefix("error:")
