"""`results history`: what changed first, for people, programs and whoever must be stopped."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentmem_observe.cli.counting import Counting
from agentmem_observe.cli.sparklines import sparkline
from agentmem_observe.results.store import BenchmarkResults

START = datetime(2026, 10, 1, 3, tzinfo=UTC)
NAME = "complexity_1.stm.single.service_time_p99_seconds"

Make = Callable[..., Path]


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that makes results of some nights, the last ones slower."""
    monkeypatch.setenv("TZ", "UTC")

    def make(steady: int, slower: int, change: float = 1.3) -> Path:
        store = BenchmarkResults(tmp_path / "nights")
        noise = random.Random(1)
        for number in range(steady + slower):
            at = START + timedelta(days=number)
            slow = change if number >= steady else 1.0
            figures = {
                "service_time_p50_seconds": 1e-5 * noise.gauss(1, 0.01),
                "service_time_p99_seconds": 3e-5 * noise.gauss(1, 0.01) * slow,
                "service_time_max_seconds": 1.0,
            }
            store.save_document(
                {
                    "benchmark": "read_latency",
                    "category": "storage",
                    "timestamp": at.strftime("%Y%m%d_%H%M%S"),
                    "results": {"complexity_1": {"stm": {"single": figures}}},
                    "metadata": {
                        "target": {"spec": "embedded"},
                        "ended_at": at.isoformat(),
                        "vcs": {"commit": f"{number:02}" * 20},
                        "versions": {"numpy": "2.5.0" if number >= steady else "2.4.6"},
                    },
                }
            )
        return Path(store.results_dir)

    return make


def test_what_changed_is_listed_and_the_rest_counted(command, nights):
    ran = command("results", "history", "--results-dir", nights(30, 8))

    assert ran.code == 0
    heading, trend, change, also, empty, rest = ran.out.splitlines()
    assert heading == "storage.read_latency on embedded: 38 runs, 2026-10-01 to 2026-11-07"
    verdict, size, bars, *value, name = trend.split()
    assert (verdict, name) == ("worse", NAME)
    assert size.startswith("+")
    assert len(bars) == 20
    assert bars.endswith("█")
    assert value[1] == "µs"
    assert change.startswith("  2026-10-31 03:00  worse +")
    assert change.endswith("30 runs before, 8 since, commit 292929292..303030303")
    assert also == "    with it changed numpy: 2.5.0, was 2.4.6"
    assert empty == ""
    assert rest == "1 further figure: 1 unchanged; --all lists them"


def test_all_lists_what_did_not_change_below_what_did(command, nights):
    ran = command("results", "history", "--all", "--results-dir", nights(30, 8))

    verdicts = [line.split()[0] for line in ran.out.splitlines() if "seconds" in line]
    assert verdicts == ["worse", "same"]


def test_too_few_runs_say_so(command, nights):
    ran = command("results", "history", "--all", "--results-dir", nights(4, 0))

    assert ran.out.count("too few runs: 4 (limit 13, and 18 for small changes); run more") == 2


@pytest.mark.parametrize(
    ("slower", "change", "flag", "code"),
    [
        (8, 1.3, ["--fail-on-regression"], 2),
        (8, 1.3, [], 0),
        (8, 0.7, ["--fail-on-regression"], 0),
        (0, 1.0, ["--fail-on-regression"], 0),
        (21, 1.3, ["--fail-on-regression"], 0),
    ],
    ids=["worse", "not asked", "better", "same", "no news"],
)
def test_only_a_fresh_regression_ends_with_2_and_only_if_asked(
    command, nights, slower, change, flag, code
):
    directory = nights(30, slower, change)

    assert command("results", "history", "--results-dir", directory, *flag).code == code


def test_a_pattern_chooses_figures_and_their_threshold(command, nights):
    directory = nights(30, 8)

    only = ("results", "history", "--results-dir", directory, "--json", "--metric")
    (p50,) = json.loads(command(*only, "p50").out)["figures"]
    (p99,) = json.loads(command(*only, "storage.*p99:50%").out)["figures"]

    assert p50["path"].endswith("p50_seconds")
    assert (p99["threshold_ratio"], p99["verdict"]) == (0.5, "same")


def test_a_pattern_about_nothing_is_refused(command, nights):
    ran = command("results", "history", "--results-dir", nights(2, 0), "--metric", "p98")

    assert (ran.code, ran.out) == (1, "")
    assert "--metric 'p98': none of 3 figures has this in its name" in ran.err


def test_json_has_every_run_change_and_file_left_out(command, nights):
    directory = nights(30, 8)
    (directory / "storage" / "read_latency_20270101_000000.json").write_text("{")
    (directory / "storage" / "renamed.json").write_text("{")

    told = json.loads(command("results", "history", "--json", "--results-dir", directory).out)

    assert told["verdict"] == "worse"
    assert [each["cause"] for each in told["left_out"]] == ["damaged", "misnamed"]
    worse, same = told["figures"]
    assert (worse["verdict"], same["verdict"]) == ("worse", "same")
    assert len(worse["runs"]) == 38
    assert worse["runs"][-1]["commit"] == "37" * 20
    (change,) = worse["changes"]
    assert change["at"] == (START + timedelta(days=30)).timestamp()
    assert change["direction"] == "worse"
    assert change["size"]["low"] < 0.3 < change["size"]["high"]
    assert (change["commit_before"], change["commit_after"]) == ("29" * 20, "30" * 20)


def test_a_directory_that_is_not_there_is_a_mistake_and_an_empty_one_is_not(command, tmp_path):
    missing = command("results", "history", "--results-dir", tmp_path / "none")
    empty = command("results", "history", "--results-dir", tmp_path)

    assert missing.code == 1
    assert (empty.code, empty.out) == (0, "")
    assert empty.err.startswith("Nothing to judge in ")


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_no_line_is_wider_than_it_is(on_terminal, nights, screen, columns):
    ran = on_terminal("results", "history", "--results-dir", nights(30, 8), columns=columns)

    lines = screen(ran.out)
    assert max(map(len, lines)) <= columns
    assert any("worse" in line and "µs" in line for line in lines)


def test_an_ascii_terminal_has_bars_too(on_terminal, nights):
    ran = on_terminal(
        "results", "history", "--results-dir", nights(30, 8), columns=120, piped=True,
        env={"PYTHONIOENCODING": "ascii:replace"},
    )  # fmt: skip

    assert "@@" in ran.out
    assert "??" not in ran.out


def test_bars_show_a_step_of_many_runs_in_few_columns():
    assert sparkline([1.0] * 300 + [2.0] * 100, 8) == "▁▁▁▁▁▁██"


def test_whoever_waits_is_told_after_two_seconds_and_not_for_every_file(capsys):
    seconds = iter([0, 1, 1.9, 2.1, 2.1, 2.2, 4.0, 4.2, 4.2])

    with Counting("read", "results", 1200, now=lambda: next(seconds)) as done:
        for _ in range(6):
            done()

    assert capsys.readouterr().err.splitlines() == [
        "read 3 of 1,200 results",
        "read 6 of 1,200 results",
    ]
