"""Stored results become history: every figure where it belongs in time, and none made up."""

import json
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmem_observe.cli import main
from agentmem_observe.errors import ExportError, ResultFormatError, UsageError
from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.results.schema import FORMAT, TIMESTAMP_FORMAT, ended_at
from agentmem_observe.results.store import BenchmarkResults
from agentmem_observe.telemetry import backfill
from agentmem_observe.telemetry.backfill import create_blocks, take_results, write_text
from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS
from agentmem_observe.telemetry.history import History, Period

NIGHTS = 30
DAY_SECONDS = 86_400.0
FIRST_NIGHT = datetime(2026, 3, 15, 3, 0, 0)  # noqa: DTZ001  results know local time only
OPERATIONS = "agentmem_operations_total"
SERVICE_TIME = "agentmem_operation_service_time_seconds"


def quiet(done: int, total: int) -> None:
    pass


def histogram_of(*milliseconds: float) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array([round(each * 1e6) for each in milliseconds], np.int64))
    return histogram


def document(when: datetime, histogram: Histogram, **metadata: Any) -> dict[str, Any]:
    """Return a result as the runner makes them, of one kind of operation."""
    return {
        "benchmark": "write_throughput",
        "category": "storage",
        "timestamp": when.strftime(TIMESTAMP_FORMAT),
        "results": {"batch_10": {"throughput_ops_per_second": 1e3}},
        "metadata": {
            "execution_time": 12.5,
            "format": FORMAT,
            "status": "ok",
            "warnings": [],
            "validity": {"verdict": "valid", "reasons": []},
            "target": {"spec": "embedded"},
            "resources": {"cpu_seconds": 2.5, "rss_end_bytes": 50_000_000},
            "histograms": [
                {
                    "operation": "create_memory",
                    "tier": "stm",
                    "outcome": "ok",
                    "service_time": histogram.to_dict(),
                    "latency": histogram.to_dict(),
                }
            ],
        }
        | metadata,
    }


def night(number: int) -> dict[str, Any]:
    """Return the result of one night, slower than the one before."""
    rng = random.Random(number)
    times = [rng.lognormvariate(0.0, 0.5) * (1 + number / 10) for _ in range(500 + number)]
    when = FIRST_NIGHT + timedelta(days=number, seconds=rng.randrange(1800))
    return document(when, histogram_of(*times), execution_time=rng.uniform(5.0, 60.0))


@pytest.fixture
def store(tmp_path: Path) -> BenchmarkResults:
    return BenchmarkResults(tmp_path / "results")


@pytest.fixture
def history() -> Iterator[History]:
    with History() as history:
        yield history


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function that moves this process to another time zone."""

    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def samples(text: str) -> dict[str, list[tuple[float, float]]]:
    """Return the points of each series as (time, value), in the order of the text."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            series, value, when = line.rsplit(" ", 2)
            found.setdefault(series, []).append((float(when), float(value)))
    return found


def of(text: str, name: str) -> list[list[tuple[float, float]]]:
    """Return the points of the series of a metric."""
    return [points for series, points in samples(text).items() if series.startswith(f"{name}{{")]


def text_of(history: History) -> str:
    return "".join(history.text())


@pytest.mark.server
def test_a_history_of_thirty_results_answers_range_queries(
    store, tmp_path, promtool, start_prometheus
):
    nights = [night(number) for number in range(NIGHTS)]
    for each in nights:
        store.save_document(each)

    code = main(["backfill", "--input-dir", str(store.results_dir), "--promtool", promtool,
                 "--output-dir", str(tmp_path / "blocks"), "--label", "job=agentmem"])  # fmt: skip

    assert code == 0
    ends = [ended_at(each) for each in nights]
    prometheus = start_prometheus(data=tmp_path / "blocks")

    def by_night(promql: str) -> list[float]:
        (series,) = prometheus.get(
            "/api/v1/query_range",
            query=promql,
            start=ends[0] + DAY_SECONDS / 2,
            end=ends[0] + (NIGHTS - 0.5) * DAY_SECONDS,
            step=DAY_SECONDS,
        )["result"]
        return [float(value) for _, value in series["values"]]

    took = by_night('last_over_time(agentmem_benchmark_duration_seconds{job="agentmem"}[1d])')
    assert took == [each["metadata"]["execution_time"] for each in nights]
    done = by_night(f"last_over_time({OPERATIONS}[1d]) - min_over_time({OPERATIONS}[1d])")
    assert done == [500 + number for number in range(NIGHTS)]
    total = by_night(f"last_over_time({OPERATIONS}[1d])")
    assert total[-1] == sum(done)
    for quantile in (0.5, 0.95, 0.99):
        seen = by_night(
            f"histogram_quantile({quantile}, sum by (le) (increase({SERVICE_TIME}_bucket[1d])))"
        )
        for value, each in zip(seen, nights, strict=True):
            exact = Histogram.from_dict(each["metadata"]["histograms"][0]["service_time"])
            assert bucket_around(exact.percentile(quantile * 100), value)


