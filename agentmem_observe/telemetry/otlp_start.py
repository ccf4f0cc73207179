"""Starts what is to be sent as OTLP, and loads OpenTelemetry only then."""

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentmem_observe.telemetry.otel_environment import wants_otlp
from agentmem_observe.telemetry.registry import MetricRegistry

if TYPE_CHECKING:
    from agentmem_observe.telemetry.otlp import OtlpSession

_SESSION: Final = "agentmem_observe.telemetry.otlp:OtlpSession"


def start_otlp(registry: MetricRegistry, *, file: Path | None = None) -> "OtlpSession | None":
    """Start what the ``OTEL_*`` variables of this process ask for, None if that is nothing.

    Args:
        registry: Where the metrics are, and where what is sent and lost is counted.
        file: Where OTLP-JSON lines go, if anywhere.

    Raises:
        ConfigError: If a variable has a value that cannot be used.
        UsageError: If the file cannot be written.
    """
    if not wants_otlp(os.environ, file):
        return None
    module, _, name = _SESSION.partition(":")
    session: type[OtlpSession] = getattr(importlib.import_module(module), name)
    return session.from_environment(registry, file=file)
