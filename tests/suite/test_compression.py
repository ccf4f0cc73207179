"""What compression loses and gains agrees with an independent computation, on unseen data."""

import json
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from agentmem_observe.bench import context
from agentmem_observe.bench.isolation import in_child
from agentmem_observe.model import TIERS, Record
from agentmem_observe.suite.compression import training
from agentmem_observe.suite.compression.fidelity import HeldOut, embeddings
from agentmem_observe.suite.compression.tier_bytes import ratios
from agentmem_observe.targets.embedded.codes import LinearAutoencoder, Matrix
from agentmem_observe.targets.fake import FakeTarget
from agentmem_observe.workload.kinds import generate_kind

RunHere = Callable[..., Any]
SEED = 1  # of a run by `run_here`
SMALL = {"dataset_sizes": [60], "held_out_count": 90, "query_count": 30, "kinds": ["dialogue"]}

forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def results(ran: Any) -> dict[str, Any]:
    assert ran.metadata["status"] == "ok", ran.metadata
    found: dict[str, Any] = ran.document["results"]
    return found


def quality(run_here: RunHere, **params: Any) -> dict[str, Any]:
    ran = run_here("compression", "embedding_quality", target="embedded", **(SMALL | params))
    return dict(results(ran)["dialogue"])


def top_ten(cosines: Matrix) -> list[set[int]]:
    return [set(np.argsort(-row)[:10].tolist()) for row in cosines]


# --- embedding_quality ---


def test_error_cosine_and_neighbours_agree_with_an_independent_computation(
    run_here: RunHere,
) -> None:
    known = embeddings("dialogue", 60, SEED).astype(np.float64)
    held_out = HeldOut.split(embeddings("dialogue", 90, SEED + 1), 30, SEED)
    vectors, queries = held_out.vectors.astype(np.float64), held_out.queries.astype(np.float64)
    mean = known.mean(axis=0)
    directions = np.linalg.svd(known - mean)[2][:16]
    codes = (vectors - mean) @ directions.T
    scales = np.abs(codes).max(axis=1, keepdims=True) / 127
    rebuilt = np.rint(codes / scales) * scales @ directions + mean

    figures = quality(run_here, target_dimensions=[16])["learned_from_60"]["dimensions_16"]

    cosines = (rebuilt * vectors).sum(axis=1) / np.linalg.norm(rebuilt, axis=1)
    exact, found = top_ten(queries @ vectors.T), top_ten(queries @ rebuilt.T)
    overlap = np.mean([len(a & b) / 10 for a, b in zip(exact, found, strict=True)])
    assert figures == {
        "code_dimensions_count": 16,
        "bytes_per_vector": 20.0,  # 16 signed bytes and a float32 scale
        "compression_ratio": 1536 / 20,
        "reconstruction_mse": pytest.approx(np.square(rebuilt - vectors).mean(), rel=1e-3),
        "cosine_mean_ratio": pytest.approx(cosines.mean(), rel=1e-3),
        "cosine_min_ratio": pytest.approx(cosines.min(), rel=1e-3),
        "overlap_at_10_ratio": pytest.approx(overlap, abs=2 / 300),  # a rounded tie or two
        "vector_count": 60,
        "query_count": 30,
    }
    assert 0.2 < overlap < 0.9


def test_quality_is_of_vectors_that_nobody_learned_from(run_here: RunHere) -> None:
    known = embeddings("dialogue", 60, SEED)
    learned = training.learn(known, 1)

    figures = quality(run_here, target_dimensions=[64])["learned_from_60"]["dimensions_64"]

    assert np.abs(learned.decode(learned.encode(known, 64)) - known).max() < 1e-5
    assert figures["cosine_mean_ratio"] < 0.95


def test_codes_that_learn_nothing_are_as_exact_as_they_should_be(run_here: RunHere) -> None:
    figures = quality(run_here)

    assert figures["stm"]["reconstruction_mse"] == 0
    assert figures["stm"]["overlap_at_10_ratio"] == 1
    assert figures["int8"]["bytes_per_vector"] == 384 + 4
    assert 0.9999 < figures["int8"]["cosine_min_ratio"] < 1
    assert figures["int8"]["overlap_at_10_ratio"] > 0.95


