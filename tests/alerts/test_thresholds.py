"""Thresholds: all that is wrong is told at once, by file and key; the page has them all."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from agentmem_observe.alerts.thresholds import OBJECTIVE_BOUNDS, Thresholds, load_thresholds
from agentmem_observe.errors import ConfigError
from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"


def load(tmp_path: Path, text: str) -> Thresholds:
    file = tmp_path / "ours.toml"
    file.write_text(text)
    return load_thresholds(file)


def refused(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    prefix = f"{tmp_path / 'ours.toml'}: "
    lines = str(error.value).splitlines()
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


def test_without_a_file_there_are_defaults():
    assert load_thresholds(None) == Thresholds()


def test_a_file_changes_what_it_names(tmp_path):
    found = load(
        tmp_path,
        'job_slack = "1h30m"\npage_for = 90\nlatency_objective_seconds = 0.025\n'
        'expected_jobs = ["a", "b"]',
    )

    assert (found.job_slack, found.page_for, found.latency_objective_seconds) == (5400, 90, 0.025)
    assert found.expected_jobs == ("a", "b")
    assert found.exhaustion == Thresholds().exhaustion


def test_thresholds_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Thresholds().page_for = 1.0


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    lines = refused(
        tmp_path,
        'page_form = "2m"\n'
        'ticket_for = "soon"\n'
        "error_ratio = 2\n"
        "latency_objective_seconds = 0.2\n"
        "latency_objective_ratio = 0.5\n"
        "service_time_median_ratio = 1\n"
        "job_failures = 0\n"
        "job_periods = true\n"
        'scrape_job = "a\\"b"\n'
        'expected_jobs = ["a b"]\n'
        "dispatch_delay_seconds = nan\n"
        'evaluation_interval = "0s"\n'
        'webhook_url = "ftp://x"\n',
    )

    assert set(lines) == {
        "page_form: unknown key; did you mean 'page_for'?",
        'ticket_for: expected a period such as "90s" or "1h30m", or seconds; 0 s to 100 years, '
        "got 'soon'",
        "error_ratio: expected a number from 0 to 1, got 2",
        "latency_objective_seconds: expected a bound of a bucket, one of "
        + ", ".join(f"{bound:g}" for bound in OBJECTIVE_BOUNDS)
        + ", got 0.2",
        "latency_objective_ratio: expected a number from 0.95 to 0.9999, got 0.5",
        "service_time_median_ratio: expected a number above 1, got 1",
        "job_failures: expected a positive integer, got 0",
        "job_periods: expected a positive integer, got True",
        "scrape_job: expected a name of letters, digits and _./:@-, got 'a\"b'",
        "expected_jobs: expected a list of names of letters, digits and _./:@-, got ['a b']",
        "dispatch_delay_seconds: expected a number above 0, got nan",
        'evaluation_interval: expected a period such as "90s" or "1h30m", or seconds; 1 s to 100 '
        "years, got '0s'",
        "webhook_url: expected an address that begins with http:// or https://, got 'ftp://x'",
    }


def test_what_contradicts_itself_is_told_at_once(tmp_path):
    lines = refused(
        tmp_path,
        'runbook_base_url = "https://wiki/x"\nlow_traffic_operations = 10\n'
        'service_time_baseline = "2w"\nevaluation_interval = "121s"\n'
        'noise_for = "90s"\npage_for = "90s"\n',
    )

    assert lines == [
        "runbook_base_url: expected an address that ends in /, got 'https://wiki/x'",
        "low_traffic_slow_operations: expected at most the 10 of low_traffic_operations, got 20",
        "service_time_baseline: expected no longer than service_time_offset, or now would be "
        "compared with itself",
        "evaluation_interval: expected at most 2m, got 2m1s: Prometheus forgets what was recorded "
        "after 5m",
        "noise_for: expected less than the 1m30s of page_for, got 1m30s, or what a noisy host "
        "holds back is told before",
    ]


def test_what_just_does_not_contradict_itself_is_taken(tmp_path):
    found = load(
        tmp_path,
        'evaluation_interval = "2m"\nnoise_for = "9m59s"\nverdict_for = 0\npage_for = "0s"\n',
    )

    assert (found.evaluation_interval, found.noise_for) == (120, 599)


def test_noise_may_take_long_where_nothing_waits(tmp_path):
    found = load(tmp_path, "noise_for = 900\nverdict_for = 0\npage_for = 0\nperformance_for = 0\n")

    assert found.noise_for == 900


def test_a_file_that_is_none_is_told(tmp_path):
    (line,) = refused(tmp_path, "page_for = ")

    assert line.startswith("1:") or "not valid TOML" in line
    with pytest.raises(ConfigError, match="no such file"):
        load_thresholds(tmp_path / "gone.toml")


@pytest.mark.parametrize("bound", OBJECTIVE_BOUNDS)
def test_a_bound_prints_as_go_prints_it(bound):
    """Prometheus 3 writes whole numbers with a point; older versions as they were scraped."""
    mantissa, _, exponent = repr(bound).partition("e")

    assert bound in BOUNDS_SECONDS
    assert "." in mantissa or exponent
    assert not mantissa.endswith(".0")


def test_whole_numbers_of_seconds_are_left_out():
    assert set(BOUNDS_SECONDS) - set(OBJECTIVE_BOUNDS) == {1, 5, 10, 25, 50, 100}


# docs/alerts.md


def section() -> str:
    return PAGE.read_text().partition("\n## Thresholds\n")[2].partition("\n## ")[0]


def test_the_page_has_every_threshold_with_its_default():
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \| ", section(), re.MULTILINE)

    shown = tomllib.loads("\n".join(f"{name} = {default}" for name, default in rows))
    assert [name for name, _ in rows] == list(Thresholds.model_fields)
    written = {name: field.default for name, field in Thresholds.model_fields.items()}
    assert shown == written


def test_what_the_page_shows_is_good(tmp_path):
    (block,) = re.findall(r"^```toml\n(.*?)^```$", section(), re.DOTALL | re.MULTILINE)

    assert load(tmp_path, block) != Thresholds()
