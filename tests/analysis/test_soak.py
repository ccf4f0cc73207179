"""A soak judged window by window: leaks, what only looks like one, and what cannot be told."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem_observe.analysis.soak import Counts, SoakWindow, judge_leak, thin_windows
from agentmem_observe.suite.self.soak_cases import first_leak

LEAST = 30
OPERATIONS = 3_000
MIB = 2**20


def soak(
    blocks: Sequence[float] | None,
    *,
    operations: Sequence[int] | None = None,
    resident: Sequence[float] | None = None,
    stored: Sequence[float] | None = None,
    windows: int = 0,
    every: float = 60.0,
) -> list[SoakWindow]:
    """Return the windows of a soak with these figures, one after the other."""
    count = windows or len(blocks if blocks is not None else resident or ())
    return [
        SoakWindow(
            at_seconds=every * (number + 1),
            seconds=every,
            operations=OPERATIONS if operations is None else operations[number],
            blocks=None if blocks is None else round(blocks[number]),
            resident_bytes=None if resident is None else float(resident[number]),
            stored_bytes=None if stored is None else float(stored[number]),
            load=50.0,
            service_p50_seconds=1e-3,
            service_p99_seconds=2e-3,
            trusted=True,
        )
        for number in range(count)
    ]


def looks(windows: Sequence[SoakWindow], least: int = LEAST) -> list[str]:
    """Return the verdict after each window."""
    return [
        judge_leak(windows[:end], least_windows=least).verdict
        for end in range(1, len(windows) + 1)
    ]


def jitter(count: int, spread: float = 10.0, seed: int = 1) -> np.ndarray:
    return 80_000 + np.random.default_rng(seed).normal(0, spread, count)


def test_a_steady_leak_is_suspected_first_and_a_leak_once_it_lasted() -> None:
    windows = soak(80_000 + 30.0 * np.arange(60))

    verdicts = looks(windows)

    first = verdicts.index("leak")
    assert set(verdicts[:10]) == {"unknown"}
    assert "suspected" in verdicts[:first]
    assert first + 1 == LEAST + 2
    assert set(verdicts[first:]) == {"leak"}


def test_one_object_in_a_thousand_operations_is_found_under_jitter_of_tens_of_blocks() -> None:
    leaked = np.arange(200) * OPERATIONS / 1000

    verdict = judge_leak(soak(jitter(200) + leaked))

    assert verdict.verdict == "leak"
    assert verdict.blocks_per_operation == pytest.approx(1e-3, rel=0.2)
    assert "per 1,000 operations (limit 0.5)" in verdict.reasons[0]
    assert "tracemalloc" in verdict.reasons[0]


def test_a_weak_leak_under_noise_is_suspected_from_window_to_window_until_it_is_called() -> None:
    verdicts = looks(soak(jitter(320, spread=16) + 2.0 * np.arange(320), operations=[500] * 320))

    first = verdicts.index("leak")
    assert set(verdicts[first - 100 : first]) == {"suspected"}
    assert set(verdicts[first:]) <= {"leak", "suspected"}


def test_jitter_alone_is_no_leak_at_any_look() -> None:
    verdicts = looks(soak(jitter(300, spread=30)))

    assert set(verdicts[LEAST + 2 :]) == {"none"}
    assert "leak" not in verdicts


@pytest.mark.parametrize("share", [1 / 3, 1 / 2])
def test_a_cache_that_fills_at_a_steady_pace_and_stops_is_never_called_a_leak(
    share: float,
) -> None:
    filling = np.minimum(np.arange(120) / (share * LEAST), 1.0) * 50_000

    verdicts = looks(soak(jitter(120, spread=5) + filling))

    assert "leak" not in verdicts
    assert verdicts[-1] == "none"


@pytest.mark.parametrize("share", [1 / 6, 1 / 3, 1 / 2, 1.0])
def test_a_cache_that_fills_with_random_keys_is_never_called_a_leak(share: float) -> None:
    filling = (1 - np.exp(-np.arange(400) / (share * LEAST))) * 50_000

    verdicts = looks(soak(jitter(400, spread=5) + filling))

    assert "leak" not in verdicts
    assert verdicts[-1] == "none"


def test_noise_that_wanders_far_is_next_to_never_called_a_leak() -> None:
    random = np.random.default_rng(4)
    walks = np.cumsum(random.normal(0, 20, (60, 200)), axis=1)

    called = first_leak(Counts(np.arange(1.0, 201) * OPERATIONS, 80_000 + walks))

    assert np.isfinite(called).sum() <= 2  # 5 if rises need not be alike


def test_steps_that_happen_once_are_no_leaks() -> None:
    steps = 700.0 * (np.arange(150) >= 40) + 9_000.0 * (np.arange(150) >= 90)

    assert "leak" not in looks(soak(jitter(150) + steps))


def test_a_step_in_the_midst_of_a_leak_does_not_hide_it() -> None:
    leaked = 30.0 * np.arange(100) + 5_000.0 * (np.arange(100) >= 60)

    verdict = judge_leak(soak(jitter(100, spread=3) + leaked))

    assert verdict.verdict == "leak"
    assert verdict.blocks_per_operation == pytest.approx(0.01, rel=0.1)


def test_teeth_of_a_clean_up_that_comes_late_are_no_leak_once_they_were_seen() -> None:
    teeth = (np.arange(400) % 45) * 20.0

    verdicts = looks(soak(jitter(400, spread=1) + teeth))

    assert "leak" not in verdicts[46:]


def test_a_leak_that_starts_after_days_is_found() -> None:
    leaked = np.maximum(np.arange(2000) - 1900, 0) * 30.0

    verdict = judge_leak(soak(jitter(2000) + leaked))

    assert verdict.verdict == "leak"
    assert "newest" in verdict.reasons[0]


def test_windows_of_any_length_with_pauses_between_are_judged_by_their_operations() -> None:
    random = np.random.default_rng(3)
    operations = random.integers(300, 6_000, 120)
    leaked = np.cumsum(operations) / 100
    windows = soak(80_000 + leaked, operations=[int(each) for each in operations])
    paused = [
        replace(window, at_seconds=window.at_seconds + 3_000 * (number // 20), seconds=7.0)
        for number, window in enumerate(windows)
    ]

    verdict = judge_leak(paused)

    assert verdict.verdict == "leak"
    assert verdict.blocks_per_operation == pytest.approx(0.01, rel=0.02)


def test_windows_whose_blocks_are_not_known_still_count_with_their_operations() -> None:
    windows = soak(80_000 + 30.0 * np.arange(120))
    known = [
        replace(window, blocks=None) if number % 3 else window
        for number, window in enumerate(windows)
    ]

    verdict = judge_leak(known)

    assert verdict.verdict == "leak"
    assert verdict.blocks_per_operation == pytest.approx(0.01)


def test_growth_of_the_stored_records_is_not_a_leak_and_the_reason_says_so() -> None:
    stored = 1e6 + 6_000.0 * np.arange(100)
    blocks = 80_000 + stored / 8

    verdict = judge_leak(soak(blocks, stored=list(stored)))
    blind = judge_leak(soak(blocks))

    assert (verdict.verdict, blind.verdict) == ("none", "leak")
    assert "constant set of records" in verdict.reasons[0]


def test_a_ramp_as_high_as_the_cursors_that_sqlite_forgets_is_suspected_however_long() -> None:
    ramp = 450 * np.arange(400) / 400

    verdict = judge_leak(soak(80_000 + ramp, operations=[500] * 400))

    assert verdict.verdict == "suspected"
    assert "500 blocks" in verdict.reasons[0]


def test_a_leak_has_the_slope_of_the_resident_bytes() -> None:
    resident = 300 * MIB + 0.25 * MIB * np.arange(60)

    verdict = judge_leak(soak(80_000 + 900.0 * np.arange(60), resident=list(resident)))

    low, high = verdict.slope_interval or (math.nan, math.nan)
    assert verdict.slope_bytes_per_second == pytest.approx(0.25 * MIB / 60)
    assert low <= 0.25 * MIB / 60 <= high
    assert verdict.bytes_per_operation == pytest.approx(0.25 * MIB / 60 / 50)


def test_where_no_blocks_are_counted_the_floor_of_rss_is_judged() -> None:
    at = np.arange(360)
    noise = np.random.default_rng(2).normal(0, 0.3, at.size)
    clean = (300 + noise) * MIB
    leaking = clean + at / 60 * 40 * MIB

    found = [judge_leak(soak(None, resident=list(rss))) for rss in (clean, leaking)]
    verdicts, per_operation = [each.verdict for each in found], found[1].bytes_per_operation
    short = judge_leak(soak(None, resident=list(leaking[:60])))

    assert verdicts == ["none", "leak"]
    assert per_operation == pytest.approx(40 * MIB / 3600 / 50, rel=0.1)
    assert short.verdict == "unknown"
    assert "limit 3 h 40 min" in short.reasons[0]


def test_windows_of_half_an_hour_are_judged_by_their_least_rss() -> None:
    resident = 300 * MIB + 40 * MIB * np.arange(20) / 2

    verdict = judge_leak(soak(None, resident=list(resident), every=1800.0))

    assert verdict.verdict == "leak"


def test_without_blocks_and_rss_nothing_is_known() -> None:
    verdict = judge_leak(soak(None, windows=50))

    assert verdict.verdict == "unknown"
    assert "neither blocks nor RSS" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("count", "said"), [(0, "no window has ended"), (1, "1 windows (limit 32)"), (31, "limit 32")]
)
def test_a_short_soak_is_unknown_and_says_what_is_missing(count: int, said: str) -> None:
    verdict = judge_leak(soak(jitter(count)))

    assert verdict.verdict == "unknown"
    assert said in verdict.reasons[0]


@pytest.mark.parametrize(
    "field", ["at_seconds", "seconds", "resident_bytes", "stored_bytes", "load"]
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_and_infinity_are_refused_with_the_name_of_the_figure(
    field: str, value: float
) -> None:
    windows = soak(jitter(3))
    windows[1] = replace(windows[1], **{field: value})

    with pytest.raises(ValueError, match=f"{field} of window 1"):
        judge_leak(windows)


def test_windows_out_of_order_without_length_and_a_limit_of_none_are_refused() -> None:
    windows = soak(jitter(3))

    with pytest.raises(ValueError, match="ascend"):
        judge_leak(windows[::-1])
    with pytest.raises(ValueError, match="0 s"):
        judge_leak([replace(windows[0], seconds=0)])
    with pytest.raises(ValueError, match="least_windows is 0"):
        judge_leak(windows, least_windows=0)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    leak=st.sampled_from([0.0, 2.0, 40.0]),
    base=st.integers(1, 10**7),
    later=st.floats(-1e6, 1e6),
)
def test_the_verdict_depends_neither_on_the_level_nor_on_the_time_of_day(
    seed: int, leak: float, base: int, later: float
) -> None:
    blocks = np.round(jitter(80, seed=seed) + leak * np.arange(80))
    windows = soak(blocks)
    moved = [
        replace(window, blocks=(window.blocks or 0) + base, at_seconds=window.at_seconds + later)
        for window in windows
    ]

    here, there = judge_leak(windows), judge_leak(moved)

    assert here == there


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.integers(2, 50), leak=st.sampled_from([0.0, 30.0]))
def test_so_many_times_the_blocks_and_operations_make_the_same_verdict(
    seed: int, factor: int, leak: float
) -> None:
    blocks = np.round(jitter(60, seed=seed) + leak * np.arange(60))

    once = judge_leak(soak(blocks))
    often = judge_leak(soak(blocks * factor, operations=[OPERATIONS * factor] * 60))

    assert once.verdict == often.verdict
    assert once.blocks_per_operation == pytest.approx(often.blocks_per_operation)


def test_thinning_keeps_the_newest_half_and_every_operation_until_it_forgets() -> None:
    windows = soak(jitter(300), resident=list(1e8 + np.arange(300)))

    thin: list[SoakWindow] = []
    for window in windows:
        thin = thin_windows([*thin, window], most=100)

    assert len(thin) <= 100
    assert thin[-50:] == windows[-50:]
    assert sum(window.operations for window in thin) == 300 * OPERATIONS
    assert max(window.seconds for window in thin) == 1800
    assert thin[0].resident_bytes == 1e8


@pytest.mark.parametrize("leak", [0.0, 30.0])
def test_windows_in_a_deque_are_judged_as_in_a_list(leak: float) -> None:
    windows = soak(jitter(60) + leak * np.arange(60), resident=list(1e8 + np.arange(60)))

    assert judge_leak(deque(windows)) == judge_leak(windows)
    assert thin_windows(deque(windows), most=20) == thin_windows(windows, most=20)


def test_thinning_forgets_the_oldest_when_half_hours_do_not_fit_either() -> None:
    windows = soak(jitter(20), every=3600.0)

    assert thin_windows(windows, most=8) == windows[-8:]


def test_a_merged_window_tells_the_latency_of_its_trusted_half() -> None:
    windows = soak(jitter(4))
    windows[0] = replace(windows[0], trusted=False, service_p50_seconds=9.0)

    merged = thin_windows(windows, most=3)[0]

    assert (merged.trusted, merged.service_p50_seconds) == (True, 1e-3)
    assert (merged.seconds, merged.operations) == (180, 3 * OPERATIONS)
    assert merged.blocks == windows[2].blocks


def test_a_leak_is_found_in_thinned_windows() -> None:
    windows = soak(jitter(3000) + 3.0 * np.arange(3000))

    thin: list[SoakWindow] = []
    for window in windows:
        thin = thin_windows([*thin, window], most=200)

    assert judge_leak(thin).verdict == "leak"
    assert judge_leak(thin).blocks_per_operation == pytest.approx(1e-3, rel=0.1)
