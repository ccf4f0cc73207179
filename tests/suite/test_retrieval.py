"""Retrieval's figures agree with an independent computation, and wrong neighbours are caught."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmem_observe.model import Hit, Outcome
from agentmem_observe.suite.retrieval.collection import ClusteredCollection
from agentmem_observe.targets.embedded import EmbeddedMemory, EmbeddedOptions
from agentmem_observe.workload.clusters import Clusters, generate_clusters

RunHere = Callable[..., Any]
SEED = 1  # of the fixture's runs
AGENT = "benchmark_agent"


def run(run_here: RunHere, name: str, target: str, **params: Any) -> tuple[Any, dict[str, Any]]:
    ran = run_here("retrieval", name, target=target, **params)
    assert ran.metadata["status"] == "ok", ran.metadata["reason"]
    return ran, ran.document["results"]


def true_ranking(clusters: Clusters) -> np.ndarray:
    """Return for each query all records from the nearest to the farthest, in float64."""
    cosines = clusters.queries.astype(np.float64) @ clusters.vectors.astype(np.float64).T
    return np.argsort(-cosines, axis=1)


def by_definition(
    clusters: Clusters, answers: Sequence[Sequence[int]], k: int
) -> dict[str, float]:
    """Work out precision, recall, F1 and nDCG of one answer per query, from the textbook."""
    precision, recall, f1, gains = [], [], [], []
    for query, answer in enumerate(answers):
        relevant = {i for i, c in enumerate(clusters.labels) if c == clusters.query_labels[query]}
        right = len(relevant & set(answer))
        precision.append(right / k)
        recall.append(right / len(relevant))
        p, r = precision[-1], recall[-1]
        f1.append(2 * p * r / (p + r) if right else 0)
        gain = sum(1 / math.log2(i + 2) for i, place in enumerate(answer) if place in relevant)
        ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(relevant))))
        gains.append(gain / ideal)
    return {
        "precision_ratio": sum(precision) / len(answers),
        "recall_ratio": sum(recall) / len(answers),
        "f1_ratio": sum(f1) / len(answers),
        "ndcg_ratio": sum(gains) / len(answers),
    }


def embedded_answers(clusters: Clusters, k: int, directory: Path) -> list[list[int]]:
    """Ask an embedded memory by hand."""
    memory = EmbeddedMemory(EmbeddedOptions(), directory)
    memory.open()
    collection = ClusteredCollection(len(clusters.vectors), 1, 384, per_cluster=20, seed=SEED)
    assert (collection.clusters.vectors == clusters.vectors).all()
    memory.store_many(list(collection.records([""])))
    found = [memory.search(AGENT, None, k, vector=query) for query in clusters.queries]
    memory.close()
    return [[int(hit.record_id.removeprefix("record_")) for hit in hits] for hits in found]


# --- search_accuracy ---

ACCURACY = {"dataset_size": 600, "query_counts": [30], "k_values": [5, 30]}


@pytest.mark.parametrize("dimensions", [16, 128])
def test_accuracy_of_an_exact_target_is_that_of_brute_force_at_each_k(
    run_here: RunHere, dimensions: int
) -> None:
    ran, results = run(
        run_here, "search_accuracy", "fake", vector_dimensions=[dimensions], **ACCURACY
    )

    clusters = generate_clusters(600, 30, dimensions, seed=SEED)
    ranking = true_ranking(clusters)
    assert results["vector_dimensions_refused"] == {}
    for k in (5, 30):
        figures = results[f"dimensions_{dimensions}"][f"k_{k}"]
        expected = by_definition(clusters, ranking[:, :k].tolist(), k)
        assert {name: figures[name] for name in expected} == pytest.approx(expected)
        assert figures["exact"] == pytest.approx(expected)
        assert figures["recall_at_k_ratio"] == 1
        assert figures["searches"]["outcomes"] == {"ok": 30}
    assert ran.finished.facts["warnings"] == []


def test_hits_above_a_threshold_are_those_whose_true_cosine_is(run_here: RunHere) -> None:
    _, results = run(
        run_here,
        "search_accuracy",
        "fake",
        vector_dimensions=[64],
        similarity_thresholds=[0.75, 1.0],
        **ACCURACY,
    )

    clusters = generate_clusters(600, 30, 64, seed=SEED)
    cosines = clusters.queries.astype(np.float64) @ clusters.vectors.astype(np.float64).T
    above = [
        [place for place in row[:30] if cosines[query, place] >= 0.75]
        for query, row in enumerate(true_ranking(clusters).tolist())
    ]
    figures = results["dimensions_64"]["threshold_0.75"]
    right = sum(
        int((clusters.labels[row] == clusters.query_labels[query]).sum())
        for query, row in enumerate(above)
    )
    found = sum(map(len, above))
    precision, recall = right / found, right / (30 * 20)
    assert 0 < right < found  # the threshold lets some of the wrong cluster through
    expected = {
        "hits_count": found,
        "precision_ratio": precision,
        "recall_ratio": recall,
        "f1_ratio": 2 * precision * recall / (precision + recall),
    }
    assert figures.pop("exact") == pytest.approx(expected)
    assert figures == pytest.approx(expected)
    none = {"hits_count": 0, "recall_ratio": 0.0, "f1_ratio": 0.0}
    assert results["dimensions_64"]["threshold_1"] == none | {"exact": none}


def test_accuracy_of_the_embedded_memory_is_that_of_the_answers_it_gives(
    run_here: RunHere, tmp_path: Path
) -> None:
    params = {"dataset_size": 1500, "query_counts": [30], "k_values": [10]}

    _, results = run(run_here, "search_accuracy", "embedded", vector_dimensions=[384], **params)

    clusters = generate_clusters(1500, 30, 384, seed=SEED)
    answers = embedded_answers(clusters, 10, tmp_path / "own")
    figures = results["dimensions_384"]["k_10"]
    expected = by_definition(clusters, answers, 10)
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    nearest = true_ranking(clusters)[:, :10].tolist()
    hits = [len(set(a) & set(b)) / 10 for a, b in zip(answers, nearest, strict=True)]
    assert figures["recall_at_k_ratio"] == pytest.approx(sum(hits) / len(hits))
    assert figures["recall_at_k_min_ratio"] == pytest.approx(min(hits))
    assert figures["recall_at_k_ratio"] < 1  # or this test would not tell it from exact


def test_a_target_of_fixed_dimensions_is_measured_at_those_and_says_what_it_refused(
    run_here: RunHere,
) -> None:
    params = {"dataset_size": 50, "query_counts": [2], "k_values": [1]}

    ran, results = run(
        run_here, "search_accuracy", "embedded", vector_dimensions=[128, 512], **params
    )

    assert list(results) == ["vector_dimensions_refused", "dimensions_384"]
    refused = results["vector_dimensions_refused"]
    assert list(refused) == ["dimensions_128", "dimensions_512"]
    assert refused["dimensions_128"].startswith("ValueError: the vector has shape (128,)")
    assert ran.finished.facts["warnings"] == [
        "the target takes no vectors of 128, 512 dimensions; measured with 384"
    ]


def test_dimensions_that_the_target_takes_are_the_only_ones_measured(run_here: RunHere) -> None:
    params = {"dataset_size": 50, "query_counts": [2], "k_values": [1]}

    _, results = run(
        run_here,
        "search_accuracy",
        "embedded?dimensions=128",
        vector_dimensions=[128, 512],
        **params,
    )

    assert list(results) == ["vector_dimensions_refused", "dimensions_128"]


def test_wrong_neighbours_are_counted_and_warned_of_first(run_here: RunHere) -> None:
    params = {"dataset_size": 400, "query_counts": [40], "k_values": [5, 10]}
    target = "fake?wrong_neighbours_one_in=10"

    ran, results = run(run_here, "search_accuracy", target, vector_dimensions=[64], **params)

    for k in (5, 10):
        figures = results["dimensions_64"][f"k_{k}"]
        assert figures["searches"]["outcomes"] == {"ok": 36, "wrong": 4}
        assert figures["recall_at_k_ratio"] == pytest.approx(0.9)
        assert figures["recall_at_k_min_ratio"] == 0
    clusters = generate_clusters(400, 40, 64, seed=SEED)
    ranking = true_ranking(clusters)
    answers = ranking[:, :10].copy()
    answers[9::10] = ranking[9::10, ::-1][:, :10]  # every tenth query gets the farthest
    expected = by_definition(clusters, answers.tolist(), 10)
    figures = results["dimensions_64"]["k_10"]
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    assert ran.counts("search_memory") == {("", "ok"): 72, ("", "wrong"): 8}
    assert ran.metadata["warnings"][0] == (
        "8 of 80 operations did not succeed (8 wrong); "
        "throughput and latency are of the others only"
    )


def test_a_target_of_farthest_neighbours_has_no_throughput(run_here: RunHere) -> None:
    params = {"volumes": [300], "query_counts": [20], "k_values": [10]}

    ran, results = run(run_here, "recall_at_scale", "fake?wrong_neighbours_one_in=1", **params)

    figures = results["volume_300"]["k_10"]
    assert figures["searches"]["outcomes"] == {"wrong": 20}
    assert figures["searches"]["throughput_ops_per_second"] == 0
    assert figures["recall_at_k_ratio"] == 0
    assert ran.metadata["warnings"][0].startswith("20 of 20 operations did not succeed (20 wrong)")
    assert "recall@10 is 0.00 among 300 records: compare its times with those of equal " in (
        " ".join(ran.metadata["warnings"])
    )


# --- recall_at_scale ---


def test_recall_at_each_volume_is_that_of_the_answers_against_brute_force(
    run_here: RunHere, tmp_path: Path
) -> None:
    _, results = run(
        run_here, "recall_at_scale", "embedded", volumes=[300, 1500], k_values=[10],
        query_counts=[1, 25],
    )  # fmt: skip

    for volume in (300, 1500):
        clusters = generate_clusters(volume, 25, 384, seed=SEED)
        answers = embedded_answers(clusters, 10, tmp_path / f"own_{volume}")
        nearest = true_ranking(clusters)[:, :10].tolist()
        hits = [len(set(a) & set(b)) / 10 for a, b in zip(answers, nearest, strict=True)]
        figures = results[f"volume_{volume}"]["k_10"]
        assert figures["recall_at_k_ratio"] == pytest.approx(sum(hits) / 25)
        assert figures["answers_count"] == 25


def test_codes_that_lose_much_have_a_low_recall_and_are_not_wrong(run_here: RunHere) -> None:
    target = "embedded?codes=linear&background=false&stm_capacity=10&im_capacity=10"

    ran, results = run(
        run_here, "recall_at_scale", target, volumes=[2000], k_values=[1], query_counts=[50]
    )

    figures = results["volume_2000"]["k_1"]
    assert figures["searches"]["outcomes"] == {"ok": 50}
    assert 0.2 < figures["recall_at_k_ratio"] < 0.95
    assert "did not succeed" not in " ".join(ran.metadata["warnings"])


def test_errors_are_no_answers_and_take_nothing_from_the_recall(run_here: RunHere) -> None:
    target = "fake?error_one_in=7"  # 1 bulk store, then 20 searches: the 7th, 14th and 21st call

    _, results = run(
        run_here, "recall_at_scale", target, volumes=[100], k_values=[5], query_counts=[20]
    )

    figures = results["volume_100"]["k_5"]
    assert figures["searches"]["outcomes"] == {"ok": 17, "error:TargetError": 3}
    assert (figures["answers_count"], figures["recall_at_k_ratio"]) == (17, 1)


def test_what_was_lost_is_missed(run_here: RunHere) -> None:
    _, results = run(
        run_here,
        "recall_at_scale",
        "fake?loses_one_in=2",
        volumes=[200],
        k_values=[10],
        query_counts=[20],
    )

    nearest = true_ranking(generate_clusters(200, 20, 384, seed=SEED))[:, :10]
    kept = float((nearest % 2 == 0).mean())  # every second store was lost
    assert results["volume_200"]["k_10"]["recall_at_k_ratio"] == pytest.approx(kept)


# --- cross_tier_retrieval ---


def test_a_tier_alone_finds_its_own_and_misses_the_others(run_here: RunHere) -> None:
    params = {"dataset_size": 300, "query_counts": [20], "k_values": [10], "num_samples": 40}

    ran, results = run(run_here, "cross_tier_retrieval", "fake", **params)

    nearest = true_ranking(generate_clusters(300, 20, 384, seed=SEED))[:, :10]
    assert list(results) == ["all", "stm", "im", "ltm"]
    assert results["all"]["k_10"]["recall_of_all_ratio"] == 1
    for tier, first in (("ltm", 0), ("im", 100), ("stm", 200)):  # oldest tier first
        figures = results[tier]["k_10"]
        assert results[tier]["searched_records_count"] == 100
        assert figures["recall_at_k_ratio"] == 1
        share = float(((nearest >= first) & (nearest < first + 100)).mean())
        assert figures["recall_of_all_ratio"] == pytest.approx(share)
        assert ran.counts("search_memory")[tier, "ok"] == 40


def test_what_has_moved_on_is_looked_for_where_it_is(run_here: RunHere) -> None:
    params = {"dataset_size": 90, "query_counts": [10], "k_values": [3], "num_samples": 10}

    _, results = run(
        run_here, "cross_tier_retrieval", "embedded?stm_capacity=10&im_capacity=20", **params
    )

    counts = {tier: results[tier]["searched_records_count"] for tier in results}
    assert counts["all"] == 90 == counts["stm"] + counts["im"] + counts["ltm"]
    assert counts["stm"] <= 10
    assert results["stm"]["k_3"]["recall_at_k_ratio"] == 1
    assert results["stm"]["k_3"]["searches"]["outcomes"] == {"ok": 10}


def test_a_target_without_tiers_is_skipped_with_the_reason(run_here: RunHere) -> None:
    ran = run_here("retrieval", "cross_tier_retrieval", target="fake?lacks=tiers")

    assert ran.metadata["status"] == "skipped"
    assert ran.metadata["reason"] == "target 'fake' lacks tiers"


# --- vector_search_latency ---

LATENCY: dict[str, Any] = {
    "volumes": [50, 200],
    "k_values": [1, 5, 20],
    "dataset_size": 100,
    "query_counts": [1, 10],
    "num_samples": 30,
    "search_rate": 1000,
    "open_loop_seconds": 0.05,
}


def test_every_volume_tier_and_k_is_searched(run_here: RunHere) -> None:
    ran, results = run(run_here, "vector_search_latency", "fake", **LATENCY)

    assert list(results) == ["volume_50", "volume_200", "batches", "open_loop"]
    for volume in (50, 200):
        for tier in ("stm", "im", "ltm"):
            figures = results[f"volume_{volume}"][tier]
            assert figures["searched_records_count"] == volume
            for k in (1, 5, 20):
                assert figures[f"k_{k}"]["outcomes"] == {"ok": 30}
                assert figures[f"k_{k}"]["loop"] == "closed"
    assert ran.counts("search_memory")["ltm", "ok"] == 2 * 3 * 30


def test_batches_and_open_loop_search_everything(run_here: RunHere) -> None:
    _, results = run(run_here, "vector_search_latency", "fake", **LATENCY)

    assert results["batches"]["batch_1"]["outcomes"] == {"ok": 30}
    assert results["batches"]["batch_10"]["outcomes"] == {"ok": 20}  # enough for a median
    open_loop = results["open_loop"]
    assert open_loop["loop"] == "open"
    assert "latency_p50_seconds" in open_loop
    assert open_loop["outcomes"]["ok"] > 10


def test_a_wrong_answer_spoils_the_batch_that_it_is_in(run_here: RunHere) -> None:
    params = LATENCY | {"volumes": [50], "tiers": ["stm"], "k_values": [5], "num_samples": 100}

    ran, results = run(
        run_here, "vector_search_latency", "fake?wrong_neighbours_one_in=7", **params
    )

    assert results["volume_50"]["stm"]["k_5"]["outcomes"] == {"ok": 86, "wrong": 14}
    assert results["batches"]["batch_10"]["outcomes"] == {"wrong": 20}
    assert "did not succeed" in ran.metadata["warnings"][0]


def test_a_case_ends_when_its_time_is_over(run_here: RunHere) -> None:
    params = LATENCY | {"volumes": [50], "tiers": ["stm"], "k_values": [5]}
    slow = {"num_samples": 1_000_000, "case_seconds": 0.001, "query_counts": [1]}

    _, results = run(run_here, "vector_search_latency", "fake", **(params | slow))

    assert results["volume_50"]["stm"]["k_5"]["outcomes"]["ok"] < 1_000_000


def test_a_target_without_vectors_is_asked_for_stored_states(run_here: RunHere) -> None:
    params = LATENCY | {"volumes": [50], "tiers": ["stm"]}

    _, results = run(run_here, "vector_search_latency", "fake?lacks=vectors_in", **params)

    assert results["volume_50"]["stm"]["k_1"]["outcomes"] == {"ok": 30}


def test_a_state_that_does_not_find_itself_is_wrong(run_here: RunHere) -> None:
    params = LATENCY | {"volumes": [50], "tiers": ["stm"]}
    target = "fake?lacks=vectors_in&wrong_neighbours_one_in=3"

    _, results = run(run_here, "vector_search_latency", target, **params)

    assert results["volume_50"]["stm"]["k_5"]["outcomes"] == {"ok": 20, "wrong": 10}


@pytest.mark.parametrize("name", ["search_accuracy", "recall_at_scale"])
def test_what_needs_vectors_is_skipped_where_there_are_none(run_here: RunHere, name: str) -> None:
    ran = run_here("retrieval", name, target="fake?lacks=vectors_in")

    assert ran.metadata["status"] == "skipped"
    assert ran.metadata["reason"] == "target 'fake' lacks vectors_in"


def test_a_target_without_tiers_is_searched_as_a_whole(run_here: RunHere) -> None:
    params = LATENCY | {"volumes": [50]}

    _, results = run(run_here, "vector_search_latency", "langgraph", **params)

    assert list(results["volume_50"]) == ["all"]
    assert results["volume_50"]["all"]["k_5"]["outcomes"] == {"ok": 30}


# --- what makes an answer wrong whatever is near ---


def judged(hits: list[Hit], k: int = 3, tier: str = "", members: Any = None) -> Outcome:
    collection = ClusteredCollection(40, 1, 16, per_cluster=4, seed=SEED)
    scope = collection.scope(tier, k, None if members is None else np.array(members))
    return collection.judge(0, hits, k, scope)


def nearest_hits(count: int) -> list[Hit]:
    collection = ClusteredCollection(40, 1, 16, per_cluster=4, seed=SEED)
    places = true_ranking(collection.clusters)[0, :count].tolist()
    return [
        Hit(f"record_{place}", 1 - rank / 10, AGENT, "stm") for rank, place in enumerate(places)
    ]


def test_the_nearest_are_right_and_fewer_of_them_too() -> None:
    assert judged(nearest_hits(3)) == Outcome.OK
    assert judged(nearest_hits(1)) == Outcome.OK


def test_no_hits_are_an_empty_answer() -> None:
    assert judged([]) == Outcome.EMPTY


@pytest.mark.parametrize(
    "stranger",
    ["record_40", "record_-1", "record_", "other", "record_x", "1", "record_1_1"],
)
def test_a_record_that_was_never_stored_is_wrong(stranger: str) -> None:
    assert judged([*nearest_hits(2), Hit(stranger, 0.1, AGENT)]) == Outcome.WRONG


def test_somebody_else_s_record_is_wrong() -> None:
    hits = nearest_hits(3)
    hits[1] = Hit(hits[1].record_id, hits[1].score, "somebody")

    assert judged(hits) == Outcome.WRONG


def test_the_same_record_twice_is_wrong() -> None:
    assert judged([*nearest_hits(2), nearest_hits(1)[0]]) == Outcome.WRONG


def test_more_than_was_asked_for_is_wrong() -> None:
    assert judged(nearest_hits(3), k=2) == Outcome.WRONG


def test_a_record_of_another_tier_is_wrong() -> None:
    assert judged(nearest_hits(3), tier="stm") == Outcome.OK
    assert judged(nearest_hits(3), tier="ltm") == Outcome.WRONG


def test_a_record_that_is_not_in_the_tier_is_wrong() -> None:
    places = [int(hit.record_id.removeprefix("record_")) for hit in nearest_hits(3)]

    assert judged(nearest_hits(3), tier="stm", members=places) == Outcome.OK
    assert judged(nearest_hits(3), tier="stm", members=sorted(places)[1:]) == Outcome.WRONG


def test_everything_there_is_is_never_wrong() -> None:
    places = [int(hit.record_id.removeprefix("record_")) for hit in nearest_hits(3)]

    assert judged(nearest_hits(3)[::-1], k=3, tier="stm", members=places) == Outcome.OK


def test_the_nearest_in_a_tier_are_named_by_their_places_in_the_whole() -> None:
    collection = ClusteredCollection(40, 3, 16, per_cluster=4, seed=SEED)
    members = np.array([3, 8, 20, 39])

    neighbours = collection.scope("stm", 2, members).neighbours

    assert neighbours is not None
    ranking = true_ranking(collection.clusters)
    for query in range(3):
        expected = [place for place in ranking[query].tolist() if place in members][:2]
        assert neighbours.places[query].tolist() == expected
