"""Seeded embeddings with the structure of real ones: few directions, many topics."""

import numpy as np
import numpy.typing as npt

DIMENSIONS = 384
"""Of the seeds' embeddings, and of the small sentence models that people use."""

_LATENT_DIMENSIONS = 48  # real sentence embeddings of one domain vary in some dozens of directions
_TOPICS = 200
_SPREAD = 0.35  # of a record around its topic, relative to the topic's length
_NOISE = 0.02  # in all directions, so that no two vectors are exactly dependent


def generate_vectors(
    count: int, seed: int = 0, *, block: int | None = None
) -> npt.NDArray[np.float32]:
    """Return embeddings that cluster around topics.

    Args:
        count: How many, >= 0.
        seed: The same seed gives the same vectors.
        block: Draw another block of vectors of the same topics, >= 0: any of them can be made
            without those before it. None is a block of its own.

    Returns:
        Unit vectors, shape (count, 384).
    """
    random = np.random.default_rng([seed, DIMENSIONS])
    directions = random.standard_normal((_LATENT_DIMENSIONS, DIMENSIONS), dtype=np.float32)
    topics = random.standard_normal((_TOPICS, _LATENT_DIMENSIONS), dtype=np.float32)
    if block is not None:
        random = np.random.default_rng([seed, DIMENSIONS, block])
    chosen = topics[random.integers(_TOPICS, size=count)]
    latent = chosen + _SPREAD * random.standard_normal(chosen.shape, dtype=np.float32)
    vectors = latent @ directions
    noise = random.standard_normal(vectors.shape, dtype=np.float32)
    vectors += _NOISE * np.sqrt(_LATENT_DIMENSIONS) * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
