"""Targets that users may have."""

import time

from agentmem_observe.model import Record
from agentmem_observe.targets.fake import FakeTarget

FILLS_FOR_SECONDS = 8.0


class _WithCache(FakeTarget):
    """Remembers what it stored until its cache is full, which takes some time."""

    def __init__(self) -> None:
        super().__init__()
        self._cache: list[bytes] = []
        self._opened_at = time.monotonic()

    def store(self, record: Record) -> str:
        if time.monotonic() < self._opened_at + FILLS_FOR_SECONDS:
            self._cache.append(bytes(64))  # a literal would be one for all
        return super().store(record)


def filling_cache() -> FakeTarget:
    """Return a target whose cache fills for `FILLS_FOR_SECONDS`, and then stays."""
    return _WithCache()
