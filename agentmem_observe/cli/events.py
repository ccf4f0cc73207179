"""How a run is going, as events for a log."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from agentmem_observe.bench.discover import Benchmark
from agentmem_observe.bench.document import reason_without_content
from agentmem_observe.bench.messages import Progress
from agentmem_observe.bench.runner import Round
from agentmem_observe.bench.supervisor import Listener
from agentmem_observe.cli.logs import Log
from agentmem_observe.cli.progress import Counting, Pace, outcome_lines, round_line

ROUND_STARTED: Final = "round_started"
STARTED: Final = "benchmark_started"
PROGRESSED: Final = "benchmark_progressed"
ENDED: Final = "benchmark_ended"
WARNED: Final = "benchmark_warned"


class Events(Counting):
    """Tells a log of every run: when it starts, now and then how far it is, what came of it."""

    def __init__(self, log: Log, total: int) -> None:
        """Tell a log.

        Args:
            log: Which.
            total: How many runs there will be.
        """
        super().__init__(total)
        self._log = log

    def round_started(self, round: Round) -> None:
        """Say so."""
        self._log.say(
            ROUND_STARTED,
            round_line(round),
            number=round.number,
            total=round.total,
            series=round.series,
        )

    def started(self, benchmark: Benchmark) -> Listener:
        """Say so."""
        self._log.say(STARTED, f"{benchmark.id}: started", **_name(benchmark))
        return _Standing(self._log, benchmark)

    def ended(self, benchmark: Benchmark, path: str, result: Mapping[str, Any]) -> None:
        """Say what came of it, and each of its warnings."""
        number = self.count()
        metadata = result["metadata"]
        line, *_ = outcome_lines(path, result, self.numbered(number), warnings=False)
        validity = metadata.get("validity") or {}
        reason = reason_without_content(metadata)
        self._log.say(
            ENDED,
            line,
            level=logging.ERROR if metadata["status"] == "failed" else logging.INFO,
            **_name(benchmark),
            status=metadata["status"],
            verdict=validity.get("verdict"),
            seconds=metadata["execution_time"],
            path=path,
            number=number,
            total=self.total,
            **({"reason": reason} if reason else {}),
        )
        for warning in metadata["warnings"]:
            self._log.say(WARNED, warning, level=logging.WARNING, **_name(benchmark), path=path)


class _Standing(Listener):
    def __init__(self, log: Log, benchmark: Benchmark) -> None:
        self._log, self._benchmark = log, benchmark
        self._pace = Pace()

    def progressed(self, progress: Progress) -> None:
        if standing := self._pace.standing(progress):
            self._log.say(
                PROGRESSED,
                f"{self._benchmark.id}: {standing}",
                **_name(self._benchmark),
                progress_ratio=standing.share,
                left_seconds=standing.left_seconds,
                phase=standing.phase,
            )


def _name(benchmark: Benchmark) -> dict[str, Any]:
    return {"category": benchmark.category, "benchmark": benchmark.name}
