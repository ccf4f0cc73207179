"""The soak: a low, steady, open-loop load in windows, for as long as it is given turns."""

from typing import Any

from agentmem_observe.bench.context import Bench
from agentmem_observe.suite.scalability.steady import EQUAL_PARTS, NEEDED, SteadyLoad
from agentmem_observe.suite.soak.windows import Soak


def benchmark_steady(
    bench: Bench,
    rate: float = 20,
    window_seconds: float = 60,
    workers: int = 4,
    records: int = 1000,
    mix: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Stores, reads and searches at a constant rate, window after window, watched for leaks."""
    bench.require(*NEEDED)
    load = SteadyLoad(rate, window_seconds, workers, bench.seed, mix or EQUAL_PARTS)
    with bench.target() as target:
        soak = Soak(bench, target, load, records)
        while bench.turns.next():
            bench.turns.ended(soak.window())
        return soak.figures()
