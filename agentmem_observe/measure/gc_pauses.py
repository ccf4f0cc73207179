"""How long Python's garbage collector stopped this process."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

GENERATIONS = 3


@dataclass(frozen=True, slots=True)
class GenerationPauses:
    """The collections of one generation, 0 (youngest) to 2.

    Attributes:
        collections_total: How many there were.
        pause_seconds: Their durations together.
        max_pause_seconds: The longest, 0 if there was none.
    """

    collections_total: int
    pause_seconds: float
    max_pause_seconds: float


class GcPauses:
    """Counts the garbage collections of its own process while the context is open.

    A collection stops every thread of the interpreter, whichever thread set it off, and the
    interpreter never starts a second one before the first has ended: one start time is enough,
    and no lock is needed. Figures may be read from any thread; while the context is open they may
    be those of the moment before. Entering again goes on counting.

    Examples:
        >>> with GcPauses() as pauses:
        ...     unreachable = gc.collect()
        >>> pauses.generations()[2].collections_total
        1
    """

    def __init__(self, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        """Prepare to count.

        Args:
            now_ns: A monotonic clock in nanoseconds.
        """
        self._now_ns = now_ns
        self._started_ns: int | None = None
        self._counts = [0] * GENERATIONS
        self._total_ns = [0] * GENERATIONS
        self._max_ns = [0] * GENERATIONS

    def __enter__(self) -> "GcPauses":
        if self._on_collection in gc.callbacks:
            raise RuntimeError("this GcPauses counts already; a second entry would count twice")
        self._started_ns = None
        gc.callbacks.append(self._on_collection)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        gc.callbacks.remove(self._on_collection)

    def generations(self) -> tuple[GenerationPauses, ...]:
        """Return the pauses of each generation, youngest first."""
        return tuple(
            GenerationPauses(count, total_ns / 1e9, max_ns / 1e9)
            for count, total_ns, max_ns in zip(
                self._counts, self._total_ns, self._max_ns, strict=True
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures of a result: totals, and the same per generation."""
        generations = self.generations()
        return {
            "gc_collections_total": sum(g.collections_total for g in generations),
            "gc_pause_seconds": sum(g.pause_seconds for g in generations),
            "gc_max_pause_seconds": max(g.max_pause_seconds for g in generations),
            "generations": [
                {
                    "collections_total": g.collections_total,
                    "pause_seconds": g.pause_seconds,
                    "max_pause_seconds": g.max_pause_seconds,
                }
                for g in generations
            ],
        }

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        now_ns = self._now_ns()
        if phase == "start":
            self._started_ns = now_ns
        elif self._started_ns is not None:  # else it began before we were entered
            pause_ns = now_ns - self._started_ns
            generation = info["generation"]
            self._started_ns = None
            self._counts[generation] += 1
            self._total_ns[generation] += pause_ns
            if pause_ns > self._max_ns[generation]:
                self._max_ns[generation] = pause_ns