def bucket_around(exact: float, value: float) -> bool:
    """Return whether a value is in the classic bucket that the exact one is in, or at its edge."""
    upper = next(bound for bound in BOUNDS_SECONDS if exact <= bound * 1.003)
    lower = BOUNDS_SECONDS[BOUNDS_SECONDS.index(upper) - 1]
    return lower * 0.99 <= value <= upper * 1.01


@pytest.mark.server
def test_a_result_of_a_real_run_becomes_a_block(store, tmp_path, promtool, run_here, history):
    ran = run_here("storage", "write_throughput", batch_sizes=[10], item_count=50)
    store.save_document(ran.document)

    taken = take_results(store, history, quiet)
    (tmp_path / "blocks").mkdir()
    count = create_blocks(history, tmp_path / "blocks", promtool, quiet)

    assert (taken.used, taken.skipped, count) == (1, [], 1)
    text = text_of(history)
    assert sum(points[-1][1] for points in of(text, OPERATIONS)) == sum(
        ran.aggregate.outcomes().values()
    )


@pytest.mark.server
def test_each_period_is_one_block_and_counters_go_on_from_the_one_before(
    tmp_path, promtool, history, start_prometheus
):
    for number in range(3):
        history.add(night(number))
    for directory in ("parts", "whole"):
        (tmp_path / directory).mkdir()

    count = create_blocks(history, tmp_path / "parts", promtool, quiet)
    write_text(history, tmp_path / "whole.om", force=False)
    backfill._run(promtool, tmp_path / "whole.om", tmp_path / "whole")

    assert count == 3
    answers = [
        start_prometheus(data=tmp_path / directory).get(
            "/api/v1/query", query='{__name__=~"agentmem.+"}[4d]', time=ended_at(night(2)) + 1
        )["result"]
        for directory in ("parts", "whole")
    ]
    in_parts, at_once = (
        {json.dumps(each["metric"], sort_keys=True): each["values"] for each in answer}
        for answer in answers
    )
    assert in_parts == at_once


def test_counters_are_sums_over_time_and_flat_between_runs(history):
    for number in (0, 1):
        history.add(night(number))

    (points,) = of(text_of(history), OPERATIONS)

    first, second = ended_at(night(0)), ended_at(night(1))
    assert [value for _, value in points] == [0, 500, 500, 1001]
    began = [
        each - night(n)["metadata"]["execution_time"] for n, each in enumerate((first, second))
    ]
    assert [when for when, _ in points] == pytest.approx(
        [began[0], first, began[1], second], abs=0.001
    )


def test_gauges_are_what_each_result_says(history):
    history.add(document(FIRST_NIGHT, histogram_of(1), execution_time=3.0))
    history.add(document(FIRST_NIGHT + timedelta(hours=1), histogram_of(1), execution_time=2.0))

    (points,) = of(text_of(history), "agentmem_benchmark_duration_seconds")

    assert [value for _, value in points] == [3.0, 2.0]


def test_buckets_never_shrink_even_where_a_longest_value_lies_on_a_bound(history):
    nearly = 1e-3 * 0.9995  # counted below 1 ms only while nothing is longer
    history.add(document(FIRST_NIGHT, histogram_of(nearly * 1e3, nearly * 1e3)))
    history.add(document(FIRST_NIGHT + timedelta(hours=1), histogram_of(5)))

    for points in of(text_of(history), f"{SERVICE_TIME}_bucket"):
        values = [value for _, value in points]
        assert values == sorted(values)


