"""What rules are, and how a file of them reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import yaml

from agentmem_observe.alerts.promql import duration

Severity: TypeAlias = Literal["critical", "warning", "info", "none"]
"""``critical``: somebody looks now. ``warning``: today. ``info``: to know. ``none``: never."""

Area: TypeAlias = Literal["performance", "leak", "validity", "noise", "jobs", "daemon", "watchdog"]
"""What an alert is about: routing groups by it, and what inhibits what goes by it. A leak is no
``performance``: a busy host makes none."""

HEADER = "# Made by: agentmem-observe alerts build. Do not edit; docs/alerts.md says what to do.\n"

_WIDTH = 10_000  # lines are broken where we break them, not within a template


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that is computed once for all who need it.

    Attributes:
        name: ``level:metric:operations``.
        expr: PromQL.
    """

    name: str
    expr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What calls somebody.

    Attributes:
        name: CamelCase; its runbook is ``docs/runbooks/<name>.md``.
        expr: PromQL; each series that it returns is an alert.
        severity: Who is called, and when.
        area: What it is about.
        summary: One line, a template.
        description: What was seen, with the value, a template.
        dashboard: Uid of the dashboard to look at first; "" for none.
        for_seconds: How long it must be so.
        keep_firing_seconds: How long it goes on when it is no longer so.
    """

    name: str
    expr: str
    severity: Severity
    area: Area
    summary: str
    description: str
    dashboard: str = ""
    for_seconds: float = 0.0
    keep_firing_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, in order.

    Attributes:
        name: Of the group.
        rules: In order: each sees what those before it recorded.
    """

    name: str
    rules: Sequence[Recording | Alert]


def rules_text(groups: Sequence[Group], interval_seconds: float, runbook_base_url: str) -> str:
    """Return a file of rules.

    Args:
        groups: In order.
        interval_seconds: How often they are evaluated.
        runbook_base_url: Ends in a slash.
    """
    return yaml_text(
        {
            "groups": [
                {
                    "name": group.name,
                    "interval": duration(interval_seconds),
                    "rules": [_rule(rule, runbook_base_url) for rule in group.rules],
                }
                for group in groups
            ]
        }
    )


def yaml_text(content: Mapping[str, Any]) -> str:
    """Return YAML that people can read: in order, long texts as blocks."""
    text: str = yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH
    )
    return HEADER + text


def _rule(rule: Recording | Alert, runbook_base_url: str) -> dict[str, Any]:
    if isinstance(rule, Recording):
        return {"record": rule.name, "expr": rule.expr}
    waits = {"for": rule.for_seconds, "keep_firing_for": rule.keep_firing_seconds}
    annotations = {
        "summary": rule.summary,
        "description": rule.description,
        "runbook_url": f"{runbook_base_url}{rule.name}.md",
        "dashboard": rule.dashboard,
    }
    return {
        "alert": rule.name,
        "expr": rule.expr,
        **{name: duration(seconds) for name, seconds in waits.items() if seconds},
        "labels": {"severity": rule.severity, "area": rule.area},
        "annotations": {name: text for name, text in annotations.items() if text},
    }


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and indents lists."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
