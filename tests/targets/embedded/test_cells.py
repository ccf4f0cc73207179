import threading

import numpy as np
import pytest

from agentmem_observe.targets.embedded.cells import CellShelf
from agentmem_observe.targets.embedded.codes import Int8Codec
from agentmem_observe.targets.embedded.shelf import Scan, nearest

TOPICS = 40


def clustered(count: int, seed: int) -> np.ndarray:
    topics = np.random.default_rng(0).standard_normal((TOPICS, 16))
    random = np.random.default_rng(seed)
    vectors = topics[random.integers(TOPICS, size=count)]
    vectors = vectors + 0.3 * random.standard_normal((count, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def fill(shelf: CellShelf, vectors: np.ndarray, prefix: str) -> None:
    for start in range(0, len(vectors), 100):
        part = vectors[start : start + 100]
        ids = [f"{prefix}{number}" for number in range(start, start + len(part))]
        shelf.add(ids, *shelf.codec.encode(part), numbers=range(start, start + len(part)))


def a_shelf(probed: int = 8, threshold: int = 1_000) -> CellShelf:
    return CellShelf(Int8Codec(16), threshold, probed)


def tidy(shelf: CellShelf) -> None:
    shelf.tidy(threading.Lock(), lambda: False)


def ids_of(shelf: CellShelf, query: np.ndarray, k: int) -> list[str]:
    scan = Scan("ltm", shelf.views(query), *shelf.codec.project(query))
    return [found.record_id for found in nearest([scan], k)]


def test_a_sorted_shelf_scans_a_part_and_finds_nearly_all() -> None:
    vectors, queries = clustered(4_000, 1), clustered(50, 2)
    shelf = a_shelf()
    fill(shelf, vectors, "a")
    flat = [set(ids_of(shelf, query, 10)) for query in queries]

    tidy(shelf)

    scanned = [sum(view.rows for view in shelf.views(query)) for query in queries]
    found = [set(ids_of(shelf, query, 10)) for query in queries]
    recalled = sum(len(truth & hits) for truth, hits in zip(flat, found, strict=True))
    assert max(scanned) < 0.4 * len(vectors)
    assert recalled / 500 > 0.97


def test_sorting_keeps_every_vector_and_number() -> None:
    vectors = clustered(3_000, 1)
    shelf = a_shelf()
    fill(shelf, vectors, "a")
    before = shelf.vectors([f"a{number}" for number in range(3_000)])

    tidy(shelf)

    assert (shelf.vectors([f"a{number}" for number in range(3_000)]) == before).all()
    assert [shelf.number(f"a{number}") for number in range(3_000)] == list(range(3_000))


def test_a_view_taken_before_sorting_and_removal_still_sees_what_was_there() -> None:
    vectors = clustered(2_000, 1)
    shelf = a_shelf()
    fill(shelf, vectors, "a")
    query = vectors[7]
    scan = Scan("ltm", shelf.views(query), *shelf.codec.project(query))
    before = nearest([scan], 2_000)

    shelf.remove("a7")
    tidy(shelf)
    fill(shelf, clustered(500, 3), "b")

    assert nearest([scan], 2_000) == before
    assert "a7" not in ids_of(shelf, query, 2_000)


def test_a_record_removed_while_its_block_is_sorted_stays_removed() -> None:
    shelf = a_shelf()
    fill(shelf, clustered(1_500, 1), "a")

    class RemovingLock:
        """Removes a record just before each time that the sorter gets hold of the shelf."""

        removed = 0

        def __enter__(self) -> None:
            shelf.remove(f"a{self.removed}")
            self.removed += 1

        def __exit__(self, *_: object) -> None:
            pass

    lock = RemovingLock()
    shelf.tidy(lock, lambda: False)  # type: ignore[arg-type]

    gone = {f"a{number}" for number in range(lock.removed)}
    shelf._probed = 10**6
    found = ids_of(shelf, clustered(1, 9)[0], 2_000)
    assert lock.removed > 5
    assert len(shelf) == 1_500 - lock.removed
    assert len(found) == len(set(found)) == len(shelf)
    assert not gone & set(found)


def test_a_shelf_that_has_grown_four_times_learns_new_cells() -> None:
    shelf = a_shelf(probed=1_000)
    fill(shelf, clustered(1_000, 1), "a")
    tidy(shelf)
    few = shelf.cell_count
    fill(shelf, clustered(3_000, 2), "b")
    assert shelf.wants_tidying()

    tidy(shelf)

    assert shelf.cell_count > few
    assert not shelf.wants_tidying()
    assert len(ids_of(shelf, clustered(1, 3)[0], 5_000)) == 4_000


def test_tidying_that_is_stopped_leaves_a_complete_shelf() -> None:
    shelf = a_shelf(probed=1_000)
    fill(shelf, clustered(12_000, 1), "a")
    answers = iter([False, True])

    shelf.tidy(threading.Lock(), lambda: next(answers))

    assert shelf.cell_count > 0
    assert shelf.loose
    assert len(ids_of(shelf, clustered(1, 3)[0], 20_000)) == 12_000


def test_a_small_shelf_has_no_cells() -> None:
    shelf = a_shelf()
    fill(shelf, clustered(900, 1), "a")

    tidy(shelf)

    assert shelf.cell_count == 0


@pytest.mark.parametrize("tidied", [False, True])
def test_a_shelf_from_which_all_is_removed_holds_no_block(tidied: bool) -> None:
    shelf = a_shelf()
    fill(shelf, clustered(1_500, 1), "a")
    if tidied:
        tidy(shelf)

    for number in range(1_500):
        shelf.remove(f"a{number}")

    assert len(shelf) == 0
    assert shelf.vector_bytes() == 0