def test_results_may_come_in_any_order(history):
    numbers = list(range(5))
    with History() as ordered:
        for number in numbers:
            ordered.add(night(number))
        expected = text_of(ordered)

    random.Random(1).shuffle(numbers)
    for number in numbers:
        history.add(night(number))

    assert text_of(history) == expected


def test_two_results_of_the_same_second_are_a_millisecond_apart(history):
    for milliseconds in (1, 2, 3):
        history.add(document(FIRST_NIGHT, histogram_of(milliseconds)))

    (points,) = of(text_of(history), OPERATIONS)
    (durations,) = of(text_of(history), "agentmem_benchmark_duration_seconds")

    end = ended_at(document(FIRST_NIGHT, histogram_of()))
    assert [value for _, value in points] == [0, 1, 2, 3]
    assert [when for when, _ in points[1:]] == [end, end + 0.001, end + 0.002]
    assert [when for when, _ in durations] == [end, end + 0.001, end + 0.002]


def test_runs_that_overlap_in_time_keep_a_counter_ascending(history):
    history.add(document(FIRST_NIGHT, histogram_of(1), execution_time=3600.0))
    later = FIRST_NIGHT + timedelta(minutes=1)
    history.add(document(later, histogram_of(1), execution_time=3600.0))

    (points,) = of(text_of(history), OPERATIONS)

    assert [value for _, value in points] == [0, 1, 2]
    assert points == sorted(points)


@pytest.mark.parametrize("took", [None, 0, -5, 1e300])
def test_a_result_without_a_sensible_duration_has_a_place_all_the_same(took, history):
    history.add(document(FIRST_NIGHT, histogram_of(1), execution_time=took))

    (points,) = of(text_of(history), OPERATIONS)

    assert [value for _, value in points] == [0, 1]
    assert 0 <= points[0][0] < points[1][0] == ended_at(document(FIRST_NIGHT, histogram_of()))


def test_metrics_are_not_mixed_and_each_is_described_once(history):
    for number in range(3):
        history.add(night(number))

    lines = text_of(history).splitlines()

    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    names = [line.partition("{")[0] for line in lines if not line.startswith("#")]
    families = [
        next(one for one in types if name == one or name.removeprefix(one) in
             ("_total", "_bucket", "_sum", "_count"))
        for name in names
    ]  # fmt: skip
    assert len(types) == len(set(types))
    assert list(dict.fromkeys(families)) == types
    assert [a for a, b in pairwise(families) if a != b] == types[:-1]
    assert lines[-1] == "# EOF"


def test_what_is_about_the_exporting_process_is_no_history(history):
    history.add(night(0))

    assert "agentmem_exporter" not in text_of(history)


def test_the_past_is_written_by_period_and_each_counter_goes_on(history):
    for number in range(4):
        history.add(night(number))
    periods = history.periods(backfill.PERIOD_MS)

    parts = ["".join(lines) for lines in history.texts(periods)]

    assert [of(part, OPERATIONS)[0][-1][1] for part in parts] == [500, 1001, 1503, 2006]
    for period, part in zip(periods, parts, strict=True):
        assert all(
            period.start <= when * 1000 < period.end
            for points in samples(part).values()
            for when, _ in points
        )


def test_a_run_over_the_border_of_two_periods_stays_in_the_later_one(history):
    border = 26_000 * backfill.PERIOD_MS / 1000
    end = datetime.fromtimestamp(border + 10)  # noqa: DTZ006  results know local time only
    history.add(document(end, histogram_of(1), execution_time=60.0))

    (part,) = (list(lines) for lines in history.texts(history.periods(backfill.PERIOD_MS)))

    (points,) = of("".join(part), OPERATIONS)
    assert points == [(border, 0.0), (border + 10, 1.0)]


def test_a_time_without_zone_is_of_this_machines(history, in_zone):
    local = document(datetime(2026, 7, 1, 12, 0, 0), histogram_of(1))  # noqa: DTZ001

    in_zone("Europe/Berlin")
    history.add(local)

    assert history.span() == Period(1782900000_000, 1782900000_001)


