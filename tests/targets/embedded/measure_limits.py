"""Measures the embedded memory against its limits; run by hand, not by pytest.

    python tests/targets/embedded/measure_limits.py --records 1000000 --agents 1

One client thread and one BLAS thread. Rates are records per second of CPU time of the whole
process, so background upkeep counts; latencies are wall time. Vectors are of a mixture of 4,000
topics in 48 latent dimensions with noise, or with ``--hashed`` of generated states through the
built-in embedding (whose time is then part of a store). Recall is against float32 brute force.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy: the limits are for one core

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from agentmem_observe.model import Record, Vector
from agentmem_observe.targets.embedded import EmbeddedMemory, EmbeddedOptions, embed
from agentmem_observe.targets.embedded.codes import Matrix
from agentmem_observe.workload.states import generate_states

DIMENSIONS, LATENT, TOPICS, CHUNK = 384, 48, 4_000, 5_000
QUERIES, K = 200, 10


class Clustered:
    """Vectors of topics: a random linear map of (topic centre + spread), plus noise."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        layout = np.random.default_rng(0)
        self._topics = layout.standard_normal((TOPICS, LATENT)).astype(np.float32)
        self._map = layout.standard_normal((LATENT, DIMENSIONS)).astype(np.float32)

    def draw(self, count: int) -> Matrix:
        """Return unit vectors, shape (count, DIMENSIONS)."""
        spread = self._random.standard_normal((count, LATENT), np.float32)
        latent = self._topics[self._random.integers(TOPICS, size=count)] + 0.5 * spread
        noise = self._random.standard_normal((count, DIMENSIONS), np.float32)
        vectors: Matrix = latent @ self._map + noise
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clustered_records(count: int, agents: int) -> Iterator[Record]:
    """Yield records with a small state and a vector."""
    source = Clustered(seed=1)
    for start in range(0, count, CHUNK):
        vectors = source.draw(min(CHUNK, count - start))
        for number, vector in enumerate(vectors, start):
            state = {"goal": f"goal {number % 97}", "position": [number % 31, number % 57]}
            yield Record(
                f"agent-{number % agents}",
                f"record-{number}",
                "a step",
                state,
                vector,
                0.5,
                number,
            )


def hashed_records(count: int, agents: int) -> Iterator[Record]:
    """Yield records with generated states and no vector."""
    for number, state in enumerate(generate_states(count, seed=1)):
        yield Record(f"agent-{number % agents}", f"record-{number}", state=state, step=number)


def fill(memory: EmbeddedMemory, records: Iterator[Record]) -> tuple[float, float]:
    """Store all records; return CPU seconds in stores, upkeep included, and the longest store."""
    cpu_seconds = longest_seconds = 0.0
    while True:
        chunk = [record for record, _ in zip(records, range(CHUNK), strict=False)]
        if not chunk:
            return cpu_seconds, longest_seconds
        before = time.process_time()
        for record in chunk:
            started = time.perf_counter()
            memory.store(record)
            longest_seconds = max(longest_seconds, time.perf_counter() - started)
        cpu_seconds += time.process_time() - before


def oracle(records: Iterator[Record], queries: Matrix, agent_id: str) -> list[set[str]]:
    """Return the ids of the K nearest records of one agent to each query, by brute force."""
    scores = np.full((len(queries), K), -np.inf, np.float32)
    ids = np.full((len(queries), K), "", dtype="U24")
    while chunk := [r for r, _ in zip(records, range(CHUNK), strict=False)]:
        own = [record for record in chunk if record.agent_id == agent_id]
        if not own:
            continue
        vectors = np.stack([vector_of(record) for record in own])
        all_scores = np.hstack([scores, queries @ vectors.T])
        all_ids = np.hstack([ids, np.tile([record.record_id for record in own], (len(ids), 1))])
        best = np.argpartition(all_scores, -K, axis=1)[:, -K:]
        scores = np.take_along_axis(all_scores, best, axis=1)
        ids = np.take_along_axis(all_ids, best, axis=1)
    return [set(row.tolist()) for row in ids]


def vector_of(record: Record) -> Vector:
    """Return a record's vector, embedding its state if it has none."""
    if record.vector is not None:
        return record.vector
    assert record.state is not None
    return embed(record.state)


def main() -> None:
    """Parse, measure, print one table row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--agents", type=int, default=1)
    parser.add_argument("--probed-cells", type=int, default=EmbeddedOptions().probed_cells)
    parser.add_argument("--hashed", action="store_true", help="states through the embedding")
    arguments = parser.parse_args()
    make = hashed_records if arguments.hashed else clustered_records
    if arguments.hashed:
        states = generate_states(QUERIES, seed=2)
        queries = np.stack([embed(state) for state in states])
    else:
        queries = Clustered(seed=2).draw(QUERIES)
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as directory:
        options = EmbeddedOptions(probed_cells=arguments.probed_cells)
        memory = EmbeddedMemory(options, Path(directory))
        memory.open()
        cpu_seconds, longest = fill(memory, make(arguments.records, arguments.agents))
        started = time.process_time()
        memory.maintain()
        maintain_seconds = time.process_time() - started
        gc.collect()
        rss_bytes = process.memory_info().rss
        seconds, found = [], []
        for query in queries:
            begun = time.perf_counter()
            hits = memory.search("agent-0", None, K, vector=query)
            seconds.append(time.perf_counter() - begun)
            found.append({hit.record_id for hit in hits})
        peak_bytes = peak_rss_bytes()
        memory.close()
        file_bytes = sum(path.stat().st_size for path in Path(directory).iterdir())
        begun = time.process_time()
        memory.open()
        reopen_seconds = time.process_time() - begun
        memory.close()
    truth = oracle(make(arguments.records, arguments.agents), queries, "agent-0")
    recall = sum(len(a & b) for a, b in zip(found, truth, strict=True)) / (K * QUERIES)
    p50, p99 = np.percentile(np.array(seconds) * 1e3, [50, 99])
    sys.stdout.write(
        f"data {'hashed states' if arguments.hashed else 'clustered'}"
        f" | records {arguments.records:,} | agents {arguments.agents:,}"
        f" | stores {arguments.records / cpu_seconds:,.0f} per CPU second"
        f" | longest store {longest * 1e3:.1f} ms | maintain {maintain_seconds:.1f} CPU s"
        f" | search p50 {p50:.2f} ms, p99 {p99:.2f} ms | recall@{K} {recall:.4f}"
        f" | RSS {rss_bytes / 2**30:.2f} GiB (peak {peak_bytes / 2**30:.2f})"
        f" | disk {file_bytes / arguments.records:.0f} B per record"
        f" | reopen {reopen_seconds:.1f} CPU s\n"
    )


def peak_rss_bytes() -> int:
    """Return the largest RSS of this process so far, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


if __name__ == "__main__":
    main()
