"""What verdicts look like, wherever they are shown."""

from collections.abc import Sequence
from typing import Final

from agentmem_observe.dashboards.panels import BLUE, GREEN, GREY, RED, YELLOW, State
from agentmem_observe.dashboards.queries import INSTANCE_RUN, select, state_code, up
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.catalog import RUN, Metric

_COLOURS: Final = {
    "valid": GREEN,
    "degraded": YELLOW,
    "void": RED,
    "none": GREEN,
    "suspected": YELLOW,
    "leak": RED,
    "slower": RED,
    "faster": BLUE,
    "same": GREEN,
    "better": BLUE,
    "worse": RED,
    "inconclusive": GREY,
    "unknown": GREY,
}


_BY_WORRY: Final = {
    catalog.VALIDITY.name: ("valid", "degraded", "void"),
    catalog.LEAK.name: ("unknown", "none", "suspected", "leak"),
    catalog.DRIFT.name: ("unknown", "faster", "none", "slower"),
    catalog.REGRESSION.name: ("better", "same", "inconclusive", "worse"),
}
"""States of each verdict, so that the largest number of several is the one to worry about."""


def states_of(metric: Metric) -> dict[int, State]:
    """Return the words and colours of the numbers that `code_of` has for a verdict.

    Args:
        metric: A verdict of the catalog.
    """
    return {
        number: State(state, _COLOURS[state])
        for number, state in enumerate(_BY_WORRY[metric.name])
    }


def code_of(metric: Metric, by: Sequence[str] = RUN) -> str:
    """Return which state of a verdict holds, as a number: larger ones are worse.

    Args:
        metric: A verdict of the catalog.
        by: Labels to keep.
    """
    return state_code(metric, _BY_WORRY[metric.name], by=by)


REGRESSED: Final = f"{select(catalog.REGRESSION, verdict='worse')} == 1"
LEAKING: Final = f"{select(catalog.LEAK, verdict='leak')} == 1"
SLOWER: Final = f"{select(catalog.DRIFT, verdict='slower')} == 1"
VOID: Final = f"{select(catalog.VALIDITY, verdict='void')} == 1"
FAILING: Final = f"{select(catalog.JOB_FAILURES_IN_A_ROW)} > 0"
DOWN: Final = f"{up()} == 0"
NOISY: Final = (
    f"({select(catalog.NOISE_PRESSURE, resource='cpu')} > 0.3) and on ({', '.join(INSTANCE_RUN)}) "
    f"(time() - {select(catalog.BENCHMARK_LAST_END)} < 3600)"
)
UNWRITABLE: Final = f"{select(catalog.STATE_WRITABLE)} == 0"
