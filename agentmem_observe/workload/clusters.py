"""Labelled embeddings: clusters whose members are known, and queries that belong to one each."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agentmem_observe.model import Int64Array

_LATENT_DIMENSIONS = 48  # as in `vectors`: real embeddings vary in some dozens of directions
_FAMILY = 4  # clusters that are alike, so that a search can take one for another
_FAMILY_COSINE = 0.75  # between the centres of one family
_SPREADS = (0.2, 0.9)  # of a member around its centre, relative to the centre's length
_NOISE = 0.02  # in all directions, relative to the centre's length
_BLOCK = 8_192  # rows made at a time, so that nothing but the result is large


@dataclass(frozen=True, slots=True)
class Clusters:
    """Vectors with the cluster that each was made for: what is relevant to a query is known.

    Attributes:
        vectors: Unit vectors, shape (n, dimensions).
        labels: The cluster of each, shape (n,).
        queries: Unit vectors that are none of ``vectors``, shape (q, dimensions).
        query_labels: The cluster of each query, shape (q,).
    """

    vectors: npt.NDArray[np.float32]
    labels: Int64Array
    queries: npt.NDArray[np.float32]
    query_labels: Int64Array


def generate_clusters(
    count: int, query_count: int, dimensions: int, *, per_cluster: int = 20, seed: int = 0
) -> Clusters:
    """Return clusters of nearly equal size, some near to each other, and queries from them.

    Two members of one cluster have a cosine of some 0.6 to 0.9, so that thresholds in that range
    tell something; members of two clusters of one family of some 0.6.

    Args:
        count: Vectors, >= 1.
        query_count: Queries, >= 1.
        dimensions: Of all vectors, >= 8.
        per_cluster: Members of a cluster, >= 1; where it does not divide ``count``, some
            clusters have one less.
        seed: The same seed gives the same clusters.

    Raises:
        ValueError: If an argument is out of range.

    Examples:
        >>> clusters = generate_clusters(10, 2, 64, per_cluster=5)
        >>> np.bincount(clusters.labels).tolist(), clusters.queries.shape
        ([5, 5], (2, 64))
    """
    if min(count, query_count, per_cluster) < 1 or dimensions < 8:
        raise ValueError(
            f"clusters need counts of at least 1 and 8 dimensions, not {count} vectors, "
            f"{query_count} queries, {per_cluster} per cluster, {dimensions} dimensions"
        )
    random = np.random.default_rng([seed, dimensions])
    latent = min(_LATENT_DIMENSIONS, dimensions)
    cluster_count = -(-count // per_cluster)
    centres = _centres(random, cluster_count, latent)
    # Orthonormal, so that angles stay what they are made to be.
    square = random.standard_normal((dimensions, latent))
    directions = np.linalg.qr(square)[0].T.astype(np.float32)
    labels = random.permutation(np.arange(count) % cluster_count)
    vectors = _members(random, centres, labels, directions)
    query_labels = random.integers(cluster_count, size=query_count)
    queries = _members(random, centres, query_labels, directions)
    return Clusters(vectors, labels, queries, query_labels)


def _centres(random: np.random.Generator, count: int, dimensions: int) -> npt.NDArray[np.float32]:
    families = _unit(random.standard_normal((-(-count // _FAMILY), dimensions), np.float32))
    own = _unit(random.standard_normal((count, dimensions), np.float32))
    shared = np.float32(np.sqrt(_FAMILY_COSINE))
    rest = np.float32(np.sqrt(1 - _FAMILY_COSINE))
    return _unit(shared * families[np.arange(count) // _FAMILY] + rest * own)


def _members(
    random: np.random.Generator,
    centres: npt.NDArray[np.float32],
    labels: Int64Array,
    directions: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    members = np.empty((len(labels), directions.shape[1]), np.float32)
    for start in range(0, len(labels), _BLOCK):
        chosen = centres[labels[start : start + _BLOCK]]
        spread = random.uniform(*_SPREADS, (len(chosen), 1)).astype(np.float32)
        latent = chosen + spread * _unit(random.standard_normal(chosen.shape, np.float32))
        block = latent @ directions
        noise = _unit(random.standard_normal(block.shape, np.float32))
        members[start : start + _BLOCK] = _unit(block + np.float32(_NOISE) * noise)
    return members


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    unit: npt.NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
