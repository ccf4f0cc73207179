"""What is due when, and what has passed: whatever the clocks, the machine and the job do."""

import math
import random
from datetime import UTC, datetime
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem_observe.daemon.calendar import Calendar
from agentmem_observe.daemon.schedule import (
    LONGEST_WAIT_SECONDS,
    SYSTEM_NOW,
    Cron,
    Every,
    Once,
    Schedule,
    Trigger,
)

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
HOUR = 3600
DAY = 24 * HOUR
YEAR = 365 * DAY
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
BEFORE_SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp()
BEFORE_AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC).timestamp()


class FakeNow:
    """Clocks that stand still until they are moved."""

    def __init__(self, wall: float = NOON) -> None:
        self._wall, self._monotonic = wall, 1000.0

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def pass_by(self, seconds: float) -> None:
        """Let time go by, whether the machine is awake or suspended."""
        self._wall += seconds
        self._monotonic += seconds

    def set_by(self, seconds: float) -> None:
        """Set the wall clock."""
        self._wall += seconds


def trigger_of(
    schedule: Schedule, now: FakeNow, last_run_at: float | None = None, seed: int = 1
) -> Trigger:
    return Trigger(schedule, random=random.Random(seed), last_run_at=last_run_at, now=now)


def times_of(cron: Cron, after: float, until: float) -> list[float]:
    times = Calendar(cron.expression, cron.zone).after(after)
    return list(takewhile(lambda at: at <= until, times))


def counted(trigger: Trigger) -> int:
    """Take what is due, as a job does; return how many times that accounts for."""
    return trigger.take() + 1 if trigger.wait_seconds() == 0 else 0


# Intervals


def test_the_first_time_of_an_interval_is_now():
    trigger = trigger_of(Every(60), FakeNow())

    assert trigger.next_due_at == NOON
    assert trigger.wait_seconds() == 0
    assert trigger.take() == 0
    assert trigger.wait_seconds() == 60
    assert trigger.next_due_at == NOON + 60


def test_an_interval_keeps_to_its_grid_however_late_it_is_taken():
    now = FakeNow()
    trigger = trigger_of(Every(60), now)
    trigger.take()

    now.pass_by(70)

    assert trigger.take() == 0
    assert trigger.wait_seconds() == 50


seconds = st.floats(0.5, 10_000) | st.integers(1, 10_000)
doings = st.lists(
    st.tuples(st.sampled_from(["pass", "set", "look", "take", "skip"]), st.floats(0, 1)),
    max_size=40,
)


@settings(deadline=None)
@given(
    every=seconds,
    jitter_share=st.sampled_from([0, 0.3, 1]),
    doings=doings,
    last=st.none() | st.floats(0, 50),
)
def test_no_time_of_an_interval_is_run_twice_or_lost_uncounted(every, jitter_share, doings, last):
    now = FakeNow()
    last_run_at = None if last is None else NOON - last * every
    trigger = trigger_of(Every(every, jitter_share * every), now, last_run_at)
    began, accounted = now.monotonic(), 0

    for doing, share in doings:
        if doing == "pass":
            now.pass_by(share**3 * 30 * every)
        elif doing == "set":
            now.set_by((share - 0.5) * 4 * YEAR)
        elif doing == "look":
            assert 0 <= trigger.wait_seconds() <= (1 + jitter_share) * every + 1e-6
        elif doing == "take":
            accounted += counted(trigger)
        else:
            accounted += trigger.skip()
    accounted += trigger.skip()

    # Ticks since the last run, or since the beginning, where there is one at once.
    passed = (now.monotonic() - began) / every + (1 if last is None else last)
    assert passed - 1 - jitter_share - 1e-6 <= accounted <= passed + 1e-6


@pytest.mark.parametrize("step", [-10 * YEAR, -DAY, -HOUR, -1, 1, HOUR, DAY, 10 * YEAR])
def test_setting_the_wall_clock_does_not_matter_to_an_interval(step):
    now = FakeNow()
    trigger = trigger_of(Every(600), now)
    trigger.take()
    now.pass_by(100)

    now.set_by(step)

    assert trigger.wait_seconds() == 500
    assert trigger.next_due_at == NOON + 600 + step


