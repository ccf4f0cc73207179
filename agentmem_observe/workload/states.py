"""Seeded agent states: what the seeds call ``generate_test_state``."""

from collections.abc import Iterator
from typing import Any

import numpy as np

_ITEMS = ("rope", "lantern", "map", "compass", "water", "bread", "key", "coin")
_STATUSES = ("active", "idle", "planning", "executing")


def generate_states(count: int, complexity: int = 1, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield JSON-like agent states whose size grows with their complexity.

    A state of complexity 1 is about 0.7 kB of JSON, of complexity 10 about 9 kB.

    Args:
        count: How many, >= 0.
        complexity: Size factor, >= 1.
        seed: The same seed gives the same states.

    Yields:
        Dictionaries of plain values with position, inventory, attributes, goals, step and status.
    """
    random = np.random.default_rng([seed, complexity])
    for step in range(count):
        numbers = iter(random.random(3 * complexity + 10 * complexity + 4 * complexity).tolist())
        items = random.integers(len(_ITEMS), size=5 * complexity).tolist()
        yield {
            "position": [next(numbers) for _ in range(3 * complexity)],
            "inventory": [_ITEMS[item] for item in items],
            "attributes": {f"attr_{i}": next(numbers) for i in range(10 * complexity)},
            "goals": [
                {
                    "id": f"goal_{i}",
                    "priority": next(numbers),
                    "progress": next(numbers),
                    "subgoals": [f"subgoal_{i}_{j}" for j in range(complexity)],
                }
                for i in range(2 * complexity)
            ],
            "step": step,
            "status": _STATUSES[int(random.integers(len(_STATUSES)))],
        }