def test_longer_codes_and_more_data_keep_more(run_here: RunHere) -> None:
    figures = quality(run_here, dataset_sizes=[60, 400])

    few, many = (figures[f"learned_from_{size}"] for size in (60, 400))
    assert [few[tier]["code_dimensions_count"] for tier in ("im", "ltm")] == [128, 32]
    for better, worse in [(few["im"], few["ltm"]), (many["im"], few["im"])]:
        assert better["reconstruction_mse"] < worse["reconstruction_mse"]
        assert better["overlap_at_10_ratio"] > worse["overlap_at_10_ratio"]


def test_codes_longer_than_the_vectors_are_left_out(run_here: RunHere) -> None:
    figures = quality(run_here, target_dimensions=[384, 385, 512])

    assert set(figures["learned_from_60"]) == {"im", "ltm", "dimensions_384"}


@pytest.mark.parametrize("name", ["embedding_quality", "training_efficiency"])
def test_the_embedded_memorys_codes_are_no_figure_of_another_target(
    run_here: RunHere, name: str
) -> None:
    ran = run_here("compression", name, target="fake", dataset_sizes=[60])

    assert ran.metadata["status"] == "skipped"
    assert "the target is 'fake'" in ran.metadata["reason"]


# --- compression_ratio ---


class Sized(FakeTarget):
    """Says what its tiers take: so many bytes a record, in two parts."""

    sizes: ClassVar = {"stm": (500, 300), "im": (300, 100), "ltm": (100, 0)}

    def stats(self) -> dict[str, float]:
        parts = {
            (tier, part): size * self.count(tier=tier)
            for tier in TIERS
            for part, size in zip(("payload", "index"), self.sizes[tier], strict=True)
        }
        return {f"{tier}_{part}_bytes": float(size) for (tier, part), size in parts.items()} | {
            "stm_records_total": 7.0,
            "total_bytes": 1e9,
        }


class Rounding(Sized):
    """Loses one record of ten in LTM, and the step of all others there."""

    def retrieve(self, agent_id: str, record_id: str) -> Record | None:
        found = super().retrieve(agent_id, record_id)
        if found is None or found.tier != "ltm":
            return found
        number = found.step
        return None if number % 10 == 0 else Record(agent_id, record_id, state={"step": 0})


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[FakeTarget]], None]:
    """Return a function that makes every target one of a class."""

    def use(kind: type[FakeTarget]) -> None:
        monkeypatch.setattr(context, "build_target", lambda *_: kind())

    return use


def test_bytes_and_ratios_follow_from_what_the_target_says(
    run_here: RunHere, use: Callable[[type[FakeTarget]], None]
) -> None:
    use(Sized)

    ran = run_here("compression", "compression_ratio", dataset_sizes=[50], kinds=["inventory"])

    figures = results(ran)["inventory"]["records_50"]
    states = [len(json.dumps(state)) for state in generate_kind("inventory", 50, SEED)]
    raw = sum(states) / 50 + 4 * 384
    assert figures["raw"] == {
        "state_json_bytes_per_record": sum(states) / 50,
        "vector_bytes_per_record": 1536,
        "bytes_per_record": raw,
    }
    assert figures["stm"] == {
        "bytes_per_record": 800,
        "payload_bytes_per_record": 500,
        "index_bytes_per_record": 300,
        "record_count": 50,
        "read_back_count": 50,
        "kept_ratio": 1,
        "cosine_mean_ratio": pytest.approx(1),
    }
    assert {name: value for name, value in figures.items() if name.endswith("ratio")} == {
        "raw_to_stm_ratio": raw / 800,
        "stm_to_im_ratio": 2,
        "im_to_ltm_ratio": 4,
        "raw_to_ltm_ratio": raw / 100,
    }
    assert ran.finished.facts["warnings"] == []


def test_a_tier_that_gets_small_by_losing_content_is_found_out(
    run_here: RunHere, use: Callable[[type[FakeTarget]], None]
) -> None:
    use(Rounding)

    ran = run_here("compression", "compression_ratio", dataset_sizes=[50], kinds=["inventory"])

    figures = results(ran)["inventory"]["records_50"]
    assert [figures[tier]["kept_ratio"] for tier in TIERS] == [1, 1, 0]
    assert ran.metadata["warnings"][-1] == (
        "of 50 records read back from ltm, 5 are gone and 45 came back changed: they are smaller "
        "at the price of content"
    )


