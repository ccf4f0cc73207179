"""What people write as a length of time or a size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.units import format_period, parse_bytes, parse_period


@pytest.mark.parametrize(
    "text",
    ["", "5", "-5s", "1.5h", "1h 30m", "30m1h", "1h1h", "s", "5S", "1d\n", "٣s", "1" * 13 + "s"],
)
def test_what_is_no_period_is_refused(text):
    with pytest.raises(ValueError, match="no period such as 1h30m"):
        parse_period(text)


@pytest.mark.parametrize(
    "text",
    ["", "5", "-5B", "5iB", "5 b", "1,5GB", "2Gb", "2gB", "2GB ", "1e3B", "٣GB", "GB", ".5GB"],
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="no size such as 2GB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0B", 0),
        ("1kB", 1000),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("3TiB", 3 * 2**40),
        ("0.5 MB", 500_000),
    ],
)
def test_sizes(text, size):
    assert parse_bytes(text) == size


@given(counts=st.lists(st.integers(0, 999), min_size=7, max_size=7))
def test_periods_are_the_sum_of_their_parts(counts):
    names = ("y", "w", "d", "h", "m", "s", "ms")
    seconds = (31_536_000, 604_800, 86_400, 3600, 60, 1, 0.001)
    parts = list(zip(counts, names, strict=True))

    whole = parse_period("".join(f"{count}{name}" for count, name in parts))

    assert whole == pytest.approx(sum(n * each for n, each in zip(counts, seconds, strict=True)))


@given(milliseconds=st.integers(0, 10**10))
def test_what_is_shown_of_a_period_can_be_written_again(milliseconds):
    shown = format_period(milliseconds / 1000)

    assert parse_period(shown.replace("min", "m").replace(" ", "")) == milliseconds / 1000
