"""What is sent: operations on a target, and seeded orders of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from agentmem_observe.model import Outcome, Record

_EXAMPLES = {"name": "create_memory", "tier": "stm"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of call to a target.

    Attributes:
        name: OpenTelemetry's ``gen_ai.operation.name``, such as ``create_memory``.
        call: What is timed; gets the number of the operation within its script.
        check: Judges what ``call`` returned, after the clock was read; None accepts anything.
        tier: The tier worked on, or "".
        content: What the operation of this number and answer was about, for the span of a traced
            one; asked only where recording contents is allowed.

    Raises:
        ValueError: If name or tier is no text: they become labels.
    """

    name: str
    call: Callable[[int], Any]
    check: Callable[[int, Any], Outcome] | None = None
    tier: str = ""
    content: Callable[[int, Any], "Content"] | None = None

    def __post_init__(self) -> None:
        for field in ("name", "tier"):
            value = getattr(self, field)
            if not isinstance(value, str):
                raise ValueError(
                    f"an operation's {field} is a text such as {_EXAMPLES[field]!r}, not {value!r}"
                )
            object.__setattr__(self, field, str.__str__(value))  # a subclass may not travel


class Content(NamedTuple):
    """What people may have said.

    Attributes:
        query: The text that was searched for, or "".
        records: What was stored or found.
    """

    query: str = ""
    records: Sequence[Record] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """The operations of one agent, in order.

    Attributes:
        operations: The kinds of operation, at most 256.
        sequence: For the i-th operation the index of its kind; may be endless for open loops.
    """

    operations: Sequence[Operation]
    sequence: Iterable[int]


def repeat(operation: Operation, count: int) -> Script:
    """Return a script of ``count`` (>= 0) operations of one kind."""
    return Script((operation,), bytes(count))


def mixed(
    operations: Sequence[Operation],
    count: int,
    seed: int,
    weights: Sequence[float] | None = None,
) -> Script:
    """Return a script that draws each operation at random.

    Args:
        operations: The kinds to draw from.
        count: Length of the script, >= 0.
        seed: The same seed gives the same order.
        weights: How likely each is to be drawn, >= 0 and not all 0; all alike if None.
    """
    random = np.random.default_rng(seed)
    if weights is None or len(set(weights)) == 1:
        order = random.integers(len(operations), size=count, dtype=np.uint8)
    else:
        shares = np.asarray(weights) / sum(weights)
        order = random.choice(len(operations), size=count, p=shares).astype(np.uint8)
    return Script(operations, order.tobytes())
