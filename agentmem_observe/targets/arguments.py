"""What no target takes, refused by all of ours in the same words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentmem_observe.errors import did_you_mean
from agentmem_observe.model import TIERS, Vector
from agentmem_observe.targets.base import Query


def known_tier(tier: str | None) -> str | None:
    """Return a tier, or None where none is named.

    Raises:
        ValueError: If it is none of the three.
    """
    if tier is not None and tier not in TIERS:
        raise ValueError(f"no tier {tier!r}; {did_you_mean(tier, TIERS)}")
    return tier


def query_vector(
    query: Query, vector: Vector | None, embed: Callable[[str | Mapping[str, Any]], Vector]
) -> Vector:
    """Return what a search compares with: its vector, else its query's.

    Args:
        query: A text or a state; needed if there is no vector.
        vector: The embedding to search for, if the caller has one.
        embed: Makes one of a query.

    Raises:
        ValueError: If there is neither.
    """
    if vector is not None:
        return vector
    if query is None:
        raise ValueError("nothing to search for; give a query or a vector")
    return embed(query)


def check_transition(
    source: str,
    destination: str,
    *,
    agent_id: str | None,
    fraction: float | None,
    record_ids: Sequence[str] | None,
) -> None:
    """Refuse a transition that makes no sense; arguments as `MemoryTarget.transition` takes them.

    Raises:
        ValueError: If the destination is not older than the source, or not exactly one of
            ``fraction`` in (0, 1] and ``record_ids`` (with ``agent_id``) is given.
    """
    known_tier(source)
    known_tier(destination)
    if TIERS.index(destination) <= TIERS.index(source):
        raise ValueError(f"{destination} is not older than {source}; records only age")
    if (fraction is None) == (record_ids is None):
        raise ValueError("transition needs either fraction or record_ids")
    if fraction is not None and not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction!r}; give more than 0 and at most 1")
    if record_ids is not None and agent_id is None:
        raise ValueError("record_ids need the agent_id whose they are")