def test_a_time_with_a_zone_is_taken_as_it_is(history, in_zone):
    in_zone("Asia/Tokyo")
    history.add(document(FIRST_NIGHT, histogram_of(1), ended_at="2026-07-01T12:00:00.250+02:00"))

    assert history.span() == Period(1782900000_250, 1782900000_251)


def test_the_hour_that_comes_twice_in_autumn_keeps_its_order(history, in_zone):
    in_zone("Europe/Berlin")
    for minute in (5, 30, 55):
        twice = datetime(2025, 10, 26, 2, minute)  # noqa: DTZ001
        history.add(document(twice, histogram_of(1), execution_time=1.0))

    (points,) = of(text_of(history), OPERATIONS)

    assert [value for _, value in points[1::2]] == [1, 2, 3]
    assert points[-1][0] - points[1][0] == 50 * 60


@pytest.mark.parametrize(
    ("when", "complaint"),
    [
        (datetime(1969, 12, 31), "before 1970"),  # noqa: DTZ001
        (datetime(9999, 1, 1), "in the future, at '99990101_000000'"),  # noqa: DTZ001
    ],
)
def test_a_time_that_prometheus_could_not_live_with_is_refused(when, complaint, history):
    with pytest.raises(ResultFormatError, match=complaint):
        history.add(document(when, histogram_of(1)))

    assert history.span() is None


def test_a_label_of_ten_kilobytes_is_shortened_and_stays_on_its_line(history):
    hostile = 'a"b\\c\n' * 2_000

    history.add(document(FIRST_NIGHT, histogram_of(1), target={"spec": hostile}))

    lines = text_of(history).splitlines()
    assert max(map(len, lines)) < 1_000
    assert all(line.startswith(("#", "agentmem_")) for line in lines)
    assert 'target="a\\"b\\\\c\\na' in lines[-2]


@pytest.mark.server
def test_promtool_takes_a_hostile_label(history, tmp_path, promtool):
    hostile = '\ud800 é \u2028 \x00 \x7f " \\ \n {}=,' * 50
    history.add(document(FIRST_NIGHT, histogram_of(1), target={"spec": hostile}))

    assert create_blocks(history, tmp_path, promtool, quiet) == 1


def test_labels_asked_for_are_on_every_series():
    with History({"job": 'a "job"'}) as history:
        history.add(night(0))
        text = text_of(history)

    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines
    assert all('job="a \\"job\\""' in line for line in lines)


@pytest.mark.parametrize(
    "metadata",
    [
        {"histograms": "none"},
        {"histograms": [{}]},
        {"histograms": [{"operation": 1, "tier": 2, "outcome": 3, "latency": {}}]},
        {"resources": {"cpu_seconds": -1}},
        {"resources": {"cpu_seconds": "much"}},
        {"execution_time": 10**400},
        {"ended_at": "yesterday"},
        {"ended_at": 5},
    ],
)
def test_content_that_no_result_has_is_refused_whole(metadata, history):
    with pytest.raises(ResultFormatError):
        history.add(document(FIRST_NIGHT, histogram_of(1), **metadata))

    assert text_of(history) == "# EOF\n"


def damage(store: BenchmarkResults) -> list[str]:
    """Add files that cannot be used and return what should be said of each."""
    directory = Path(store.results_dir, "storage")
    good = json.dumps(night(0))
    files = {
        "broken": good[:-20],
        "newer": good.replace(f'"format": {FORMAT}', '"format": 99'),
        "strange": good.replace('"histograms": [', '"histograms": ["x", '),
        "to_come": good.replace(night(0)["timestamp"], "99981231_000000"),
    }
    for name, text in files.items():
        (directory / f"{name}_20260101_000000.json").write_text(text)
    with (directory / "huge_20260101_000000.json").open("w") as file:
        file.truncate(100 * 2**20)
    (directory / "hollow_20260101_000000.json").mkdir()
    return [
        "broken_20260101_000000.json:1:",
        "hollow_20260101_000000.json: is not a file",
        "huge_20260101_000000.json: has 104,857,600 bytes",
        "newer_20260101_000000.json: format 99 is newer than",
        "strange_20260101_000000.json: metadata.histograms[0]: expected an object with",
        "to_come_20260101_000000.json: it ends in the future",
    ]


