"""Drift of a steady soak: creeps, steps, noise, and what cannot be told."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem_observe.analysis.drift import judge_drift
from agentmem_observe.analysis.soak import SoakWindow, thin_windows

HOUR = 3600.0
Shape = Callable[[np.ndarray], np.ndarray]
"""What the service time is multiplied by, at these hours."""


def soak(
    hours: float, shape: Shape = np.ones_like, *, noise: float = 0.02, every: float = 300.0
) -> list[SoakWindow]:
    """Return windows of a millisecond, times a shape, under noise."""
    at = np.arange(1, round(hours * HOUR / every) + 1) * every
    random = np.random.default_rng(1)
    service = 1e-3 * shape(at / HOUR) * np.exp(random.normal(0, noise, at.size))
    return [
        SoakWindow(float(end), every, 1000, None, None, None, 50.0, float(p50), 3 * p50, True)
        for end, p50 in zip(at, service, strict=True)
    ]


def creep(size: float, begin: float, hours: float) -> Shape:
    return lambda at: 1 + size * np.clip((at - begin) / hours, 0, 1)


def step(size: float, begin: float) -> Shape:
    return lambda at: 1 + size * (at >= begin)


def waves(size: float) -> Shape:
    return lambda at: 1 - size * np.cos(2 * np.pi * at / 24)


@pytest.mark.parametrize("size", [0.2, 0.5])
def test_a_creep_over_six_hours_is_drift_and_says_how_much_and_since_when(size: float) -> None:
    verdict = judge_drift(soak(44, creep(size, begin=30, hours=6), noise=0.01))

    low, high = verdict.interval or (math.nan, math.nan)
    assert verdict.verdict == "slower"
    assert verdict.ratio == pytest.approx(1 + size, rel=0.02)
    assert 1 < low <= verdict.ratio <= high
    assert verdict.since_seconds is not None
    assert verdict.since_seconds == pytest.approx(33 * HOUR, abs=HOUR / 2)


def test_ten_percent_is_called_after_three_days_and_not_before() -> None:
    early = judge_drift(soak(60, step(0.12, begin=50)))
    late = judge_drift(soak(90, step(0.12, begin=80)))

    assert (early.verdict, late.verdict) == ("unknown", "slower")
    assert "soak longer" in early.reasons[0]
    assert "limit 1.1 after 72 h" in late.reasons[0]


def test_a_step_is_drift_since_its_half_hour() -> None:
    verdict = judge_drift(soak(40, step(0.3, begin=35)))

    assert (verdict.verdict, verdict.since_seconds) == ("slower", 35 * HOUR)
    assert "half of it since 5 h 00 min ago" in verdict.reasons[0]


def test_it_is_faster_after_a_step_down() -> None:
    verdict = judge_drift(soak(40, step(-0.3, begin=35)))

    assert verdict.verdict == "faster"
    assert verdict.ratio == pytest.approx(0.7, rel=0.02)


def test_what_was_slower_for_an_hour_alone_is_no_drift() -> None:
    bout = judge_drift(soak(40, lambda at: 1 + (at >= 39)))
    over = judge_drift(soak(44, lambda at: 1 + ((at >= 39) & (at < 40))))

    assert (bout.verdict, over.verdict) == ("none", "none")


def test_noise_of_a_steady_target_is_no_drift() -> None:
    verdict = judge_drift(soak(40, noise=0.2))

    assert (verdict.verdict, verdict.since_seconds) == ("none", None)
    assert "limit 1.15 after 27 h" in verdict.reasons[0]


def test_a_wave_over_the_day_is_no_drift_once_a_day_was_seen() -> None:
    verdicts = {judge_drift(soak(hours, waves(0.3))).verdict for hours in range(28, 90, 2)}

    assert verdicts == {"none"}


def test_a_half_hour_is_judged_when_it_is_over() -> None:
    windows = soak(40.4, step(9.0, begin=40))
    over = [window for window in windows if window.at_seconds <= 40 * HOUR - 300]

    meanwhile = judge_drift(windows)

    assert meanwhile.ratio == pytest.approx(judge_drift(over).ratio, rel=0.01)
    assert max(meanwhile.interval or (9,)) < 2


def test_on_the_first_day_a_wave_is_unknown_rather_than_drift() -> None:
    verdict = judge_drift(soak(9, waves(0.12)))

    assert verdict.verdict == "unknown"
    assert "time of day" in verdict.reasons[0]


def test_on_the_first_day_half_as_much_again_is_drift() -> None:
    assert judge_drift(soak(9, step(0.5, begin=5))).verdict == "slower"


def test_the_warm_up_is_left_out() -> None:
    cold = soak(8, lambda at: np.where(at <= 0.5, 20.0, 1.0))

    verdict = judge_drift(cold)

    low, _ = verdict.interval or (0.0, 0.0)
    assert verdict.verdict == "none"
    assert low > 0.9
    assert verdict.ratio == pytest.approx(1.0, rel=0.02)


def test_windows_that_are_not_trusted_or_in_which_nothing_succeeded_are_left_out() -> None:
    windows = soak(40)
    spoiled = [
        replace(window, service_p50_seconds=1.0, trusted=False)
        if number % 3 == 0
        else replace(window, service_p50_seconds=None)
        if number % 7 == 0
        else window
        for number, window in enumerate(windows)
    ]

    verdict = judge_drift(spoiled)

    assert verdict.verdict == "none"
    assert verdict.ratio == pytest.approx(1.0, rel=0.01)


def test_a_target_that_is_not_trusted_lately_is_unknown() -> None:
    windows = [replace(window, trusted=window.at_seconds < 38 * HOUR) for window in soak(40)]

    verdict = judge_drift(windows)

    assert verdict.verdict == "unknown"
    assert "trusted windows cover 31% of the newest 3 h 00 min (limit 50%)" in verdict.reasons[0]


def test_pauses_do_not_matter_as_long_as_half_is_there() -> None:
    windows = [
        window for window in soak(40, step(0.3, begin=30)) if window.at_seconds % HOUR > 900
    ]

    assert judge_drift(windows).verdict == "slower"


def test_another_load_explains_another_latency() -> None:
    windows = [
        replace(window, load=80.0 if window.at_seconds > 35 * HOUR else 50.0)
        for window in soak(40, step(0.5, begin=35))
    ]

    verdict = judge_drift(windows)

    assert verdict.verdict == "unknown"
    assert "the load was 50.0/s and is 80.0/s" in verdict.reasons[0]


def test_the_99th_percentile_is_judged_on_request() -> None:
    windows = [
        replace(window, service_p99_seconds=9e-3 if window.at_seconds > 35 * HOUR else 3e-3)
        for window in soak(40)
    ]

    median, tail = judge_drift(windows), judge_drift(windows, percentile="p99")

    assert (median.verdict, tail.verdict) == ("none", "slower")
    assert "the 99th percentile of the service time is 9.00 ms" in tail.reasons[0]


def test_windows_longer_than_half_an_hour_are_judged_as_well() -> None:
    windows = soak(60, step(0.3, begin=50), every=2700.0)

    assert judge_drift(windows).verdict == "slower"


@pytest.mark.parametrize(
    ("hours", "said"), [(0, "no window"), (0.25, "observed for 0 s"), (5.5, "limit 5 h 30 min")]
)
def test_a_short_soak_is_unknown_and_says_what_is_missing(hours: float, said: str) -> None:
    verdict = judge_drift(soak(hours))

    assert (verdict.verdict, verdict.ratio) == ("unknown", None)
    assert said in verdict.reasons[0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_and_infinity_are_refused(value: float) -> None:
    windows = soak(1)
    windows[3] = replace(windows[3], service_p50_seconds=value)

    with pytest.raises(ValueError, match="service_p50_seconds of window 3"):
        judge_drift(windows)


def test_a_service_time_of_nothing_and_windows_out_of_order_are_refused() -> None:
    windows = soak(10)

    with pytest.raises(ValueError, match="must be > 0"):
        judge_drift([*windows[:-1], replace(windows[-1], service_p50_seconds=0.0)])
    with pytest.raises(ValueError, match="ascend"):
        judge_drift(windows[::-1])


@settings(max_examples=20, deadline=None)
@given(
    factor=st.floats(1e-3, 1e3),
    days=st.integers(-500, 500),
    size=st.sampled_from([0.0, -0.4, 0.4]),
)
def test_the_verdict_is_the_same_in_other_units_and_on_another_day(
    factor: float, days: int, size: float
) -> None:
    windows = soak(30, step(size, begin=25))
    moved = [
        replace(
            window,
            at_seconds=window.at_seconds + 24 * HOUR * days,
            service_p50_seconds=(window.service_p50_seconds or 0) * factor,
        )
        for window in windows
    ]

    here, there = judge_drift(windows), judge_drift(moved)

    assert here.verdict == there.verdict
    assert here.ratio == pytest.approx(there.ratio)
    assert here.interval == pytest.approx(there.interval)


def test_slower_and_faster_are_mirror_images() -> None:
    windows = soak(40, creep(0.5, begin=30, hours=6))
    mirrored = [
        replace(window, service_p50_seconds=1e-6 / (window.service_p50_seconds or 1))
        for window in windows
    ]

    slower, faster = judge_drift(windows), judge_drift(mirrored)

    assert (slower.verdict, faster.verdict) == ("slower", "faster")
    assert faster.ratio == pytest.approx(1 / (slower.ratio or 0))
    assert faster.since_seconds == slower.since_seconds


def test_windows_in_a_deque_are_judged_as_in_a_list() -> None:
    windows = soak(40, step(0.3, begin=35))

    assert judge_drift(deque(windows)) == judge_drift(windows)


def kept(windows: Sequence[SoakWindow], most: int) -> list[SoakWindow]:
    """Return what is left if windows are thinned as they come."""
    held: list[SoakWindow] = []
    for window in windows:
        held = thin_windows([*held, window], most)
    return held


def test_thinned_windows_say_the_same_about_days_in_a_fraction_of_the_room() -> None:
    windows = soak(96, creep(0.3, begin=80, hours=6), every=120.0)

    whole, thin = judge_drift(windows), judge_drift(kept(windows, most=600))

    assert whole.verdict == thin.verdict == "slower"
    assert thin.ratio == pytest.approx(whole.ratio, rel=0.01)
    assert thin.since_seconds == whole.since_seconds
