"""The API answers what the daemon knows, and tells a caller what was wrong with a question."""

import json
import math
import re
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from agentmem_observe.daemon.api import daemon_routes
from agentmem_observe.daemon.controls import Asked

DOCS = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_status_is_what_the_daemon_shows(ask, controls):
    answer = ask("/api/v1/status")

    assert answer.status == 200
    assert answer.json == controls.shown
    assert answer.headers["cache-control"] == "no-store"


def test_a_poll_gets_only_the_points_that_are_not_older_than_it_says(ask, controls):
    first, second = controls.shown["jobs"][0]["live"]["points"]

    answer = ask(f"/api/v1/status?since={second['at']}")

    assert answer.json["jobs"][0]["live"] == {"every_seconds": 5.0, "points": [second]}
    assert controls.shown["jobs"][0]["live"]["points"] == [first, second]


def test_a_number_that_json_does_not_have_costs_itself_alone(ask, controls, make):
    bad = make["point"](1.0, latency_p99_seconds=math.nan, rss_bytes=np.float64(2.5))
    controls.shown["jobs"][0]["live"]["points"] = [bad]

    (shown,) = ask("/api/v1/status").json["jobs"][0]["live"]["points"]

    assert shown == bad | {"latency_p99_seconds": None, "rss_bytes": 2.5}


def test_jobs_are_listed_and_each_has_a_page_with_its_windows_and_changes(ask, controls):
    controls.changes = [{"at": 1.0, "figure": "storage.read_latency.p50_seconds"}]
    controls.windows = [{"job": "checkout", "soak": "a", "number": 1}]

    listed = ask("/api/v1/jobs").json
    one = ask("/api/v1/jobs/checkout").json

    assert listed == {"jobs": controls.shown["jobs"]}
    assert one == controls.shown["jobs"][0] | {
        "windows": controls.windows,
        "changes": controls.changes,
    }


def test_a_trend_is_of_a_day_unless_the_caller_says_otherwise(ask, controls, make):
    controls.trends["checkout"] = [make["trend_point"](1.0, latency_p99_seconds=math.nan)]

    day = ask("/api/v1/jobs/checkout/trend").json
    week = ask("/api/v1/jobs/nightly/trend?seconds=604800").json

    assert day["points"][0]["latency_p99_seconds"] is None
    assert (day["job"], day["seconds"], week["points"]) == ("checkout", 86_400, [])
    assert controls.asked == [("checkout", 86_400), ("nightly", 604_800)]


def test_runs_come_newest_first_in_pages(ask, controls):
    first = ask("/api/v1/runs?limit=3").json["runs"]
    second = ask(f"/api/v1/runs?limit=3&before={first[-1]['id']}").json["runs"]

    assert [run["id"] for run in first + second] == [4, 3, 2, 1]


def test_runs_are_fifty_of_all_jobs_unless_the_caller_says_otherwise(ask, controls):
    ask("/api/v1/runs")
    ask("/api/v1/runs?job=nightly&limit=1000&before=9223372036854775807")

    assert controls.asked == [(None, 50, None), ("nightly", 1000, 2**63 - 1)]


def test_a_job_without_runs_has_none(ask):
    assert ask("/api/v1/runs?job=checkout").json == {"runs": []}


def test_a_job_that_left_the_settings_still_shows_its_runs(ask, controls, make):
    controls.kept = [make["run"](1, "gone")]

    assert [run["id"] for run in ask("/api/v1/runs?job=gone").json["runs"]] == [1]


def test_one_run_comes_with_its_result_and_is_laid_out_for_people(ask, controls):
    answer = ask("/api/v1/runs/2")

    assert answer.json == controls.run(2)
    assert '\n  "id": 2,' in answer.body


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/api/v1/runs?limit=0", 400, "limit is '0'; give a whole number from 1 to 1000"),
        ("/api/v1/runs?limit=1001", 400, "limit is '1001'; give a whole number from 1 to 1000"),
        ("/api/v1/runs?limit=-5", 400, "limit is '-5'; give a whole number from 1 to 1000"),
        ("/api/v1/runs?limit=1.5", 400, "limit is '1.5'; give a whole number from 1 to 1000"),
        ("/api/v1/runs?limit=", 400, "limit is ''; give a whole number from 1 to 1000"),
        ("/api/v1/runs?limit=%D9%A3", 400, "limit is '٣'; give a whole number from 1 to 1000"),
        (
            "/api/v1/runs?limit=" + "9" * 5000,
            400,
            "limit is '999999999999...9999999999999'; give a whole number from 1 to 1000",
        ),
        (
            "/api/v1/runs?before=9223372036854775808",
            400,
            "before is '9223372036854775808'; give a whole number from 1 to 9223372036854775807",
        ),
        ("/api/v1/runs?job=nigthly", 400, "no job 'nigthly'; did you mean 'nightly'?"),
        ("/api/v1/runs?limt=5", 400, "no parameter 'limt' here; did you mean 'limit'?"),
        ("/api/v1/runs?limit=5&limit=6", 400, "limit is given 2 times; give it once"),
        ("/api/v1/jobs?limit=5", 400, "no parameter 'limit' here; known: none"),
        (
            "/api/v1/status?since=nan",
            400,
            "since is 'nan'; give seconds since 1970, such as 1.7e9",
        ),
        ("/api/v1/status?since=x", 400, "since is 'x'; give seconds since 1970, such as 1.7e9"),
        ("/api/v1/jobs/chekout", 404, "no job 'chekout'; did you mean 'checkout'?"),
        ("/api/v1/jobs/chekout/trend", 404, "no job 'chekout'; did you mean 'checkout'?"),
        (
            "/api/v1/jobs/checkout/trend?seconds=0",
            400,
            "seconds is '0'; give a whole number from 1 to 31622400",
        ),
        (
            "/api/v1/jobs/checkout/trend?days=1",
            400,
            "no parameter 'days' here; known: seconds",
        ),
        ("/api/v1/jobs/zzz", 404, "no job 'zzz'; known: checkout, nightly"),
        (
            "/api/v1/runs/99",
            404,
            "no run 99: there was none, or it was too old to keep; see /api/v1/runs",
        ),
        (
            "/api/v1/runs/x",
            400,
            "the id of a run is 'x'; give a whole number from 1 to 9223372036854775807",
        ),
        ("/api/v2/status", 404, "Not Found"),
        ("/-/reload", 405, "Method Not Allowed"),
    ],
)
def test_a_mistaken_question_is_answered_with_the_value_and_the_cure(ask, path, status, error):
    answer = ask(path)

    assert (answer.status, answer.json) == (status, {"error": error})