def test_what_an_interval_missed_while_the_daemon_was_down_runs_once_and_is_counted():
    now = FakeNow()
    trigger = trigger_of(Every(600), now, last_run_at=NOON - 2000)

    assert trigger.wait_seconds() == 0
    assert trigger.take() == 2  # 600 and 1200 after the last run; 1800 runs
    assert trigger.wait_seconds() == 400


def test_an_interval_goes_on_where_it_was_after_a_short_downtime():
    trigger = trigger_of(Every(600), FakeNow(), last_run_at=NOON - 150)

    assert trigger.wait_seconds() == 450


def test_a_last_run_in_the_future_delays_an_interval_by_no_more_than_itself():
    trigger = trigger_of(Every(600), FakeNow(), last_run_at=NOON + YEAR)

    assert trigger.wait_seconds() == 600


@pytest.mark.parametrize("seed", range(20))
def test_a_time_that_its_jitter_still_delays_has_not_passed(seed):
    now = FakeNow()
    trigger = trigger_of(Every(100, 50), now, seed=seed)

    now.pass_by(1000)

    assert trigger.skip() == 10  # at 0, 100, ... 900; the one at 1000 is due later
    assert 0 < trigger.wait_seconds() <= 50


def test_months_of_missed_seconds_are_counted_at_once():
    now = FakeNow()
    trigger = trigger_of(Every(1), now)
    trigger.take()

    now.pass_by(YEAR)

    assert trigger.take() == YEAR - 1


# Cron expressions


def test_a_cron_expression_is_first_due_at_its_next_time():
    trigger = trigger_of(Cron("0 3 * * *", zone=UTC), FakeNow())

    assert trigger.next_due_at == NOON + 15 * HOUR
    assert trigger.wait_seconds() == 15 * HOUR
    with pytest.raises(ValueError, match="nothing is due"):
        trigger.take()


expressions = st.sampled_from(["*/7 * * * *", "0 * * * *", "30 2 * * *", "15,45 1-3 * * *"])
zones = st.sampled_from([BERLIN, LORD_HOWE])
starts = st.sampled_from([BEFORE_SPRING, BEFORE_AUTUMN])
steps = st.lists(
    st.tuples(st.sampled_from(["pass", "set", "take", "skip"]), st.floats(-1, 1)), max_size=30
)


@settings(deadline=None, max_examples=60)
@given(expression=expressions, zone=zones, start=starts, steps=steps, down=st.floats(0, 3 * DAY))
def test_no_time_of_day_is_run_twice_or_lost_uncounted(expression, zone, start, steps, down):
    cron = Cron(expression, zone=zone)
    now = FakeNow(start)
    trigger = trigger_of(cron, now, last_run_at=start - down)
    latest, accounted = now.wall(), 0

    for doing, share in steps:
        if doing == "pass":
            now.pass_by(abs(share) ** 3 * 2 * DAY)
        elif doing == "set":
            # Back and forth, but never further than what still counts as no correction.
            now.set_by(max(share * DAY, latest - LONGEST_WAIT_SECONDS - now.wall()))
        elif doing == "take":
            accounted += counted(trigger)
        else:
            accounted += trigger.skip()
        trigger.wait_seconds()
        latest = max(latest, now.wall())
    accounted += trigger.skip()

    assert accounted == len(times_of(cron, start - down, latest))


@settings(deadline=None)
@given(
    expression=expressions,
    zone=zones,
    start=starts,
    jitter=st.sampled_from([0.0, 60.0, 1e6]),
    seed=st.integers(0, 5),
)
def test_jitter_only_delays_and_never_beyond_the_next_time(expression, zone, start, jitter, seed):
    cron = Cron(expression, jitter, zone)
    now = FakeNow(start)
    trigger = trigger_of(cron, now, seed=seed)
    times = list(islice(Calendar(expression, zone).after(start), 31))

    for time, following in pairwise(times):
        due = trigger.next_due_at
        assert due is not None
        assert time <= due <= min(time + jitter, following)
        now.pass_by(due - now.wall() + 1e-6)
        assert trigger.take() == 0


