import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.model import Record
from agentmem_observe.targets.embedded import LinearAutoencoder, embed
from agentmem_observe.targets.embedded.codes import Float32Codec, Int8Codec, LinearCodec
from agentmem_observe.workload.states import generate_states


def low_rank(count: int, rank: int, seed: int = 0) -> np.ndarray:
    """Return vectors on a ``rank``-dimensional plane, away from the origin."""
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((64, rank)))[0]
    return (random.standard_normal((count, rank)) @ basis.T + 0.3).astype(np.float32)


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_int8_errs_by_half_a_scale_per_dimension_at_most(seed: int, size: float) -> None:
    vectors = np.random.default_rng(seed).standard_normal((5, 32)).astype(np.float32) * size
    codec = Int8Codec(32)

    codes, scales = codec.encode(vectors)

    errors = np.linalg.norm(codec.decode(codes, scales) - vectors, axis=1)
    assert np.abs(codes.astype(int)).max(axis=1).tolist() == [127] * 5
    assert (errors <= 0.501 * scales * np.sqrt(32)).all()


def test_int8_finds_the_nearest_of_states_of_one_schema() -> None:
    vectors = np.stack([embed(state) for state in generate_states(1_500, seed=1)])
    queries = np.stack([embed(state) for state in generate_states(30, seed=2)])
    codec = Int8Codec(384)
    codes, scales = codec.encode(vectors)
    projected = np.stack([codec.project(query)[0] for query in queries])

    exact = np.argsort(-queries @ vectors.T, axis=1)[:, :10]
    found = np.argsort(-(projected @ codes.T.astype(np.float32)) * scales, axis=1)[:, :10]

    recalled = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), found.tolist(), strict=True)]
    assert sum(recalled) / 300 > 0.98


def test_the_rotation_of_int8_codes_never_changes() -> None:
    codes, scales = Int8Codec(8).encode(np.eye(8, dtype=np.float32)[:2])

    assert codes.tolist() == [
        [-97, -97, -127, -127, -97, -97, -53, -53],
        [-97, 97, -127, 127, -97, 97, -53, 53],
    ]
    assert scales == pytest.approx([0.0036373, 0.0036373], rel=1e-4)


def test_int8_takes_a_zero_vector() -> None:
    codec = Int8Codec(4)

    assert (codec.decode(*codec.encode(np.zeros((1, 4), np.float32))) == 0).all()


def test_coding_what_was_decoded_changes_nothing() -> None:
    codec = Int8Codec(64)
    codes, scales = codec.encode(low_rank(200, 20))

    again, scales_again = codec.encode(codec.decode(codes, scales))

    assert (again == codes).all()
    assert scales_again == pytest.approx(scales)


def test_a_code_as_long_as_the_rank_of_the_data_loses_nothing() -> None:
    coder = LinearAutoencoder(64).fit(low_rank(500, 8))
    fresh = low_rank(100, 8, seed=2)

    assert coder.decode(coder.encode(fresh, 8)) == pytest.approx(fresh, abs=1e-4)
    assert np.abs(coder.decode(coder.encode(fresh, 7)) - fresh).max() > 0.01


def test_a_shorter_code_is_the_beginning_of_a_longer_one() -> None:
    vectors = low_rank(300, 20)
    coder = LinearAutoencoder(64).fit(vectors)

    assert coder.encode(vectors, 32)[:, :8] == pytest.approx(coder.encode(vectors, 8), abs=1e-5)


def test_learning_in_parts_is_learning_at_once() -> None:
    vectors = low_rank(300, 8)
    at_once = LinearAutoencoder(64).fit(vectors)

    in_parts = LinearAutoencoder(64)
    for part in np.array_split(vectors, [10, 11, 200]):
        in_parts.partial_fit(part)

    assert in_parts.seen == 300
    assert in_parts.encode(vectors, 8) == pytest.approx(at_once.encode(vectors, 8), abs=1e-3)


def test_fitting_anew_forgets_what_was_learned() -> None:
    coder = LinearAutoencoder(64).fit(low_rank(100, 3) * 50)

    coder.fit(low_rank(100, 8))

    assert coder.seen == 100
    assert coder.decode(coder.encode(low_rank(9, 8), 8)) == pytest.approx(low_rank(9, 8), abs=1e-4)


def test_a_saved_autoencoder_codes_alike_and_learns_on() -> None:
    vectors = low_rank(300, 8)
    coder = LinearAutoencoder(64).fit(vectors)

    loaded = LinearAutoencoder.from_bytes(coder.to_bytes())

    assert (loaded.encode(vectors, 8) == coder.encode(vectors, 8)).all()
    assert loaded.partial_fit(vectors).seen == 600


def test_the_autoencoder_refuses_what_it_cannot_do() -> None:
    coder = LinearAutoencoder(64)

    with pytest.raises(ValueError, match="has seen no vectors"):
        coder.encode(low_rank(1, 2), 8)
    with pytest.raises(ValueError, match=r"give shape \(n, 64\)"):
        coder.partial_fit(np.ones((2, 63), np.float32))
    coder.fit(low_rank(5, 2))
    with pytest.raises(ValueError, match="give 1 to 64"):
        coder.encode(low_rank(1, 2), 65)


@pytest.mark.parametrize("make", [Float32Codec, Int8Codec, "linear"])
def test_a_projected_query_scores_codes_as_it_scores_the_decoded_vectors(make) -> None:
    vectors, query = low_rank(100, 8), low_rank(1, 8, seed=5)[0]
    codec = LinearCodec(LinearAutoencoder(64).fit(vectors), 8) if make == "linear" else make(64)
    codes, scales = codec.encode(vectors)

    projected, constant = codec.project(query)

    scores = scales * (codes.astype(np.float32) @ projected) + constant
    assert scores == pytest.approx(codec.decode(codes, scales) @ query, abs=1e-4)


def test_linear_codes_replace_int8_once_there_is_enough_to_learn_from(open_memory) -> None:
    vectors = low_rank(1_400, 8)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    options = {"codes": "linear", "dimensions": 64, "im_capacity": 100}
    memory = open_memory(**options)
    for number, vector in enumerate(vectors):
        memory.store(Record("agent", f"r{number}", vector=vector, step=number))
    before = memory.stats()["ltm_vector_bytes"] / memory.count(tier="ltm")

    memory.maintain()

    after = memory.stats()["ltm_vector_bytes"] / memory.count(tier="ltm")
    assert before > 64
    assert after < 48
    for _ in range(2):
        assert [
            memory.search("agent", None, 1, vector=vectors[number])[0].record_id
            for number in range(0, 1_400, 50)
        ] == [f"r{number}" for number in range(0, 1_400, 50)]
        found = memory.retrieve("agent", "r0")
        assert found is not None
        assert (found.tier, found.vector) == ("ltm", pytest.approx(vectors[0], abs=0.01))
        memory.close()
        memory.open()


def test_a_directory_may_change_its_codes_between_sessions(open_memory) -> None:
    vectors = np.random.default_rng(0).standard_normal((60, 16)).astype(np.float32)
    memory = open_memory(exact=True, stm_capacity=10, im_capacity=20)
    for number, vector in enumerate(vectors):
        memory.store(Record("agent", f"r{number}", vector=vector))
    memory.close()

    memory = open_memory(stm_capacity=10, im_capacity=20)

    firsts = [memory.search("agent", None, 1, vector=v)[0].record_id for v in vectors]
    assert firsts == [f"r{number}" for number in range(60)]
