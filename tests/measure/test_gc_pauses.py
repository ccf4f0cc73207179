import gc
from collections.abc import Iterator

import pytest

from agentmem_observe.clock import FakeClock
from agentmem_observe.measure.gc_pauses import GcPauses, GenerationPauses


@pytest.fixture(autouse=True)
def _only_collections_of_the_test() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def collect(pauses_clock: FakeClock, generation: int, seconds: float) -> None:
    """Collect, with a finaliser that takes virtual time: the pause has a known length."""

    class Slow:
        def __del__(self) -> None:
            pauses_clock.advance(seconds)

    gc.collect()
    ring = Slow()
    ring.self = ring  # type: ignore[attr-defined]  # a cycle, which only a collection frees
    del ring
    gc.collect(generation)


def test_pauses_are_exact_per_generation() -> None:
    clock = FakeClock()

    with GcPauses(clock.now_ns) as pauses:
        before = pauses.generations()[2].collections_total
        collect(clock, generation=0, seconds=0.005)
        collect(clock, generation=0, seconds=0.002)

    assert pauses.generations()[0] == GenerationPauses(2, 0.007, 0.005)
    assert pauses.generations()[1] == GenerationPauses(0, 0.0, 0.0)
    assert pauses.generations()[2].collections_total == before + 2


def test_the_result_has_totals_and_each_generation() -> None:
    clock = FakeClock()

    with GcPauses(clock.now_ns) as pauses:
        collect(clock, generation=1, seconds=0.25)

    figures = pauses.to_dict()
    assert figures["gc_collections_total"] == 2
    assert figures["gc_pause_seconds"] == 0.25
    assert figures["gc_max_pause_seconds"] == 0.25
    assert figures["generations"][1] == {
        "collections_total": 1,
        "pause_seconds": 0.25,
        "max_pause_seconds": 0.25,
    }


def test_nothing_is_counted_outside_the_context() -> None:
    pauses = GcPauses()

    gc.collect()
    with pauses:
        pass
    gc.collect()

    assert pauses.to_dict()["gc_collections_total"] == 0


def test_the_callback_is_gone_afterwards_even_after_an_exception() -> None:
    callbacks = list(gc.callbacks)

    with pytest.raises(KeyError), GcPauses():
        raise KeyError

    assert gc.callbacks == callbacks


def test_entering_again_goes_on_counting() -> None:
    pauses = GcPauses()

    for _ in range(2):
        with pauses:
            gc.collect()

    assert pauses.generations()[2].collections_total == 2


def test_a_second_entry_would_count_twice_and_is_refused() -> None:
    with GcPauses() as pauses, pytest.raises(RuntimeError, match="count twice"), pauses:
        pass


def test_a_collection_that_began_before_the_context_is_not_counted() -> None:
    pauses = GcPauses(FakeClock().now_ns)

    class Enters:
        def __del__(self) -> None:
            pauses.__enter__()

    ring = Enters()
    ring.self = ring  # type: ignore[attr-defined]  # a cycle, which only a collection frees
    del ring
    gc.collect()
    pauses.__exit__(None, None, None)

    assert pauses.to_dict()["gc_collections_total"] == 0