@settings(deadline=None)
@given(every=seconds, jitter_share=st.floats(0, 1), seed=st.integers(0, 5))
def test_jitter_of_an_interval_does_not_shift_its_grid(every, jitter_share, seed):
    now = FakeNow()
    trigger = trigger_of(Every(every, jitter_share * every), now, seed=seed)

    for number in range(50):
        due = trigger.next_due_at
        assert due is not None
        late = due - NOON - number * every
        assert -1e-3 <= late <= jitter_share * every + 1e-3
        now.pass_by(max(0.0, trigger.wait_seconds()) + 1e-6)
        assert trigger.take() == 0


def test_jitter_is_drawn_anew_each_time():
    now = FakeNow()
    trigger = trigger_of(Cron("* * * * *", 50, UTC), now)
    delays = set()

    for _ in range(20):
        due = trigger.next_due_at
        assert due is not None
        delays.add(round(due % 60, 3))
        now.pass_by(due - now.wall() + 1e-6)
        trigger.take()

    assert len(delays) == 20


def test_a_clock_set_back_runs_no_time_of_day_again():
    now = FakeNow()
    trigger = trigger_of(Cron("0 * * * *", zone=UTC), now)
    now.pass_by(HOUR)
    assert trigger.take() == 0

    now.set_by(-HOUR / 2)

    assert trigger.wait_seconds() == 1.5 * HOUR
    assert trigger.next_due_at == NOON + 2 * HOUR


def test_what_has_come_due_stays_due_when_the_clock_is_set_back():
    now = FakeNow()
    trigger = trigger_of(Cron("0 * * * *", zone=UTC), now)
    now.pass_by(HOUR)
    assert trigger.wait_seconds() == 0

    now.set_by(-HOUR / 2)

    assert trigger.wait_seconds() == 0
    assert trigger.next_due_at == NOON + HOUR
    assert trigger.take() == 0
    assert trigger.next_due_at == NOON + 2 * HOUR


def test_what_was_due_at_the_start_stays_due_when_the_clock_is_set_back_at_once():
    now = FakeNow()
    trigger = trigger_of(Cron("0 * * * *", zone=UTC), now, last_run_at=NOON - 2 * HOUR)

    now.set_by(-1.5 * HOUR)

    assert trigger.wait_seconds() == 0
    assert trigger.take() == 1


def test_a_clock_set_forth_has_missed_what_it_jumped_over():
    now = FakeNow()
    trigger = trigger_of(Cron("0 * * * *", zone=UTC), now)

    now.set_by(3.5 * HOUR)

    assert trigger.wait_seconds() == 0
    assert trigger.take() == 2
    assert trigger.wait_seconds() == HOUR / 2


@pytest.mark.parametrize("step", [-30 * YEAR, -YEAR, -1.1 * DAY, 1.1 * DAY, YEAR, 50 * YEAR])
def test_a_clock_set_by_more_than_a_day_was_wrong_before(step):
    now = FakeNow()
    trigger = trigger_of(Cron("*/10 * * * *", zone=UTC), now)

    now.set_by(step)

    assert 0 < trigger.wait_seconds() <= 600
    assert trigger.next_due_at == pytest.approx(now.wall() + trigger.wait_seconds())
    assert trigger.skip() == 0


def test_many_small_steps_back_are_a_correction_too():
    now = FakeNow()
    trigger = trigger_of(Cron("*/10 * * * *", zone=UTC), now)

    for _ in range(3):
        now.set_by(-0.4 * DAY)
        trigger.wait_seconds()

    assert 0 < trigger.wait_seconds() <= 600


@pytest.mark.parametrize("schedule", [Cron("0 * * * *", zone=UTC), Every(HOUR)], ids=str)
def test_what_passed_while_the_machine_was_suspended_runs_once_and_is_counted(schedule):
    now = FakeNow()
    trigger = trigger_of(schedule, now)
    trigger.skip()

    now.pass_by(5 * DAY + HOUR / 2)

    assert trigger.wait_seconds() == 0
    assert trigger.take() == 5 * 24 - 1
    assert trigger.wait_seconds() == HOUR / 2


