"""Ready-made sizes of the whole suite: quick to see that all works, full for the largest sizes."""

from typing import Any

from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.errors import UsageError, did_you_mean

PROFILES: dict[str, dict[str, dict[str, Any]]] = {
    "quick": {
        "storage": {
            "batch_sizes": [10, 100, 1000],
            "data_complexity_levels": [1],
            "record_count": 2000,
        },
        "compression": {
            "dataset_sizes": [100, 1000],
            "target_dimensions": [128],
            "training_iterations": 10,
            "held_out_count": 200,
            "query_count": 50,
        },
        "memory_transition": {
            "transition_thresholds": [0.3],
            "record_count": 300,
            "moving_count": 5000,
            "foreground_seconds": 1,
        },
        "retrieval": {
            "volumes": [1000, 5000],
            "dataset_size": 2000,
            "query_counts": [1, 10],
            "k_values": [10],
            "num_samples": 100,
            "case_seconds": 1,
            "open_loop_seconds": 2,
        },
        "scalability": {
            "agent_counts": [1, 5, 10, 25],
            "parallel_operations": [1, 4],
            "least_operations": 2000,
            "memory_sizes": [1000, 10_000],
            "duration_seconds": 5,
        },
        "integration": {
            "operations_per_test": 200,
            "concurrent_clients": [1, 5],
            "rounds": 3,
            "visits": 5,
            "turns": 50,
        },
        "self": {
            "operations": 20_000,
            "rounds": 3,
            "pacing_seconds": 0.3,
            "duration_seconds": 10,
            "soaks": 20,
            "cycle_runs": 3,
            "judgements": 20,
            "histories": 10,
            "duels": 1,
            "hammer_seconds": 15,
            "standing_seconds": 30,
        },
    },
    "standard": {},
    "full": {
        "scalability": {
            "agent_counts": [1, 10, 50, 100, 500, 1000, 5000, 10_000],
            "memory_sizes": [1000, 10_000, 100_000, 1_000_000],
        },
        "retrieval": {"volumes": [1000, 10_000, 100_000, 1_000_000]},
    },
}
"""What each profile changes of the defaults; ``standard`` is the seeds' sizes."""


def profile_config(name: str) -> BenchmarkConfig:
    """Return the configuration of a profile.

    Raises:
        UsageError: If there is no such profile.

    Examples:
        >>> profile_config("quick").scalability.memory_sizes
        [1000, 10000]
    """
    if name not in PROFILES:
        raise UsageError(f"unknown profile {name!r}; {did_you_mean(name, PROFILES)}")
    return BenchmarkConfig(**PROFILES[name])
