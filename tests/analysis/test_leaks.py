"""The leak detectors on small seeded soaks: a leak, what is none, and what cannot be told."""

from dataclasses import replace

import numpy as np
import pytest

from agentmem_observe.analysis.floors import PASSIVE, QUIESCED, Limit, first_alarm_seconds
from agentmem_observe.analysis.leaks import (
    LeakVerdict,
    judge_cycles,
    judge_floor,
    theil_sen,
    time_to_limit,
)
from agentmem_observe.suite.self import leak_cases
from agentmem_observe.suite.self.leak_cases import (
    PASSIVE_MODELS,
    QUIESCED_MODELS,
    Cell,
    passive,
    quiesced,
)

MIB = 2**20
HOUR = 3600.0
SEED = 5
SOAKS = 4
NEVER = Limit(3 * HOUR, growth_per_day_ratio=1e9, rising_share=1.0)
"""Makes a rule judge from three hours on, and reaches nothing itself."""


def plain_soak(
    hours: float = 6.0, leak_mib_per_hour: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return times and RSS of a process that warms up, wanders by 1 MiB, and may leak."""
    random = np.random.default_rng(SEED)
    at = np.arange(0.0, hours * HOUR, 10.0)
    rss = 300 + 80 * (1 - np.exp(-at / 600)) + random.normal(0, 1.0, at.size)
    return at, (rss + leak_mib_per_hour * at / HOUR) * MIB


def verdict_of(soaks: leak_cases.Soaks, soak: int, leak_mib_per_hour: float) -> LeakVerdict:
    leaked = leak_mib_per_hour * MIB * soaks.at_seconds / HOUR
    stored = None if soaks.stored_bytes is None else soaks.stored_bytes[soak]
    return judge_floor(
        soaks.at_seconds,
        soaks.resident_bytes[soak] + leaked,
        load=soaks.load[soak],
        stored_bytes=stored,
    )


@pytest.mark.parametrize("model", PASSIVE_MODELS)
def test_memory_that_only_warms_up_saws_fills_or_follows_is_not_a_leak(model: str) -> None:
    soaks = passive(model, SOAKS, SEED)

    verdicts = [verdict_of(soaks, soak, 0).verdict for soak in range(SOAKS)]

    assert set(verdicts) == {"none"}


@pytest.mark.parametrize("model", PASSIVE_MODELS)
def test_sixty_mib_an_hour_is_found_under_all_of_them(model: str) -> None:
    soaks = passive(model, SOAKS, SEED)

    alarms = first_alarm_seconds(soaks.with_leak(60 * MIB), PASSIVE)

    assert np.isfinite(alarms).all()


@pytest.mark.parametrize("model", QUIESCED_MODELS)
def test_a_quiesced_heap_shows_two_mib_an_hour(model: str) -> None:
    soaks = quiesced(model, 20, SEED)

    silent = first_alarm_seconds(soaks.with_leak(0), QUIESCED)
    leaking = first_alarm_seconds(soaks.with_leak(2 * MIB), QUIESCED)

    assert np.isinf(silent).all()
    assert np.isfinite(leaking).sum() >= 17


def test_a_leak_has_its_slope_interval_and_bytes_per_operation() -> None:
    at, rss = plain_soak(leak_mib_per_hour=20)

    verdict = judge_floor(at, rss, load=np.full(at.size, 50.0))

    low, high = verdict.slope_interval or (0, 0)
    assert verdict.verdict == "leak"
    assert low < 20 * MIB / HOUR < high
    assert verdict.slope_bytes_per_second == pytest.approx(20 * MIB / HOUR, rel=0.05)
    assert verdict.bytes_per_operation == pytest.approx(20 * MIB / HOUR / 50, rel=0.05)
    assert verdict.confidence == 0.98
    assert "MiB/h" in verdict.reasons[0]


def test_no_alarm_has_no_confidence() -> None:
    verdict = judge_floor(*plain_soak())

    assert (verdict.verdict, verdict.confidence) == ("none", None)
    assert "stored bytes are not known" in verdict.reasons[0]


def test_growth_that_dies_out_is_no_leak_while_the_same_growth_at_a_steady_pace_is() -> None:
    at, rss = plain_soak()
    grown = 60 * MIB

    settling = judge_floor(at, rss + grown * (1 - np.exp(-at / HOUR)))
    steady = judge_floor(at, rss + grown * at / at[-1])

    assert (settling.verdict, steady.verdict) == ("none", "leak")


def test_a_data_set_that_grows_is_no_leak_but_without_its_size_it_looks_like_one() -> None:
    at, rss = plain_soak()
    pace = 1 + 0.8 * np.sin(at / 900)
    stored = np.cumsum(pace) * 100 * MIB / at.size
    rss = rss + 2 * stored

    blind = judge_floor(at, rss)
    informed = judge_floor(at, rss, stored_bytes=stored)

    assert (blind.verdict, informed.verdict) == ("leak", "none")


def test_growth_that_the_data_set_explains_but_for_a_ripple_is_not_called_a_leak() -> None:
    at = np.arange(0.0, 6 * HOUR, 10.0)
    ripple = 3.6 * np.sin(at / 700)

    verdict = judge_floor(at, 1e8 + 1e4 * at, stored_bytes=1e6 + at + ripple)

    assert verdict.verdict == "none"


def test_one_jump_of_the_allocator_is_not_a_leak() -> None:
    at, rss = plain_soak()

    verdict = judge_floor(at, rss + 60 * MIB * (at > 3.7 * HOUR))

    assert verdict.verdict == "none"


def test_a_leak_in_step_with_the_data_set_is_said_to_be_beyond_telling() -> None:
    at, rss = plain_soak(leak_mib_per_hour=20)

    verdict = judge_floor(at, rss, stored_bytes=1e6 + at)

    assert verdict.verdict == "none"
    assert "can't be told" in verdict.reasons[0]
    assert "constant set of records" in verdict.reasons[0]


def test_memory_that_follows_a_rising_load_is_a_leak_only_to_those_who_do_not_know_the_load() -> (
    None
):
    at, rss = plain_soak()
    load = 100 - 60 * np.cos(2 * np.pi * (at / (24 * HOUR) + 0.05)) + 5 * np.sin(at / 700)
    rss = rss + load * MIB

    blind, informed = judge_floor(at, rss), judge_floor(at, rss, load=load)

    assert (blind.verdict, informed.verdict) == ("leak", "none")


def test_a_leak_while_the_load_falls_is_not_explained_by_the_load() -> None:
    at, rss = plain_soak(leak_mib_per_hour=30)
    load = 200 - 100 * at / at[-1] + np.sin(at / 700)

    verdict = judge_floor(at, rss, load=load)

    assert verdict.verdict == "leak"


@pytest.mark.parametrize("rate", [0.0, 7.0, 0.1, 123.4])
def test_a_load_that_does_not_vary_explains_nothing(rate: float) -> None:
    at, rss = plain_soak(leak_mib_per_hour=20)

    with_load, without = judge_floor(at, rss, load=np.full(at.size, rate)), judge_floor(at, rss)

    assert with_load.verdict == without.verdict == "leak"
    assert with_load.slope_bytes_per_second == pytest.approx(without.slope_bytes_per_second)


def test_growth_is_suspected_until_three_looks_in_a_row_agree() -> None:
    at, rss = plain_soak(leak_mib_per_hour=60)
    always = replace(PASSIVE, limits=(replace(PASSIVE.limits[0], observed_seconds=4 * HOUR),))
    # At the second end the limit's length is reached; it was not at the looks before.
    ends = [round(4 * HOUR / 10) + more for more in (-30, 0, 30, 60)]
    shorter = replace(always, limits=(*always.limits, NEVER))

    verdicts = [judge_floor(at[:end], rss[:end], rule=shorter).verdict for end in ends]

    assert verdicts == ["none", "suspected", "suspected", "leak"]


def test_a_short_soak_is_unknown_and_says_how_long_it_takes() -> None:
    verdict = judge_floor(*plain_soak(hours=2, leak_mib_per_hour=60))

    assert verdict.verdict == "unknown"
    assert "observed for 1 h 59 min (limit 3 h 40 min)" in verdict.reasons[0]


@pytest.mark.parametrize("leak", [0, 20])
def test_the_verdict_is_the_same_in_other_units_and_at_another_time(leak: float) -> None:
    at, rss = plain_soak(leak_mib_per_hour=leak)

    here = judge_floor(at, rss)
    scaled = judge_floor(at, rss / 1000)
    shifted = judge_floor(at + 1e6, rss)

    assert here.verdict == scaled.verdict == shifted.verdict
    assert here.slope_bytes_per_second is not None
    assert scaled.slope_bytes_per_second == pytest.approx(here.slope_bytes_per_second / 1000)
    assert shifted.slope_bytes_per_second == pytest.approx(here.slope_bytes_per_second)


@pytest.mark.parametrize("leak", [0, 20])
def test_samples_given_twice_change_nothing(leak: float) -> None:
    at, rss = plain_soak(leak_mib_per_hour=leak)

    once, twice = judge_floor(at, rss), judge_floor(np.repeat(at, 2), np.repeat(rss, 2))

    assert once == twice


@pytest.mark.parametrize("leak", [0, 20])
def test_a_tenth_of_the_samples_and_a_gap_of_half_an_hour_may_be_missing(leak: float) -> None:
    at, rss = plain_soak(leak_mib_per_hour=leak)
    kept = np.random.default_rng(1).random(at.size) > 0.1
    kept[1200:1380] = False

    whole, part = judge_floor(at, rss), judge_floor(at[kept], rss[kept])

    assert whole.verdict == part.verdict == ("leak" if leak else "none")


def test_every_fifth_step_may_be_missing_although_no_long_window_is_whole_then() -> None:
    at, rss = plain_soak(leak_mib_per_hour=20)
    kept = (at // 300).astype(int) % 5 != 2

    whole, part = judge_floor(at, rss), judge_floor(at[kept], rss[kept])

    assert part.verdict == "leak"
    assert part.slope_bytes_per_second == pytest.approx(whole.slope_bytes_per_second, rel=0.05)


def test_a_soak_that_is_mostly_gaps_is_unknown() -> None:
    at, rss = plain_soak(leak_mib_per_hour=60)

    verdict = judge_floor(at[::120], rss[::120])

    assert verdict.verdict == "unknown"
    assert "74% of the soak has no sample" in verdict.reasons[0]


@pytest.mark.parametrize("name", ["at_seconds", "resident_bytes", "load", "stored_bytes"])
def test_nan_is_refused_in_every_series(name: str) -> None:
    at, rss = plain_soak()
    series = {"at_seconds": at, "resident_bytes": rss, "load": rss.copy(), "stored_bytes": rss}
    series[name] = series[name].copy()
    series[name][7] = np.nan

    with pytest.raises(ValueError, match=f"{name} has NaN"):
        judge_floor(
            series["at_seconds"],
            series["resident_bytes"],
            load=series["load"],
            stored_bytes=series["stored_bytes"],
        )


def test_series_of_unequal_length_and_descending_times_are_refused() -> None:
    at, rss = plain_soak()

    with pytest.raises(ValueError, match="load has 1 samples"):
        judge_floor(at, rss, load=[1.0])
    with pytest.raises(ValueError, match="ascend"):
        judge_floor(at[::-1], rss)


def test_no_samples_at_all_are_unknown() -> None:
    assert judge_floor([], []).verdict == "unknown"


def test_the_same_blocks_every_cycle_are_a_leak_to_the_block() -> None:
    verdict = judge_cycles([700, 900, 905, 910, 915, 920], 5000, bytes_per_cycle=550.0)

    assert verdict.verdict == "leak"
    assert verdict.blocks_per_operation == 1e-3
    assert verdict.bytes_per_operation == 0.11
    assert "+5.0 blocks per cycle" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([700, 900, 900, 900, 900, 900], "none"),
        ([700, 900, 901, 900, 901, 900], "none"),
        ([700, 900, 950, 1000, 850, 900, 950], "suspected"),
        ([700, 900, 1000, 1050, 1070, 1075, 1077, 1079], "suspected"),
        ([700, 900, 905, 910], "unknown"),
        ([900, 800, 700, 600, 500, 400], "none"),
    ],
    ids=["flat", "flickers", "saws", "settles", "too few", "shrinks"],
)
def test_blocks_that_do_not_grow_in_every_cycle_are_no_leak(
    blocks: list[int], expected: str
) -> None:
    assert judge_cycles(blocks, 2000).verdict == expected


def test_a_leak_below_one_object_in_a_thousand_operations_is_not_called_one() -> None:
    assert judge_cycles([0, 0, 1, 2, 3, 4], 10_000).verdict == "none"


def test_a_cycle_without_operations_is_refused() -> None:
    with pytest.raises(ValueError, match="operations_per_cycle is 0"):
        judge_cycles([1, 2, 3, 4, 5], 0)


def test_theil_sen_agrees_with_the_definition_and_ignores_outliers() -> None:
    at = np.arange(30.0)
    values = 3 * at + np.random.default_rng(2).normal(0, 1, 30)
    values[5] += 1000

    slope, low, high = theil_sen(at, values)

    pairs = [(values[j] - values[i]) / (j - i) for i in range(30) for j in range(i + 1, 30)]
    assert slope == pytest.approx(np.median(pairs))
    assert low < 3 < high
    assert high - low < 0.3


def test_the_time_to_a_limit_is_what_is_left_over_the_slope() -> None:
    at = np.arange(0.0, 600.0, 10.0)

    forecast = time_to_limit(at, 1000 + 2 * at, limit_bytes=1000 + 2 * 590 + 7200)

    assert forecast.slope_bytes_per_second == pytest.approx(2)
    assert forecast.seconds == pytest.approx(3600)
    assert forecast.earliest_seconds <= forecast.seconds * (1 + 1e-9)


def test_memory_that_does_not_grow_never_reaches_its_limit() -> None:
    forecast = time_to_limit(np.arange(10.0), np.full(10, 5.0), limit_bytes=6)

    assert forecast.seconds == float("inf")


def test_a_limit_that_is_reached_is_reached_now() -> None:
    assert time_to_limit(np.arange(10.0), np.full(10, 5.0), limit_bytes=5).seconds == 0


def test_a_forecast_is_early_and_separate_from_the_verdict() -> None:
    at, rss = plain_soak(hours=1, leak_mib_per_hour=60)

    forecast, verdict = time_to_limit(at, rss, 2**30), judge_floor(at, rss)

    assert forecast.seconds < 24 * HOUR
    assert verdict.verdict == "unknown"


def test_a_forecast_of_one_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="four samples"):
        time_to_limit([1, 1, 1, 1], [5, 6, 7, 8], 100)


def test_the_same_seed_gives_the_same_soaks_and_another_gives_others() -> None:
    one, same, other = (passive("mixed", 2, seed).resident_bytes for seed in (1, 1, 2))

    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_table_keeps_false_alarms_apart_from_detections() -> None:
    cells = [
        Cell("passive", "plain", 0.0, 0.02, 9000.0),
        Cell("passive", "plain", 5.0, 0.75, 7200.0),
        Cell("passive", "mixed", 5.0, 0.25, None),
        Cell("passive", "growing_data", 5.0, 0.0, None),
        Cell("quiesced", "plain", 5.0, 1.0, 3600.0),
    ]

    figures = leak_cases.table(cells)

    assert figures == {
        "false_alarm_ratio": {"passive": {"plain": 0.02}},
        "passive_detection_ratio": {"leak_5_mib_per_hour": 0.5},
        "detection_ratio": {
            "leak_5_mib_per_hour": {
                "passive": {"plain": 0.75, "mixed": 0.25, "growing_data": 0.0},
                "quiesced": {"plain": 1.0},
            }
        },
        "detection_median_seconds": {
            "leak_5_mib_per_hour": {"passive": {"plain": 7200.0}, "quiesced": {"plain": 3600.0}}
        },
    }
