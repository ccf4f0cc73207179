"""Cron expressions mean the right moments, also on days when clocks are changed."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem_observe.daemon.calendar import LOCAL_TIME, Calendar

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # changes its clocks by half an hour

CHANGES = {
    (BERLIN, "spring"): datetime(2026, 3, 29, 1, tzinfo=UTC),
    (BERLIN, "autumn"): datetime(2026, 10, 25, 1, tzinfo=UTC),
    (LORD_HOWE, "spring"): datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    (LORD_HOWE, "autumn"): datetime(2027, 4, 3, 15, tzinfo=UTC),
}
MINUTE = 60
HOUR = 3600
DAY = 24 * HOUR

# Expressions, and what they match, said once more in Python.
Matches = Callable[[datetime], bool]
AS_THE_CLOCK_STANDS: dict[str, Matches] = {
    "* * * * *": lambda t: True,
    "*/15 * * * *": lambda t: t.minute % 15 == 0,
    "7 * * * *": lambda t: t.minute == 7,
    "0 */6 * * *": lambda t: t.minute == 0 and t.hour % 6 == 0,
    "*/20 2 * * *": lambda t: t.minute % 20 == 0 and t.hour == 2,
    "45 */2 * * SUN": lambda t: t.minute == 45 and t.hour % 2 == 0 and t.weekday() == 6,
}
ONCE_A_TIME: dict[str, Matches] = {
    "0 3 * * *": lambda t: (t.hour, t.minute) == (3, 0),
    "30 2 * * *": lambda t: (t.hour, t.minute) == (2, 30),
    "15 2 * * *": lambda t: (t.hour, t.minute) == (2, 15),
    "50 1 * * *": lambda t: (t.hour, t.minute) == (1, 50),
    "0,30 1,2,3 * * *": lambda t: t.minute in (0, 30) and t.hour in (1, 2, 3),
    "5 0-23 * * *": lambda t: t.minute == 5,
}


def shown(at: float, zone: ZoneInfo) -> datetime:
    """Return what a clock on the wall shows."""
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None)


def seen_on_the_clock(matches: Matches, zone: ZoneInfo, begin: int, end: int) -> list[int]:
    """Watch the clock, minute by minute."""
    return [at for at in range(begin, end, MINUTE) if matches(shown(at, zone))]


def reached_on_the_clock(matches: Matches, zone: ZoneInfo, begin: int, end: int) -> list[int]:
    """Wait for each time, minute by minute, until the clock shows it or a later one."""
    latest = shown(begin - 2 * DAY, zone)
    moments = []
    for at in range(begin - 2 * DAY, end, MINUTE):
        now = shown(at, zone)
        passed = range(1, (now - latest) // timedelta(minutes=1) + 1)
        if any(matches(latest + timedelta(minutes=minutes)) for minutes in passed):
            moments.append(at)
        latest = max(latest, now)
    return [at for at in moments if at >= begin]


def moments(expression: str, zone: ZoneInfo, begin: int, end: int) -> list[float]:
    return list(takewhile(lambda at: at < end, Calendar(expression, zone).after(begin - 1)))


change = st.sampled_from(list(CHANGES))
offsets = st.integers(-3 * DAY // MINUTE, 6 * HOUR // MINUTE)


@settings(deadline=None, max_examples=60)
@given(change=change, expression=st.sampled_from(list(AS_THE_CLOCK_STANDS)), minutes=offsets)
def test_with_a_star_times_come_whenever_the_clock_shows_them(change, expression, minutes):
    begin = int(CHANGES[change].timestamp()) + minutes * MINUTE
    end = begin + 4 * DAY

    found = moments(expression, change[0], begin, end)

    assert found == seen_on_the_clock(AS_THE_CLOCK_STANDS[expression], change[0], begin, end)


@settings(deadline=None, max_examples=60)
@given(change=change, expression=st.sampled_from(list(ONCE_A_TIME)), minutes=offsets)
def test_without_one_each_time_comes_once_and_none_is_left_out(change, expression, minutes):
    begin = int(CHANGES[change].timestamp()) + minutes * MINUTE
    end = begin + 4 * DAY

    found = moments(expression, change[0], begin, end)

    assert found == reached_on_the_clock(ONCE_A_TIME[expression], change[0], begin, end)


@pytest.mark.parametrize(
    ("expression", "zone", "begin", "expected"),
    [
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00 +02", "30 02:30 +02"]),
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["25 02:30 +02", "26 02:30 +01"]),
        ("*/30 2 * * *", BERLIN, "2026-03-28T12:00", ["30 02:00 +02", "30 02:30 +02"]),
        (
            "30 * * * *",
            BERLIN,
            "2026-10-25T02:00",
            ["25 02:30 +02", "25 02:30 +01", "25 03:30 +01"],
        ),
        ("15 2 * * *", LORD_HOWE, "2026-10-03T12:00", ["04 02:30 +11", "05 02:15 +11"]),
        ("0 */6 * * *", LORD_HOWE, "2026-10-04T00:01", ["04 06:00 +11", "04 12:00 +11"]),
        ("45 1 * * *", LORD_HOWE, "2027-04-03T12:00", ["04 01:45 +11", "05 01:45 +1030"]),
        ("0 0 29 2 *", BERLIN, "2026-01-01T00:00", ["29 00:00 +01", "29 00:00 +01"]),
    ],
)
def test_days_of_change_by_example(expression, zone, begin, expected):
    moment = datetime.fromisoformat(begin).replace(tzinfo=zone)

    found = Calendar(expression, zone).after(moment.timestamp())
    days = [datetime.fromtimestamp(at, zone) for at in islice(found, len(expected))]

    assert [day.strftime("%d %H:%M %z").removesuffix("00") for day in days] == [
        each.removesuffix("00") for each in expected
    ]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 3 * *", "4 fields instead of five"),
        ("0 0 3 * * *", "6 fields instead of five"),
        ("@daily", "1 fields instead of five"),
        ("", "0 fields instead of five"),
        ("61 * * * *", "Bad minute"),
        ("0 24 * * *", "Bad hour"),
        ("0 0 31 2 *", "Bad day-of-month"),
        ("0 0 1 * FUN", "Bad day-of-week"),
    ],
)
def test_what_is_no_cron_expression_is_refused(expression, reason):
    with pytest.raises(ValueError, match=f"^{reason}$"):
        Calendar(expression)


@pytest.fixture
def machine_in(monkeypatch) -> Iterator[Callable[[str], None]]:
    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("zone", [BERLIN, LORD_HOWE], ids=str)
def test_local_time_is_that_of_the_machine(zone, machine_in):
    machine_in(zone.key)

    for (place, _), moment in CHANGES.items():
        begin = int(moment.timestamp()) - DAY
        for at in range(begin, begin + 2 * DAY if place == zone else begin, 10 * MINUTE):
            local, expected = (datetime.fromtimestamp(at, each) for each in (LOCAL_TIME, zone))
            assert local.replace(tzinfo=None) == expected.replace(tzinfo=None)
            assert (local.utcoffset(), local.tzname()) == (expected.utcoffset(), expected.tzname())
            assert local.timestamp() == at


@pytest.mark.parametrize("season", ["spring", "autumn"])
def test_cron_expressions_are_about_local_time(season, machine_in):
    machine_in("Australia/Lord_Howe")
    begin = CHANGES[LORD_HOWE, season].timestamp() - DAY

    for expression in (*AS_THE_CLOCK_STANDS, *ONCE_A_TIME):
        here = islice(Calendar(expression).after(begin), 50)
        there = islice(Calendar(expression, LORD_HOWE).after(begin), 50)

        assert list(here) == list(there)