def test_the_embedded_memory_compresses_from_tier_to_tier(run_here: RunHere) -> None:
    ran = run_here(
        "compression", "compression_ratio", target="embedded", dataset_sizes=[400],
        kinds=["dialogue"], records_per_agent=50,
    )  # fmt: skip

    figures = results(ran)["dialogue"]["records_400"]
    assert all(figures[tier]["record_count"] == 400 for tier in TIERS)
    assert all(figures[tier]["kept_ratio"] == 1 for tier in TIERS)
    assert figures["stm"]["vector_bytes_per_record"] >= 1536 + 4
    assert 388 <= figures["im"]["vector_bytes_per_record"] < 600
    assert figures["stm_to_im_ratio"] > 2
    assert figures["stm"]["cosine_mean_ratio"] == pytest.approx(1)
    assert 0.999 < figures["im"]["cosine_mean_ratio"] < 0.99999
    assert ran.finished.facts["warnings"] == []


def test_a_tier_too_small_for_its_records_is_named(run_here: RunHere) -> None:
    ran = run_here(
        "compression", "compression_ratio", target="embedded?stm_capacity=10",
        dataset_sizes=[40], kinds=["dialogue"], records_per_agent=20,
    )  # fmt: skip

    stm = results(ran)["dialogue"]["records_40"]["stm"]
    assert stm["record_count"] == 20
    assert 1540 <= stm["vector_bytes_per_record"] < 2 * 1540  # of those there, with room to grow
    assert ran.finished.facts["warnings"] == [
        "of 40 records stored into stm, 20 are there: its bytes per record are of those; give "
        "agents fewer records"
    ]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("fake", "target 'fake' has no bytes per tier among its figures"),
        ("fake?lacks=tiers", "target 'fake' lacks tiers"),
    ],
)
def test_a_target_that_says_nothing_of_tiers_is_skipped_with_the_reason(
    run_here: RunHere, target: str, reason: str
) -> None:
    ran = run_here("compression", "compression_ratio", target=target, dataset_sizes=[5])

    assert (ran.metadata["status"], ran.metadata["reason"]) == ("skipped", reason)


def test_a_stage_that_takes_nothing_has_no_ratio() -> None:
    assert ratios({"raw": 10, "stm": 0, "im": 5}) == {"stm_to_im_ratio": 0, "raw_to_im_ratio": 2}


# --- training_efficiency ---


@forks
def test_learning_in_passes_is_the_same_as_at_once_and_both_are_priced(run_here: RunHere) -> None:
    ran = run_here(
        "compression", "training_efficiency", target="embedded", dataset_sizes=[40],
        training_iterations=1000, target_dimensions=[16, 512],
    )  # fmt: skip

    figures = results(ran)["vectors_40"]
    assert set(figures) == {"fit", "incremental_fit", "deviation_max_ratio", "dimensions_16"}
    assert (figures["fit"]["pass_count"], figures["incremental_fit"]["pass_count"]) == (1, 40)
    assert figures["deviation_max_ratio"] < 1e-5
    for learned in (figures["fit"], figures["incremental_fit"]):
        assert learned["cpu_seconds"] > 0
        assert learned["vectors_per_cpu_second"] == pytest.approx(40 / learned["cpu_seconds"])
        assert 0 <= learned["rss_peak_growth_bytes"] < 2**30
    assert set(figures["dimensions_16"]) == {
        "encode_vectors_per_cpu_second",
        "decode_vectors_per_cpu_second",
    }
    assert all(value > 0 for value in figures["dimensions_16"].values())


def test_passes_that_learn_something_else_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = embeddings("inventory", 60, SEED)
    learn = LinearAutoencoder.partial_fit

    def forgetful(model: LinearAutoencoder, part: Matrix) -> LinearAutoencoder:
        return model if model.seen else learn(model, part)

    assert training.deviation(vectors, passes=6) < 1e-5
    monkeypatch.setattr(LinearAutoencoder, "partial_fit", forgetful)
    assert training.deviation(vectors, passes=6) > 0.01


@forks
def test_passes_need_less_memory_than_learning_at_once() -> None:
    vectors = np.ones((10_000, 384), np.float32)  # 31 MB as float64, and as much again centred

    at_once, in_passes = (
        in_child(lambda passes=passes: training.learning_cost(vectors, passes))
        for passes in (1, 10)
    )

    assert at_once["rss_peak_growth_bytes"] > 60_000_000
    assert in_passes["rss_peak_growth_bytes"] < 50_000_000  # mostly 40, once 48
    assert max(at_once["rss_growth_bytes"], in_passes["rss_growth_bytes"]) < 30_000_000
