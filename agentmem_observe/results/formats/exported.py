"""The current side's figures as other tools are given them."""

from collections.abc import Iterator
from typing import NamedTuple

from agentmem_observe.results.comparison import Comparison, figure_name, paths_of_rounds, values_of
from agentmem_observe.results.figures import Figure
from agentmem_observe.results.identity import RunIdentity
from agentmem_observe.results.metric_rules import judged


class Exported(NamedTuple):
    """A figure of the current side.

    Attributes:
        identity: What it is of.
        label: What that is called.
        path: Its path in results.
        figure: Its unit, and which way is better.
        values: Of each round, finite.
    """

    identity: RunIdentity
    label: str
    path: str
    figure: Figure
    values: tuple[float, ...]


def exported(comparison: Comparison) -> Iterator[Exported]:
    """Yield all figures of the current side that would be judged, the baseline's or not.

    Args:
        comparison: Its rules say which; all that the catalog knows if there are none.
    """
    for identity, rounds in comparison.current.rounds.items():
        for path in paths_of_rounds(rounds):
            name = figure_name(identity, path)
            how = judged(name, path, comparison.criteria.rules, comparison.criteria.threshold)
            if how and (values := values_of(rounds, path)):
                yield Exported(identity, comparison.labels[identity], path, how.figure, values)
