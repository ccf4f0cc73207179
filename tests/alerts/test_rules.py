"""What holds for all rules: names, labels, runbooks, and the files that are committed."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from agentmem_observe.alerts import promql
from agentmem_observe.alerts.alerting import alert_groups, all_alerts
from agentmem_observe.alerts.build import RULE_FILES, build_files, check_rules
from agentmem_observe.alerts.recording import recording_groups
from agentmem_observe.alerts.rules import Recording
from agentmem_observe.alerts.thresholds import Thresholds
from agentmem_observe.dashboards.build import dashboards
from agentmem_observe.generated import find_drift
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.catalog import METRICS, Kind
from agentmem_observe.units import format_period

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
PAGE = ROOT / "docs" / "alerts.md"

DEFAULTS = Thresholds()
ALERTS = all_alerts(DEFAULTS)
RECORDED = {rule.name: rule for group in recording_groups(DEFAULTS) for rule in group.rules}
EXPRS = {rule.name: rule.expr for rule in [*RECORDED.values(), *ALERTS]}

LEVELS = {
    "benchmark": ("operation", "tier", "outcome"),
    "operation": ("tier", "outcome"),
}
"""What series of a level are added up over."""

OF_VERDICTS = ("AgentMemRegression", "AgentMemLeak", "AgentMemDriftSlower")

every_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
every_expr = pytest.mark.parametrize("name", EXPRS)


def names_in(text: str) -> set[str]:
    """Return the names of our series in PromQL or prose, recorded ones whole."""
    return set(re.findall(r"(?<![\w:])(?:\w+:)?agentmem_\w+(?::\w+)?", text))


def known(name: str) -> bool:
    """Return whether a name is a metric of the catalog, one of its series, or recorded."""
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    return (
        name in RECORDED
        or name in METRICS
        or (base in METRICS and METRICS[base].kind is Kind.HISTOGRAM)
    )


@every_expr
def test_a_rule_names_only_what_the_catalog_has_or_a_rule_records(name):
    found = names_in(EXPRS[name])

    assert found or name in ("AgentMemWatchdog", "AgentMemDaemonDown", "AgentMemDaemonAbsent")
    assert {each for each in found if not known(each)} == set()


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_name_says_level_metric_and_operation(name):
    level, metric, operation = name.split(":")

    assert level in LEVELS
    assert metric in METRICS or f"{metric}_total" in METRICS
    assert re.fullmatch(r"[a-z0-9_]+", operation)
    for beyond in re.findall(r"sum without \(([^)]*)\) \(rate", RECORDED[name].expr):
        assert set(beyond.split(", ")) - {"le"} == set(LEVELS[level])


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_recorded_is_used_by_another_rule(name):
    assert any(name in names_in(expr) for other, expr in EXPRS.items() if other != name)


def test_every_histogram_is_asked_for_as_native_and_as_classic():
    for name, expr in EXPRS.items():
        for metric in {re.sub(r"_(bucket|count)$", "", each) for each in names_in(expr)}:
            if metric in METRICS and METRICS[metric].kind is Kind.HISTOGRAM:
                assert re.search(rf"{metric}[\[{{]", expr), name
                assert re.search(rf"{metric}_(bucket|count)[\[{{]", expr), name
                assert "\nor\n" in expr.replace("  ", ""), name


def test_every_label_is_one_of_ours_or_of_prometheus():
    ours = {*catalog.LABELS, "job", "instance", "le", "noise", "__name__"}
    for name, expr in EXPRS.items():
        clauses = re.findall(r"(?:on|by|without|group_left|group_right) \(([^)]*)\)", expr)
        matched = re.findall(r"[{,](\w+)(?:=~|!~|!=|=)", expr)
        labels = {*matched, *(each.strip() for clause in clauses for each in clause.split(","))}
        assert labels - {""} <= ours, name


@every_alert
def test_an_alert_is_named_and_labelled_as_all_are(alert):
    assert re.fullmatch(r"AgentMem([A-Z][a-z]+)+", alert.name)
    assert alert.severity in ("critical", "warning", "info", "none")
    assert alert.summary
    assert alert.description.endswith(".")
    assert "  " not in alert.description


@every_alert
def test_the_dashboard_to_look_at_exists(alert):
    assert alert.dashboard in dashboards() or alert.area == "watchdog"


def test_names_are_given_once():
    names = [alert.name for alert in ALERTS]

    assert len(names) == len(set(names))


@every_alert
def test_no_alert_of_performance_is_about_a_void_run(alert):
    guard = 'agentmem_validity{verdict="void"}'

    assert (guard in alert.expr) == (
        alert.area in ("performance", "leak", "validity") or alert.name == "AgentMemRunVoid"
    )
    if alert.name != "AgentMemRunVoid" and guard in alert.expr:
        assert alert.expr.endswith(
            "unless on (job, instance, target, category, benchmark)\n(\n"
            '  sum without (verdict) (agentmem_validity{verdict="void"}) == 1\n)'
        )


def test_rates_are_recorded_only_of_runs_that_were_not_void():
    for rule in RECORDED.values():
        if "rate(agentmem" in rule.expr:
            assert re.search(
                r'unless on \([\w, ]+\)\n\(\n  max_over_time\(agentmem_validity\{verdict="void"'
                r"[^}]*\}\[7m\]\) == 1\n\)$",
                rule.expr,
            ), rule.name


def test_a_noisy_host_is_known_before_what_it_holds_back():
    held_back = [alert.for_seconds for alert in ALERTS if alert.area == "performance"]

    assert DEFAULTS.noise_for < min(held_back)


def test_live_figures_call_no_sooner_than_their_window_is_judged():
    for alert in ALERTS:
        if alert.area in ("performance", "leak"):
            assert alert.for_seconds >= DEFAULTS.judged_within, alert.name


def test_last_week_is_last_week():
    expr = RECORDED["operation:agentmem_operation_service_time_seconds:p50_baseline"].expr

    assert expr.endswith("[1d] offset 1w)")


def test_jobs_that_are_expected_are_those_that_are_named():
    (alert,) = [
        each
        for each in all_alerts(Thresholds(expected_jobs=["one", "two"]))
        if each.name == "AgentMemJobMissing"
    ]

    assert re.findall(r'absent\(agentmem_job_state\{job_name="(\w+)"', alert.expr) == [
        "one",
        "two",
    ]


@pytest.mark.parametrize(
    "select",
    [
        lambda: promql.series(catalog.VALIDITY, 'operation="x"'),
        lambda: promql.series(catalog.VALIDITY, "verdict"),
        lambda: promql.series(catalog.VALIDITY, 'verdict="void"', suffix="_bucket"),
        lambda: promql.state(catalog.LEAK, "worse"),
    ],
    ids=["label", "matcher", "suffix", "state"],
)
def test_what_a_metric_has_not_cannot_be_selected(select):
    with pytest.raises(ValueError, match=r"agentmem_\w+ (has|is)"):
        select()


# Runbooks and the page


@every_alert
def test_an_alert_has_a_runbook_that_names_it_and_says_what_to_do(alert):
    text = (RUNBOOKS / f"{alert.name}.md").read_text()

    assert text.startswith(f"# {alert.name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "Is it real?",
        "Look at",
        "Usual causes",
        "Silence it honestly",
    ]
    assert "```" in text.partition("## Look at")[2]


def test_no_runbook_is_orphaned():
    assert {file.stem for file in RUNBOOKS.glob("*.md")} == {alert.name for alert in ALERTS}


@pytest.mark.parametrize(
    "file", [PAGE, *sorted(RUNBOOKS.glob("*.md"))], ids=lambda file: file.stem
)
def test_documentation_names_only_what_there_is(file):
    text = file.read_text()

    assert {name for name in names_in(text) if not known(name) and name != "agentmem_"} == set()
    alerts = set(re.findall(r"AgentMem(?:[A-Z][a-z]+)+", text))
    assert alerts - {"AgentMemLatency"} <= {alert.name for alert in ALERTS}
    # Words with an underscore are thresholds if they look like one.
    fields = set(re.findall(r"`(\w+_(?:ratio|for|slack|overdue|within|age|jobs))`", text))
    assert {name for name in fields if not name.startswith("agentmem")} <= set(
        Thresholds.model_fields
    )


@pytest.mark.server
def test_promtool_takes_every_query_of_a_runbook(promtool, tmp_path):
    blocks = {
        file.stem: re.findall(
            r"^```promql\n(.*?)^```$", file.read_text(), re.DOTALL | re.MULTILINE
        )
        for file in RUNBOOKS.glob("*.md")
    }
    queries = [line for found in blocks.values() for block in found for line in block.splitlines()]
    rules = [{"record": f"asked:query:{n}", "expr": query} for n, query in enumerate(queries)]
    file = tmp_path / "runbooks.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}))

    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(queries) > len(blocks)


def test_the_page_lists_every_alert_with_severity_and_time():
    rows = re.findall(
        r"^\| \[(\w+)\]\(runbooks/\w+\.md\) \| (\w+) \| .+ \| (.+?) \|$",
        PAGE.read_text(),
        re.MULTILINE,
    )

    assert {name: rest for name, *rest in rows} == {
        alert.name: [
            alert.severity,
            format_period(alert.for_seconds) if alert.for_seconds else "at once",
        ]
        for alert in ALERTS
    }


# The files


def test_the_committed_files_are_what_is_made():
    files = {ROOT / "deploy" / path: text for path, text in build_files(DEFAULTS).items()}

    assert find_drift(files) == [], "agentmem-observe alerts build"


def test_the_files_read_back_as_they_were_meant():
    text = build_files(DEFAULTS)[RULE_FILES[1]]

    groups = yaml.safe_load(text)["groups"]

    rules = [rule for group in groups for rule in group["rules"]]
    assert [rule["alert"] for rule in rules] == [alert.name for alert in ALERTS]
    for rule, alert in zip(rules, ALERTS, strict=True):
        assert rule["expr"] == alert.expr
        assert rule["labels"] == {"severity": alert.severity, "area": alert.area}
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{alert.name}.md")
    assert "expr: |-\n" in text
    assert text.startswith("# Made by: agentmem-observe alerts build.")


def test_rules_are_of_the_kind_of_their_file():
    assert all(isinstance(rule, Recording) for rule in RECORDED.values())
    assert not any(
        isinstance(rule, Recording) for group in alert_groups(DEFAULTS) for rule in group.rules
    )


@pytest.mark.server
@pytest.mark.parametrize("which", ["defaults", "other"])
def test_promtool_takes_the_rules(promtool, tmp_path, which):
    thresholds = DEFAULTS if which == "defaults" else other()
    for path, text in build_files(thresholds).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    assert check_rules(promtool, tmp_path) == ""
    counted = subprocess.run(
        [promtool, "check", "rules", *(tmp_path / file for file in RULE_FILES)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"{len(RECORDED)} rules found" in counted
    assert f"{len(ALERTS)} rules found" in counted


@pytest.mark.server
def test_what_promtool_does_not_take_is_told(promtool, tmp_path):
    for path in RULE_FILES:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("groups: [{name: a, rules: [{record: b, expr: 'sum('}]}]")

    assert "parse error" in check_rules(promtool, tmp_path)


def test_a_promtool_that_cannot_be_run_is_told(tmp_path):
    assert "No such file" in check_rules(str(tmp_path / "promtool"), tmp_path)


def other() -> Thresholds:
    """Return thresholds of which every number is another."""
    changed = {}
    for name, value in DEFAULTS:
        if isinstance(value, float | int):
            changed[name] = value / 2 if isinstance(value, float) and value < 1 else value * 2
    changed |= {"latency_objective_seconds": 0.0001, "latency_objective_ratio": 0.9999}
    changed |= {"saturation_ratio": 0.5, "expected_jobs": [], "scrape_job": "memory/1"}
    return Thresholds.model_validate(changed)
