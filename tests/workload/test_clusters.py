"""Clusters have the sizes, the angles and the labels that they are said to have."""

import numpy as np
import pytest

from agentmem_observe.workload.clusters import generate_clusters


def test_clusters_are_of_equal_size_up_to_one() -> None:
    clusters = generate_clusters(103, 5, 32, per_cluster=10)

    assert sorted(set(np.bincount(clusters.labels).tolist())) == [9, 10]
    assert clusters.labels.max() + 1 == 11


def test_all_vectors_are_of_unit_length() -> None:
    clusters = generate_clusters(200, 20, 64)

    for rows in (clusters.vectors, clusters.queries):
        assert rows.dtype == np.float32
        assert np.allclose(np.linalg.norm(rows.astype(np.float64), axis=1), 1, atol=1e-6)


def test_members_of_a_query_s_cluster_are_nearer_to_it_than_its_family_and_that_than_others() -> (
    None
):
    clusters = generate_clusters(2000, 200, 384)

    cosines = clusters.vectors @ clusters.queries.T
    same = clusters.labels[:, None] == clusters.query_labels
    family = (clusters.labels[:, None] // 4 == clusters.query_labels // 4) & ~same
    other = ~same & ~family
    assert 0.7 < np.median(cosines[same]) < 0.85
    assert 0.45 < np.median(cosines[family]) < 0.65
    assert abs(np.median(cosines[other])) < 0.05


@pytest.mark.parametrize("dimensions", [16, 128, 384, 512])
def test_thresholds_of_the_seeds_divide_the_members_of_a_cluster(dimensions: int) -> None:
    clusters = generate_clusters(2000, 100, dimensions)

    cosines = clusters.vectors @ clusters.queries.T
    of_members = cosines[clusters.labels[:, None] == clusters.query_labels]
    shares = [float((of_members >= least).mean()) for least in (0.7, 0.8, 0.9)]
    assert 0.9 > shares[0] > shares[1] > shares[2] > 0.02


def test_no_query_is_one_of_the_vectors() -> None:
    clusters = generate_clusters(500, 100, 128)

    assert float((clusters.vectors @ clusters.queries.T).max()) < 0.999


def test_the_same_seed_gives_the_same_clusters_and_another_does_not() -> None:
    first, again, other = (generate_clusters(50, 5, 32, seed=seed) for seed in (3, 3, 4))

    assert (first.vectors == again.vectors).all()
    assert (first.queries == again.queries).all()
    assert (first.labels == again.labels).all()
    assert not np.allclose(first.vectors, other.vectors)


def test_more_rows_than_a_block_are_all_made() -> None:
    clusters = generate_clusters(10_000, 1, 8, per_cluster=5000)

    assert np.isfinite(clusters.vectors).all()
    assert np.bincount(clusters.labels).tolist() == [5000, 5000]


@pytest.mark.parametrize("wrong", [(0, 1, 8, 1), (1, 0, 8, 1), (1, 1, 7, 1), (1, 1, 8, 0)])
def test_counts_and_dimensions_that_make_no_clusters_are_refused(
    wrong: tuple[int, int, int, int],
) -> None:
    count, queries, dimensions, per_cluster = wrong

    with pytest.raises(ValueError, match="clusters need"):
        generate_clusters(count, queries, dimensions, per_cluster=per_cluster)