def test_files_that_cannot_be_used_are_named_and_the_others_are(store, history):
    store.save_document(night(0))
    expected = damage(store)

    taken = take_results(store, history, quiet)

    assert taken.used == 1
    assert len(taken.skipped) == len(expected)
    for complaint, beginning in zip(taken.skipped, expected, strict=True):
        assert complaint.startswith(f"{store.results_dir}/storage/{beginning}")
        assert "\n" not in complaint
        assert len(complaint) < 600


def test_a_result_with_a_number_that_json_does_not_have_is_used(store, history):
    path = store.save_document(night(0))
    text = Path(path).read_text()
    Path(path).write_text(text.replace("50000000", "NaN"))
    assert "NaN" in Path(path).read_text()

    taken = take_results(store, history, quiet)

    assert (taken.used, taken.skipped) == (1, [])
    assert "resident_memory" not in text_of(history)


def test_a_missing_promtool_is_said_with_the_package_and_the_way_without():
    with pytest.raises(UsageError) as caught:
        backfill.find_promtool("no-such-promtool")

    message = str(caught.value)
    assert "no-such-promtool: no such program" in message
    assert "package prometheus" in message
    assert "--openmetrics FILE" in message


def promtool_that(tmp_path: Path, does: str) -> str:
    program = tmp_path / "promtool"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    return str(program)


def test_a_promtool_that_fails_leaves_no_block_and_its_words_are_passed_on(history, tmp_path):
    for number in range(2):
        history.add(night(number))
    blocks = tmp_path / "blocks"
    blocks.mkdir()
    fails_later = 'case "$6" in */2) echo "no such luck" >&2; exit 1; esac; mkdir -p "$6/01"'

    with pytest.raises(ExportError, match="could not make blocks: no such luck; see"):
        create_blocks(history, blocks, promtool_that(tmp_path, fails_later), quiet)

    assert list(blocks.iterdir()) == []


def test_a_promtool_that_does_not_end_is_ended(history, tmp_path, monkeypatch):
    history.add(night(0))
    monkeypatch.setattr(backfill, "_PROMTOOL_SECONDS", 0.1)

    with pytest.raises(ExportError, match="did not end within"):
        create_blocks(history, tmp_path, promtool_that(tmp_path, "exec tail -f /dev/null"), quiet)


def test_a_promtool_of_another_machine_is_told_from_a_directory_that_cannot_be_written(
    history, tmp_path
):
    history.add(night(0))
    program = tmp_path / "promtool"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)

    with pytest.raises(ExportError, match="promtool: cannot be run: Exec format error"):
        create_blocks(history, tmp_path, str(program), quiet)


def test_a_text_that_is_there_is_kept_unless_forced(history, tmp_path):
    history.add(night(0))
    file = tmp_path / "history.om"
    file.write_text("mine")

    with pytest.raises(UsageError, match=r"history.om: exists; .*--force"):
        write_text(history, file, force=False)
    kept = file.read_text()
    write_text(history, file, force=True)

    assert kept == "mine"
    assert file.read_text() == text_of(history)
    assert list(tmp_path.iterdir()) == [file]


def test_a_text_for_a_directory_that_is_missing_is_an_error_with_a_cure(history, tmp_path):
    with pytest.raises(ExportError, match="cannot be written: No such file or directory; name"):
        write_text(history, tmp_path / "no" / "history.om", force=False)


def test_something_that_is_no_file_is_never_replaced(history, tmp_path):
    with pytest.raises(UsageError, match="is not a file"):
        write_text(history, Path("/dev/null"), force=True)
    with pytest.raises(UsageError, match="is not a file"):
        write_text(history, tmp_path, force=True)


def test_a_disk_without_room_for_what_waits_is_an_error_with_a_cure(history):
    history.add(night(0))
    history._database.execute("PRAGMA max_page_count = 20")

    with pytest.raises(ExportError, match=r"does not fit on the disk: .*SQLITE_TMPDIR"):
        deque(map(history.add, map(night, range(1, 50))))
