"""Folding batches into series, and merging what was folded."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.measure.recorder import Aggregate, SeriesKey, fold
from agentmem_observe.model import ObservationBatch, Outcome

OUTCOMES = [Outcome.OK, Outcome.EMPTY, Outcome.WRONG, Outcome.TIMEOUT, 4, 5]
ROWS = st.tuples(
    st.integers(0, 10**9),  # lateness
    st.integers(0, 10**9),  # of it, dispatch delay: clipped below
    st.integers(1, 10**9),  # service time
    st.sampled_from(OUTCOMES),
)


def batch_of(rows, operation="create_memory", closed=False):
    lateness, delay, service, outcome = (
        np.array(column, np.int64) for column in zip(*rows, strict=True)
    )
    intended = np.arange(len(rows)) * 1_000_000 + 10**12
    started = intended + lateness
    return ObservationBatch(
        operation,
        "stm",
        started,
        started + service,
        outcome.astype(np.uint8),
        None if closed else intended,
        None if closed else started - np.minimum(delay, lateness),
        ("ConnectionError", "ValueError"),
    )


def counts_and_sums(aggregate):
    return {
        key: {name: (h.count, h.sum_ns) for name, h in series.histograms().items()}
        for key, series in aggregate
    }


@given(st.lists(ROWS, min_size=1, max_size=50))
def test_every_operation_is_in_exactly_one_series_with_its_own_durations(rows):
    aggregate = fold(batch_of(rows))

    expected = {}
    for lateness, delay, service, outcome in rows:
        name = {4: "error:ConnectionError", 5: "error:ValueError"}.get(outcome)
        name = name or Outcome(outcome).name.lower()
        expected.setdefault(SeriesKey("create_memory", "stm", name), []).append(
            (lateness + service, service, lateness, min(delay, lateness))
        )
    assert counts_and_sums(aggregate) == {
        key: {
            name: (len(values), sum(value[i] for value in values))
            for i, name in enumerate(("latency", "service_time", "lateness", "dispatch_delay"))
        }
        for key, values in expected.items()
    }


@given(st.lists(ROWS, min_size=2, max_size=50), st.data())
def test_folding_in_parts_and_merging_is_folding_at_once(rows, data):
    cut = data.draw(st.integers(1, len(rows) - 1))
    parts = Aggregate()

    for part in (rows[cut:], rows[:cut]):
        parts.merge(Aggregate.from_bytes(fold(batch_of(part)).to_bytes()))

    assert dict(parts) == dict(fold(batch_of(rows)))


def test_in_a_closed_loop_latency_is_service_time_and_there_is_no_lateness():
    aggregate = fold(batch_of([(5, 5, 100, Outcome.OK), (7, 0, 300, Outcome.OK)], closed=True))

    total = aggregate.total()
    assert total.latency == total.service_time
    assert total.latency.sum_ns == 400
    assert total.lateness.count == total.dispatch_delay.count == 0


def test_totals_are_of_successful_operations_unless_asked_otherwise():
    aggregate = fold(batch_of([(0, 0, 100, Outcome.OK), (0, 0, 1, 4), (0, 0, 1, Outcome.EMPTY)]))
    aggregate.merge(fold(batch_of([(0, 0, 50, Outcome.OK)], operation="search_memory")))

    assert aggregate.total().service_time.sum_ns == 150
    assert aggregate.total("search_memory").service_time.sum_ns == 50
    assert aggregate.total(outcome=None).service_time.count == 4


def test_outcomes_are_listed_ok_first_then_the_most_frequent():
    rows = [(0, 0, 1, code) for code in (5, 4, 5, Outcome.WRONG, Outcome.OK)]

    aggregate = fold(batch_of(rows))

    assert list(aggregate.outcomes().items()) == [
        ("ok", 1),
        ("error:ValueError", 2),
        ("error:ConnectionError", 1),
        ("wrong", 1),
    ]


def test_merging_leaves_the_other_aggregate_alone():
    first, second = (fold(batch_of([(0, 0, 100, Outcome.OK)])) for _ in range(2))

    empty = Aggregate()
    empty.merge(first)
    empty.merge(second)

    assert first.total().service_time.count == 1
    assert empty.total().service_time.count == 2
