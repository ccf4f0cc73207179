"""Alertmanager's configuration: who is told of what, when, and what is held back meanwhile."""

from typing import Any, Final

from agentmem_observe.alerts.operation import DOWN, NOISY, VOID, WATCHDOG
from agentmem_observe.alerts.promql import OF_DAEMON, OF_RUN, duration
from agentmem_observe.alerts.rules import yaml_text
from agentmem_observe.alerts.thresholds import Thresholds

_GROUPS: Final = ["area", "job", "instance", "target"]
"""One message for all that is wrong with a memory, and for all that is wrong with a daemon."""

_OTHERS: Final = """
# Other receivers: put one in place of that of the same name above. Each can have several ways.
#
#   - name: agentmem-critical
#     pagerduty_configs:
#       - routing_key_file: /etc/alertmanager/pagerduty.key
#         description: '{{ .CommonAnnotations.summary }}'
#         links: [{href: '{{ .CommonAnnotations.runbook_url }}', text: runbook}]
#   - name: agentmem-warning
#     slack_configs:
#       - api_url_file: /etc/alertmanager/slack.url
#         channel: '#agent-memory'
#         title: '{{ .CommonAnnotations.summary }}'
#         text: '{{ range .Alerts }}{{ .Annotations.description }} {{ .Annotations.runbook_url }}
#           {{ end }}'
#   - name: agentmem-info
#     email_configs:
#       - to: memory-team@example.org
#         from: alertmanager@example.org
#         smarthost: smtp.example.org:587
#         auth_username: alertmanager
#         auth_password_file: /etc/alertmanager/smtp.password
#   # A service that calls when the Watchdog stops arriving, such as healthchecks.io:
#   - name: agentmem-watchdog
#     webhook_configs:
#       - url: https://watchdog.example.org/agentmem
#         send_resolved: false
"""


def alertmanager_text(thresholds: Thresholds) -> str:
    """Return the configuration as YAML, with further receivers as comments."""
    configuration = {
        "route": _route(thresholds),
        "inhibit_rules": _inhibit_rules(),
        "receivers": [
            {"name": f"agentmem-{name}", "webhook_configs": [_webhook(thresholds, resolved)]}
            for name, resolved in (
                ("critical", True),
                ("warning", True),
                ("info", False),
                ("watchdog", False),
            )
        ],
    }
    return yaml_text(configuration) + _OTHERS


def _route(thresholds: Thresholds) -> dict[str, Any]:
    return {
        "receiver": "agentmem-warning",
        "group_by": _GROUPS,
        "group_wait": duration(thresholds.group_wait),
        "group_interval": duration(thresholds.group_interval),
        "repeat_interval": duration(thresholds.repeat_interval),
        "routes": [
            {
                "matchers": [f'alertname="{WATCHDOG}"'],
                "receiver": "agentmem-watchdog",
                "group_wait": "0s",
                # It is told at the group's first flush after the repeat interval is over. Were
                # both the same, that flush would come a moment too early, and the next tell it.
                "group_interval": duration(thresholds.watchdog_interval / 5),
                "repeat_interval": duration(thresholds.watchdog_interval * 0.9),
            },
            {"matchers": ['severity="critical"'], "receiver": "agentmem-critical"},
            {
                "matchers": ['severity="info"'],
                "receiver": "agentmem-info",
                "repeat_interval": "1d",
            },
        ],
    }


def _inhibit_rules() -> list[dict[str, Any]]:
    return [
        # On a busy host everything is slow: that is no news of the memory.
        _inhibits([f'alertname="{NOISY}"'], ['area="performance"'], list(OF_DAEMON)),
        # What a void run says is not believed; that it is void is told instead.
        _inhibits([f'alertname="{VOID}"'], ['area=~"performance|leak"'], list(OF_RUN)),
        # Whoever does not answer has nothing to say of memories and jobs.
        _inhibits(
            [f'alertname="{DOWN}"'], ['area=~"performance|leak|validity|jobs"'], list(OF_DAEMON)
        ),
        _inhibits(
            ['alertname="AgentMemMemoryExhaustion"'], ['alertname="AgentMemLeak"'], list(OF_RUN)
        ),
        _inhibits(
            ['alertname="AgentMemLatencyBudgetPage"'],
            ['alertname="AgentMemLatencyBudgetTicket"'],
            list(OF_RUN),
        ),
        _inhibits(
            ['alertname="AgentMemStateWritesLost"'],
            ['alertname=~"AgentMemStateNotWritable|AgentMemStateWritesPending"'],
            list(OF_DAEMON),
        ),
    ]


def _inhibits(sources: list[str], targets: list[str], equal: list[str]) -> dict[str, Any]:
    return {"source_matchers": sources, "target_matchers": targets, "equal": equal}


def _webhook(thresholds: Thresholds, send_resolved: bool) -> dict[str, Any]:
    return {"url": thresholds.webhook_url, "send_resolved": send_resolved}