def test_outside_of_the_api_a_mistake_is_answered_in_text(ask):
    answer = ask("/nothing")

    assert (answer.status, answer.body) == (404, "Not Found\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_job_can_be_asked_to_run_now(ask, controls):
    answer = ask("/api/v1/jobs/nightly/run", "POST")

    assert (answer.status, answer.json) == (202, {"job": "nightly", "asked": "queued"})
    assert controls.asked == ["nightly"]


@pytest.mark.parametrize(
    ("asked", "status", "error"),
    [
        (
            Asked.ALREADY,
            409,
            "job 'nihgtly' runs already, or waits for the host; ask again when it is idle",
        ),
        (Asked.NOT_POSSIBLE, 409, "job 'nihgtly' is a soak: it always runs"),
        (Asked.UNKNOWN, 404, "no job 'nihgtly'; did you mean 'nightly'?"),
    ],
)
def test_a_job_that_cannot_run_now_says_why(ask, controls, asked, status, error):
    controls.answer = asked

    answer = ask("/api/v1/jobs/nihgtly/run", "POST")

    assert (answer.status, answer.json) == (status, {"error": error})


@pytest.mark.parametrize("path", ["/api/v1/jobs/nightly/run", "/-/reload"])
def test_reading_changes_nothing(ask, controls, path):
    answers = [ask(path, method) for method in ("GET", "HEAD", "PUT")]

    assert [answer.status for answer in answers] == [405, 405, 405]
    assert answers[0].headers["allow"] == "POST"
    assert controls.asked == []


def test_a_reload_that_fails_lists_the_errors(ask, controls):
    before = ask("/-/reload", "POST")
    controls.problem = "daemon.toml: jobs.a.rate: ...\ndaemon.toml: web: ..."

    after = ask("/-/reload", "POST")

    assert (before.status, before.json) == (200, {"reloaded": True})
    assert (after.status, after.json) == (400, {"error": controls.problem})


def test_health_is_the_loop_turning_and_readiness_is_the_daemon_s_to_say(ask, controls):
    answers = {path: ask(path) for path in ("/healthz", "/readyz")}
    controls.missing = "the state directory is not locked"

    unready = ask("/readyz")

    assert {path: (one.status, one.body) for path, one in answers.items()} == {
        "/healthz": (200, "ok\n"),
        "/readyz": (200, "ready\n"),
    }
    assert (unready.status, unready.body) == (503, "the state directory is not locked\n")
    assert ask("/healthz").status == 200


def test_a_daemon_that_fails_to_answer_tells_scripts_so_and_no_internals(
    ask, controls, monkeypatch
):
    def status(since: float) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(controls, "status", status)

    answer = ask("/api/v1/status")

    assert answer.status == 500
    assert answer.json == {"error": "the daemon failed to answer; see its log"}


def test_metrics_are_served_beside_the_page(ask):
    assert "agentmem_exporter_scrapes_total" in ask("/metrics").body
    assert ask("/").headers["content-type"] == "text/html; charset=utf-8"


def test_hostile_names_come_back_as_they_are(ask, controls, make):
    name = "<script>alert(1)</script>"
    controls.shown = make["status"](make["benchmark"](name))

    answer = ask(f"/api/v1/jobs/{quote(name, safe='')}")

    assert answer.status == 404  # a slash never is part of a name
    assert ask("/api/v1/jobs").json["jobs"][0]["name"] == name


def test_the_documentation_shows_what_is_answered(ask, request):
    example = re.compile(
        r"(?<=^```http\n)((GET|POST) (\S+)\n```\n\n```json\n).*?(?=^```$)",
        re.DOTALL | re.MULTILINE,
    )
    text = DOCS.read_text()

    def answered(found: re.Match[str]) -> str:
        question, method, path = found.groups()
        return question + json.dumps(ask(path, method).json, indent=2, ensure_ascii=False) + "\n"

    expected = example.sub(answered, text)
    if request.config.getoption("--update-golden"):
        DOCS.write_text(expected)

    assert len(example.findall(text)) >= 4
    assert DOCS.read_text() == expected, "if it should: pytest --update-golden"


def test_the_documentation_names_every_route(controls, registry):
    from_the_code = {
        route.path
        for route in daemon_routes(controls, registry)
        if not route.path.startswith(("/page/", "/favicon.ico"))
    }
    table = set(re.findall(r"^\| (?:GET|POST) `([^`?]+)", DOCS.read_text(), re.MULTILINE))

    assert table == from_the_code
