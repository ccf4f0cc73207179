"""The conversion of clock readings, against numpy's own."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.workload.stamps import int64_array

REAL_CLOCK = st.integers(2**32, 2**63 - 1)
ANY = st.integers(0, 2**63 - 1)


@given(st.lists(REAL_CLOCK, max_size=300) | st.lists(ANY, max_size=300))
def test_any_list_of_readings_becomes_the_same_array_as_numpy_makes(stamps):
    assert int64_array(stamps).tolist() == stamps


def test_lists_of_every_header_size_are_read_in_place():
    for length in (1, 15, 16, 65_535, 65_536):
        stamps = [2**40 + number for number in range(length)]

        array = int64_array(stamps)

        assert array.dtype == np.int64
        assert array.tolist() == stamps


def test_a_small_reading_between_large_ones_is_not_misread():
    assert int64_array([2**40, 5, 2**40]).tolist() == [2**40, 5, 2**40]
    assert int64_array([2**40, *[5] * 9, 2**40]).tolist() == [2**40, *[5] * 9, 2**40]
