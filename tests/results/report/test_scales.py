import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.results.report.chart import thinned
from agentmem_observe.results.report.markup import el, markup, plain
from agentmem_observe.results.report.scales import CHARACTER_WIDTH, Axis, around, byte_axis
from agentmem_observe.results.shown import show

MEASURED = st.floats(-1e30, 1e30).filter(lambda value: value == 0 or abs(value) > 1e-30)
KINDS = st.sampled_from(["linear", "log"])


@given(st.lists(MEASURED, min_size=1), KINDS)
def test_an_axis_around_values_has_a_place_for_each(values, kind):
    low, high = around(values, kind)

    axis = Axis("", kind, low, high, str)
    assert low < high
    for value in values:
        assert axis.holds(value) or (kind == "log" and value <= 0)


@given(st.lists(MEASURED, min_size=1), KINDS, st.floats(80, 1000))
def test_labels_never_touch(values, kind, length):
    axis = Axis("", kind, *around(values, kind), lambda value: f"{value:.6g}")

    ticks = axis.ticks(length, across=True)

    ends = [
        (axis.place(v) * length - len(t) * CHARACTER_WIDTH / 2, len(t) * CHARACTER_WIDTH)
        for v, t in ticks
    ]
    for (left, width), (following, _) in itertools.pairwise(ends):
        assert left + width < following


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (Axis("", "linear", 0, 10, "{:g}".format), ["0", "2", "4", "6", "8", "10"]),
        (Axis("", "log", 1, 100, "{:g}".format), ["1", "2", "5", "10", "20", "50", "100"]),
        (Axis("", "log", 1, 1e4, "{:g}".format), ["1", "10", "100", "1000", "10000"]),
        (
            Axis("", "percentile", 0, 99.99, "{:g}".format),
            ["0", "50", "90", "99", "99.9", "99.99"],
        ),
        (Axis("", "log", 1, 500, "{:g}".format, [1, 10, 500]), ["1", "10", "500"]),
    ],
)
def test_ticks_are_at_round_values(axis, expected):
    assert [text for _, text in axis.ticks(600, across=True)] == expected


def test_of_labels_that_would_touch_the_ends_stay():
    axis = Axis("", "log", 1, 500, "{:,.0f}".format, [1, 10, 50, 100, 500])

    labels = [text for _, text in axis.ticks(80, across=True)]

    assert (labels[0], labels[-1]) == ("1", "500")
    assert len(labels) < 5


def test_each_nine_is_as_far_on_as_the_last():
    axis = Axis("", "percentile", 0, 99.9, str)

    assert [axis.place(q) for q in (0, 90, 99, 99.9)] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_bytes_have_round_ticks_of_their_own_unit():
    axis = byte_axis("RSS", [55 * 2**20, 72 * 2**20])

    assert [text for _, text in axis.ticks(200, across=False)] == [
        "0 B",
        "20 MiB",
        "40 MiB",
        "60 MiB",
        "80 MiB",
    ]


@given(st.lists(st.floats(-1e6, 1e6), max_size=2000), st.integers(4, 300))
def test_a_thinned_line_keeps_its_extremes(values, most):
    points = list(enumerate(values))

    kept = thinned(points, most)

    assert len(kept) <= most + 2
    assert kept == sorted(kept)
    assert set(kept) <= set(points)
    if values:
        assert max(y for _, y in kept) == max(values)
        assert min(y for _, y in kept) == min(values)


@given(st.text())
def test_any_text_becomes_text_that_utf_8_can_hold(text):
    html = markup(el("p", text, title=text))

    html.encode("utf-8")
    assert "<" not in html[2:].partition(">")[2].removesuffix("</p>")
    assert plain(plain(text)) == plain(text)


@given(
    st.integers() | st.floats(),
    st.sampled_from(["a_seconds", "b_bytes", "c_per_second", "d_percent", "e_ms", "f"]),
)
def test_any_number_can_be_shown(value, name):
    shown = show(value, [name])

    assert shown
    if isinstance(value, float) and math.isnan(value):
        assert shown == "NaN"
