"""What answers to searches are worth: how near they come, how well they tell clusters apart."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from agentmem_observe.analysis.ranking import f1_at_k, ndcg_at_k, precision_at_k, recall_at_k
from agentmem_observe.suite.retrieval.collection import ClusteredCollection, Scope


class Answer(NamedTuple):
    """One answer that was not an error; the garbage collector need not look into it.

    Attributes:
        query: The number of the query.
        places: Positions of the records found, best first; -1 for one that was never stored.
    """

    query: int
    places: tuple[int, ...]


def exact_answers(scope: Scope) -> list[Answer]:
    """Return what an exact search answers to each query, as deep as the scope is known."""
    assert scope.neighbours is not None
    found = scope.neighbours.places.tolist()
    return [Answer(number, tuple(places)) for number, places in enumerate(found)]


def recall(
    collection: ClusteredCollection, answers: Sequence[Answer], k: int, scope: Scope
) -> dict[str, Any]:
    """Return recall@k: the share of the k exactly nearest records that answers have.

    Returns:
        Mean, smallest, and how many answers that is; no ratios if there are none.
    """
    recalls = [collection.recall(answer.query, answer.places, k, scope) for answer in answers]
    ratios = {
        "recall_at_k_ratio": float(np.mean(recalls)),
        "recall_at_k_min_ratio": min(recalls),
    } if recalls else {}  # fmt: skip
    return ratios | {"answers_count": len(recalls)}


def accuracy(
    collection: ClusteredCollection, answers: Sequence[Answer], k: int
) -> dict[str, float]:
    """Return how well answers to a request for ``k`` tell the query's cluster from the others.

    A record is relevant if it is of the cluster that the query was made for.

    Returns:
        Means over the answers; nothing if there are none.
    """
    if not answers:
        return {}
    asked = [(answer.places, collection.relevant(answer.query)) for answer in answers]
    return {
        "precision_ratio": _mean(precision_at_k(found, wanted, k) for found, wanted in asked),
        "recall_ratio": _mean(recall_at_k(found, wanted, k) for found, wanted in asked),
        "f1_ratio": _mean(f1_at_k(found, wanted, k) for found, wanted in asked),
        "ndcg_ratio": _mean(
            ndcg_at_k(found, dict.fromkeys(wanted, 1.0), k) for found, wanted in asked
        ),
    }


def accuracy_above(
    collection: ClusteredCollection, answers: Sequence[Answer], least_cosine: float
) -> dict[str, float]:
    """Return how well those hits that are near enough tell the query's cluster from the others.

    Args:
        collection: Knows the clusters.
        answers: What was found.
        least_cosine: Least true cosine with the query, computed here and not by the target: what
            a target calls its score is comparable within one answer only.

    Returns:
        Precision of all these hits, recall of all relevant records, and their F1. There is no
        precision without a hit.
    """
    right = found = relevant = 0
    for answer in answers:
        near = collection.near(answer.query, answer.places, least_cosine)
        wanted = collection.relevant(answer.query)
        right, found, relevant = (
            right + len(near & wanted),
            found + len(near),
            relevant + len(wanted),
        )
    figures: dict[str, float] = {"hits_count": found}
    if found:
        figures["precision_ratio"] = right / found
    if relevant:
        figures["recall_ratio"] = right / relevant
        figures["f1_ratio"] = 2 * right / (found + relevant)
    return figures


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
