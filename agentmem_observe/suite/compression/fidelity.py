"""How near codes come to the vectors that they stand for, on vectors that nobody learned from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentmem_observe.analysis.neighbours import Neighbours, exact_neighbours, found_neighbours
from agentmem_observe.bench.context import Bench, SkipBenchmark
from agentmem_observe.model import Float64Array
from agentmem_observe.targets.embedded.codes import (
    IM_CODE_DIMENSIONS,
    LTM_CODE_DIMENSIONS,
    Codec,
    Float32Codec,
    Int8Codec,
    LinearAutoencoder,
    LinearCodec,
    Matrix,
)
from agentmem_observe.targets.embedded.embedding import embed
from agentmem_observe.workload.kinds import generate_kind
from agentmem_observe.workload.vectors import DIMENSIONS

NEIGHBOURS = 10
"""Neighbours of a query that a code should leave its nearest."""


def require_embedded(bench: Bench) -> None:
    """Skip a benchmark of the embedded memory's own codes on any other target.

    Raises:
        SkipBenchmark: Naming the target.
    """
    bench.require()
    if bench.target_info is not None and bench.target_info.name != "embedded":
        raise SkipBenchmark(
            f"measures the codes of the embedded memory, and the target is "
            f"{bench.target_info.name!r}; compression_ratio measures what any target keeps"
        )


def embeddings(kind: str, count: int, seed: int) -> Matrix:
    """Return the embedded memory's own embeddings of seeded states, shape (count, 384).

    Args:
        kind: One of `agentmem_observe.workload.kinds.KINDS`.
        count: How many, >= 1.
        seed: The same seed gives the same states.
    """
    return np.stack([embed(state) for state in generate_kind(kind, count, seed)])


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Vectors to judge codes on.

    Attributes:
        vectors: What is coded, and searched among, shape (n, dimensions).
        queries: What is searched with, none of them among the vectors, shape (q, dimensions).
        nearest: The exact answers.
    """

    vectors: Matrix
    queries: Matrix
    nearest: Neighbours

    @classmethod
    def split(cls, vectors: Matrix, query_count: int, seed: int) -> "HeldOut":
        """Take queries out of vectors at random, and work out their exact neighbours.

        Args:
            vectors: Unit vectors, shape (n, dimensions), n >= 2.
            query_count: How many to take, >= 1; at the most half of the vectors are taken.
            seed: For the choice.
        """
        order = np.random.default_rng(seed).permutation(len(vectors))
        taken = min(query_count, len(vectors) // 2)
        queries, rest = vectors[order[:taken]], vectors[order[taken:]]
        return cls(rest, queries, exact_neighbours(rest, queries, NEIGHBOURS))


def possible(dimensions: Sequence[int]) -> list[int]:
    """Return those code lengths that are not above the vectors' own."""
    return [length for length in dimensions if length <= DIMENSIONS]


def unlearned_codecs() -> dict[str, Codec]:
    """Return the codecs that learn nothing: float32 as in STM, and int8."""
    return {"stm": Float32Codec(DIMENSIONS), "int8": Int8Codec(DIMENSIONS)}


def learned_codecs(autoencoder: LinearAutoencoder, dimensions: Sequence[int]) -> dict[str, Codec]:
    """Return the codecs of the tiers' learned codes, and of codes of other lengths, by name."""
    lengths = {"im": IM_CODE_DIMENSIONS, "ltm": LTM_CODE_DIMENSIONS}
    lengths |= {f"dimensions_{length}": length for length in dimensions}
    return {name: LinearCodec(autoencoder, length) for name, length in lengths.items()}


def of_codecs(codecs: Mapping[str, Codec], held_out: HeldOut) -> dict[str, Any]:
    """Return the `fidelity` of several codecs, by name."""
    return {name: fidelity(codec, held_out) for name, codec in codecs.items()}


def fidelity(codec: Codec, held_out: HeldOut) -> dict[str, Any]:
    """Return what a codec keeps of held-out vectors, and in how many bytes.

    Neighbours are searched as the embedded memory does: the query stays as it is, and is compared
    with what the codes stand for.

    Args:
        codec: How vectors become codes.
        held_out: What it is judged on.
    """
    vectors = held_out.vectors
    codes, scales = codec.encode(vectors)
    rebuilt = codec.decode(codes, scales)
    cosines = _cosines(rebuilt.astype(np.float64), vectors.astype(np.float64))
    bytes_per_vector = (codes.nbytes + scales.nbytes) / len(vectors)
    return {
        "code_dimensions_count": codec.width,
        "bytes_per_vector": bytes_per_vector,
        "compression_ratio": vectors.itemsize * vectors.shape[1] / bytes_per_vector,
        "reconstruction_mse": float(np.square(rebuilt - vectors, dtype=np.float64).mean()),
        "cosine_mean_ratio": float(cosines.mean()),
        "cosine_min_ratio": float(cosines.min()),
        f"overlap_at_{NEIGHBOURS}_ratio": _overlap(rebuilt, held_out),
        "vector_count": len(vectors),
        "query_count": len(held_out.queries),
    }


def _cosines(rebuilt: Float64Array, vectors: Float64Array) -> Float64Array:
    """Return the cosine of each row with its original; 0 where nothing of it is left."""
    products = (rebuilt * vectors).sum(axis=1)
    lengths = np.linalg.norm(rebuilt, axis=1) * np.linalg.norm(vectors, axis=1)
    cosines = np.zeros(len(products))
    np.divide(products, lengths, out=cosines, where=lengths > 0)
    return cosines


def _overlap(rebuilt: Matrix, held_out: HeldOut) -> float:
    answers = exact_neighbours(rebuilt, held_out.queries, NEIGHBOURS).places
    found = 0
    for query, places, exact in zip(
        held_out.queries, answers, held_out.nearest.cosines, strict=True
    ):
        found += found_neighbours((held_out.vectors[places] @ query).tolist(), exact.tolist())
    return found / held_out.nearest.cosines.size