def test_times_of_day_missed_while_the_daemon_was_down_run_once_and_are_counted():
    trigger = trigger_of(Cron("0 3 * * *", zone=UTC), FakeNow(), last_run_at=NOON - 3 * DAY)

    assert trigger.wait_seconds() == 0
    assert trigger.next_due_at == NOON - 2 * DAY - 9 * HOUR
    assert trigger.take() == 2
    assert trigger.wait_seconds() == 15 * HOUR


def test_a_time_of_day_that_ran_just_before_a_restart_does_not_run_again():
    trigger = trigger_of(Cron("0 12 * * *", zone=UTC), FakeNow(NOON + 1), last_run_at=NOON)

    assert trigger.wait_seconds() == DAY - 1


def test_a_clock_set_back_while_the_daemon_was_down_runs_no_time_of_day_again():
    trigger = trigger_of(Cron("0 * * * *", zone=UTC), FakeNow(), last_run_at=NOON + HOUR)

    assert trigger.next_due_at == NOON + 2 * HOUR


def test_a_clock_set_back_by_hours_does_not_hold_a_job_of_every_minute_back():
    now = FakeNow()
    trigger = trigger_of(Cron("* * * * *", zone=UTC), now)
    now.pass_by(3 * HOUR)
    trigger.take()

    now.set_by(-3 * HOUR)
    trigger.wait_seconds()

    assert trigger.next_due_at == NOON + 60


def test_a_clock_set_back_by_hours_does_not_run_a_daily_job_again():
    now = FakeNow()
    trigger = trigger_of(Cron("0 13 * * *", zone=UTC), now)
    now.pass_by(2 * HOUR)
    trigger.take()

    now.set_by(-2 * HOUR)
    trigger.wait_seconds()

    assert trigger.next_due_at == NOON + 25 * HOUR


def test_a_last_run_that_is_days_ahead_was_no_true_time():
    trigger = trigger_of(Cron("0 * * * *", zone=UTC), FakeNow(), last_run_at=NOON + YEAR)

    assert trigger.next_due_at == NOON + HOUR


# All


@pytest.mark.parametrize("schedule", [Cron("* * * * *", zone=UTC), Every(60)], ids=str)
def test_a_run_longer_than_the_interval_skips_what_passed_meanwhile(schedule):
    now = FakeNow()
    trigger = trigger_of(schedule, now)
    now.pass_by(trigger.wait_seconds())
    assert trigger.take() == 0

    now.pass_by(150)

    assert trigger.skip() == 2
    assert trigger.wait_seconds() == 30
    assert trigger.skip() == 0


def test_once_is_now_and_never_again():
    trigger = trigger_of(Once(), FakeNow())

    assert (trigger.next_due_at, trigger.wait_seconds()) == (NOON, 0)
    assert trigger.take() == 0
    assert (trigger.next_due_at, trigger.wait_seconds()) == (None, math.inf)


def test_once_is_over_after_a_restart():
    trigger = trigger_of(Once(), FakeNow(), last_run_at=NOON - 5)

    assert (trigger.next_due_at, trigger.wait_seconds()) == (None, math.inf)
    assert trigger.skip() == 0


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (Every(21_600), "every 6 h"),
        (Every(21_600, 300), "every 6 h, up to 5 min later"),
        (Cron("0 3 * * *"), "at 03:00 every day (0 3 * * *)"),
        (Cron("0 3 * * MON", 90), "at 03:00 on Monday (0 3 * * MON), up to 1 min 30 s later"),
        (Once(), "once"),
    ],
)
def test_schedules_are_said_in_words(schedule, text):
    assert str(schedule) == text


def test_the_machines_clocks_go_on():
    before = SYSTEM_NOW.monotonic()

    assert SYSTEM_NOW.monotonic() >= before
    assert SYSTEM_NOW.wall() > NOON - 2 * YEAR
