"""Who is told of what, by amtool; and what is held back, by a real Alertmanager."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from agentmem_observe.alerts.alerting import all_alerts
from agentmem_observe.alerts.alertmanager import alertmanager_text
from agentmem_observe.alerts.thresholds import Thresholds
from tests.daemons import until

ALERTS = {alert.name: alert for alert in all_alerts(Thresholds())}
HOST = {"job": "agentmem", "instance": "h:9464"}
RUN = {**HOST, "target": "fake", "category": "soak", "benchmark": "steady"}

RECEIVERS = {
    "critical": "agentmem-critical",
    "warning": "agentmem-warning",
    "info": "agentmem-info",
    "none": "agentmem-watchdog",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "alertmanager.yml"
    file.write_text(alertmanager_text(Thresholds()))
    return file


def content() -> Any:
    return yaml.safe_load(alertmanager_text(Thresholds()))


def test_messages_are_grouped_by_what_is_troubled():
    route = content()["route"]

    assert route["group_by"] == ["area", "job", "instance", "target"]
    assert all("group_by" not in each for each in route["routes"])


def test_receivers_send_to_this_machine_unless_told_otherwise():
    urls = {
        hook["url"] for receiver in content()["receivers"] for hook in receiver["webhook_configs"]
    }

    assert urls == {"http://127.0.0.1:9465/alerts"}


@pytest.mark.parametrize("interval", [1, 5, 90, 300, 86_400])
def test_the_watchdog_is_told_at_its_interval(interval):
    """At a flush of the group, when the repeat interval is over for sure and not just about."""
    thresholds = Thresholds.model_validate({"watchdog_interval": interval})
    (route,) = (
        each
        for each in yaml.safe_load(alertmanager_text(thresholds))["route"]["routes"]
        if each["receiver"] == "agentmem-watchdog"
    )
    flush, repeat = (milliseconds(route[f"{name}_interval"]) for name in ("group", "repeat"))
    early = repeat % flush

    assert 0.1 * flush < early < 0.9 * flush
    assert repeat - early + flush == interval * 1000


def milliseconds(text: str) -> int:
    """Return a length of time that Prometheus writes."""
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    return sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+)(ms|[smhd])", text))


def test_no_rule_holds_back_what_it_is_made_of():
    """A rule whose sources and targets overlap would let alerts silence each other."""
    for rule in content()["inhibit_rules"]:
        sources = {name for name in ALERTS if matches(name, rule["source_matchers"])}
        targets = {name for name in ALERTS if matches(name, rule["target_matchers"])}
        assert sources
        assert targets
        assert sources & targets == set()


def matches(name: str, matchers: list[str]) -> bool:
    labels = {"alertname": name, "area": ALERTS[name].area}
    for matcher in matchers:
        label, _, value = matcher.partition("=")
        if labels[label] not in value.lstrip("~").strip('"').split("|"):
            return False
    return True


@pytest.mark.server
def test_amtool_takes_the_configuration(amtool, config):
    done = subprocess.run([amtool, "check-config", config], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 inhibit rules" in done.stdout
    assert "4 receivers" in done.stdout


@pytest.mark.server
def test_amtool_takes_the_receivers_that_are_comments(amtool, config):
    text = config.read_text()
    head, _, comments = text.partition("\nreceivers:\n")
    lines = comments.partition("# Other receivers")[2].splitlines()[1:]
    others = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)
    config.write_text(f"{head}\nreceivers:\n{others}\n")

    done = subprocess.run([amtool, "check-config", config], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 receivers" in done.stdout


@pytest.mark.server
@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_goes_to_the_receiver_of_its_severity(amtool, config, name):
    alert = ALERTS[name]
    labels = [f"alertname={name}", f"severity={alert.severity}", f"area={alert.area}"]

    done = subprocess.run(
        [amtool, "config", "routes", "test", f"--config.file={config}", *labels],
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout.strip()) == (0, RECEIVERS[alert.severity]), done.stderr


INHIBITIONS = [
    # source, its labels, target, its labels, whether it is held back
    ("AgentMemHostNoisy", RUN, "AgentMemRegression", RUN, True),
    ("AgentMemHostNoisy", RUN, "AgentMemLatencyBudgetPage", RUN | {"benchmark": "b"}, True),
    ("AgentMemHostNoisy", RUN, "AgentMemRegression", RUN | {"instance": "i:9464"}, False),
    ("AgentMemHostNoisy", RUN, "AgentMemLeak", RUN, False),
    ("AgentMemHostNoisy", RUN, "AgentMemMemoryExhaustion", RUN, False),
    ("AgentMemHostNoisy", RUN, "AgentMemJobFailing", HOST, False),
    ("AgentMemRunVoid", RUN, "AgentMemSaturated", RUN, True),
    ("AgentMemRunVoid", RUN, "AgentMemLeak", RUN, True),
    ("AgentMemRunVoid", RUN, "AgentMemLeak", RUN | {"benchmark": "b"}, False),
    ("AgentMemDaemonDown", HOST, "AgentMemJobStale", HOST, True),
    ("AgentMemDaemonDown", HOST, "AgentMemDaemonRestarts", HOST, False),
    ("AgentMemDaemonDown", HOST, "AgentMemJobStale", HOST | {"instance": "i:9464"}, False),
    ("AgentMemMemoryExhaustion", RUN, "AgentMemLeak", RUN, True),
    ("AgentMemLatencyBudgetPage", RUN, "AgentMemLatencyBudgetTicket", RUN, True),
    ("AgentMemStateWritesLost", HOST, "AgentMemStateNotWritable", HOST, True),
]


@pytest.mark.server
def test_alerts_are_held_back_as_the_page_says(start_alertmanager, config):
    """Each pair is of a job of its own, so that none sees the others."""
    server = start_alertmanager(config)
    posted = [
        {
            "labels": {
                **labels,
                "alertname": name,
                "area": ALERTS[name].area,
                "severity": ALERTS[name].severity,
                "job": str(number),
            }
        }
        for number, (source, of_source, target, of_target, _) in enumerate(INHIBITIONS)
        for name, labels in ((source, of_source), (target, of_target))
    ]

    server.post(*posted)
    found = until("all are looked at", lambda: looked_at(server, len(posted)))

    held_back = {
        (alert["labels"]["job"], alert["labels"]["alertname"])
        for alert in found
        if alert["status"]["inhibitedBy"]
    }
    assert held_back == {
        (str(number), target) for number, (_, _, target, _, held) in enumerate(INHIBITIONS) if held
    }


def looked_at(server: Any, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.alerts()
    done = [alert for alert in found if alert["status"]["state"] != "unprocessed"]
    return found if len(found) == len(done) == count else []


@pytest.mark.server
def test_a_message_tells_all_of_a_memory_and_nothing_of_what_is_held_back(
    start_alertmanager, receiver, tmp_path
):
    thresholds = Thresholds.model_validate(
        {"webhook_url": receiver.url, "group_wait": "1s", "group_interval": "1s"}
    )
    config = tmp_path / "alertmanager.yml"
    config.write_text(alertmanager_text(thresholds))
    server = start_alertmanager(config)
    quiet, noisy = RUN, RUN | {"instance": "noisy:9464"}

    server.post(alert("AgentMemHostNoisy", noisy))
    server.post(
        *(
            alert(name, labels)
            for labels in (quiet, noisy)
            for name in ("AgentMemRegression", "AgentMemSaturated", "AgentMemLeak")
        )
    )
    until("both leaks", lambda: len(receiver.alerts("AgentMemLeak")) >= 2)
    until("the rest", lambda: receiver.alerts("AgentMemSaturated"))
    until("the noise", lambda: receiver.alerts("AgentMemHostNoisy"))

    told = {
        (each["labels"]["alertname"], each["labels"]["instance"]) for each in receiver.alerts()
    }
    assert told == {
        ("AgentMemHostNoisy", "noisy:9464"),
        ("AgentMemLeak", "noisy:9464"),
        ("AgentMemLeak", "h:9464"),
        ("AgentMemRegression", "h:9464"),
        ("AgentMemSaturated", "h:9464"),
    }
    together = [
        message for message in receiver.messages if message["groupLabels"]["area"] == "performance"
    ]
    assert [len(message["alerts"]) for message in together] == [2]
    assert json.dumps(together).count("noisy:9464") == 0


def alert(name: str, labels: dict[str, str]) -> dict[str, Any]:
    known = ALERTS[name]
    return {
        "labels": {**labels, "alertname": name, "area": known.area, "severity": known.severity}
    }
