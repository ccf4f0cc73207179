"""All alerts."""

from agentmem_observe.alerts.operation import operation_alerts
from agentmem_observe.alerts.performance import performance_alerts
from agentmem_observe.alerts.rules import Alert, Group
from agentmem_observe.alerts.thresholds import Thresholds


def alert_groups(thresholds: Thresholds) -> list[Group]:
    """Return all alerts, in two groups: of memories, and of whoever measures them."""
    return [
        Group("agentmem-performance", performance_alerts(thresholds)),
        Group("agentmem-operation", operation_alerts(thresholds)),
    ]


def all_alerts(thresholds: Thresholds) -> list[Alert]:
    """Return all alerts, in the order of the file."""
    return [
        rule
        for group in alert_groups(thresholds)
        for rule in group.rules
        if isinstance(rule, Alert)
    ]
