"""What learning and using the embedded memory's linear codes costs, by the amount of data."""

import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from agentmem_observe.bench.isolation import in_child
from agentmem_observe.suite.storage.footprint import quiet_rss_bytes
from agentmem_observe.targets.embedded.codes import (
    LTM_CODE_DIMENSIONS,
    LinearAutoencoder,
    Matrix,
)

_ROUNDS = 20  # of which the best counts: what disturbs only ever adds time
_MOST_LEARNINGS = 5  # the same, while they have not taken
_LEARNING_CPU_SECONDS = 0.5  # together: a long one is disturbed less in proportion
_BATCH = 1_000  # vectors coded at a time


def learn(vectors: Matrix, passes: int) -> LinearAutoencoder:
    """Return an autoencoder that learned from vectors in equal passes, ready to code.

    Args:
        vectors: Shape (n, dimensions), n >= 1.
        passes: In how many, >= 1; never more than there are vectors.
    """
    autoencoder = LinearAutoencoder(vectors.shape[1])
    for part in np.array_split(vectors, min(passes, len(vectors))):
        autoencoder.partial_fit(part)
    autoencoder.basis(1)  # components are worked out on first use
    return autoencoder


def efficiency(
    vectors: Matrix, passes: int, dimensions: Sequence[int]
) -> dict[str, dict[str, Any] | float]:
    """Return what learning from vectors costs, at once and in passes, and how fast codes are made.

    Args:
        vectors: Shape (n, d), n >= 1.
        passes: Passes of incremental learning, >= 1; never more than there are vectors.
        dimensions: Lengths of the codes whose speed is measured, each from 1 to d.
    """
    return {
        "fit": in_child(lambda: learning_cost(vectors, 1)),
        "incremental_fit": in_child(lambda: learning_cost(vectors, passes)),
        "deviation_max_ratio": deviation(vectors, passes),
        **{f"dimensions_{length}": coding_speed(vectors, length) for length in dimensions},
    }


def learning_cost(vectors: Matrix, passes: int) -> dict[str, Any]:
    """Return what `learn` takes at best. Call it in a process of its own: peaks are of all of it.

    Args:
        vectors: Shape (n, dimensions), n >= 1.
        passes: In how many passes they are learned from, >= 1.
    """
    before = quiet_rss_bytes()
    costs: list[tuple[float, float]] = []
    while not costs or (
        len(costs) < _MOST_LEARNINGS and sum(cpu for cpu, _ in costs) < _LEARNING_CPU_SECONDS
    ):
        began, cpu_began = time.perf_counter(), time.process_time()
        autoencoder = learn(vectors, passes)
        costs.append((time.process_time() - cpu_began, time.perf_counter() - began))
    cpu_seconds, seconds = min(costs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {
        "cpu_seconds": cpu_seconds,
        "duration_seconds": seconds,
        "vectors_per_cpu_second": len(vectors) / cpu_seconds,
        "rss_growth_bytes": quiet_rss_bytes() - before,
        "rss_peak_growth_bytes": max(0, peak - before),
        "pass_count": min(passes, len(vectors)),
    }
    assert autoencoder.seen == len(vectors)  # and so it is still there when RSS is read
    return figures


def coding_speed(vectors: Matrix, dimensions: int) -> dict[str, Any]:
    """Return vectors coded and rebuilt per CPU second, in batches, by the best of some rounds.

    Args:
        vectors: What the codes are learned from; the first 1,000 are coded, shape (n, dimensions).
        dimensions: Length of the codes.
    """
    autoencoder = learn(vectors, 1)
    batch = vectors[:_BATCH]
    codes = autoencoder.encode(batch, dimensions)
    return {
        "encode_vectors_per_cpu_second": len(batch)
        / _best(lambda: autoencoder.encode(batch, dimensions)),
        "decode_vectors_per_cpu_second": len(batch) / _best(lambda: autoencoder.decode(codes)),
    }


def deviation(vectors: Matrix, passes: int) -> float:
    """Return how far apart codes learned in passes and at once rebuild the vectors, at the most.

    Args:
        vectors: Shape (n, dimensions), n >= 1.
        passes: In how many passes the one is learned, >= 1.
    """
    batch = vectors[:_BATCH]
    at_once, in_passes = (
        model.decode(model.encode(batch, LTM_CODE_DIMENSIONS))
        for model in (learn(vectors, 1), learn(vectors, passes))
    )
    return float(np.abs(at_once - in_passes).max())


def _best(function: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        function()
        times.append(time.process_time() - began)
    return max(min(times), 1e-9)  # the clock's resolution
