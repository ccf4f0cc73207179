"""The files that are made of thresholds, and what promtool says of them."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agentmem_observe.alerts.alerting import alert_groups
from agentmem_observe.alerts.alertmanager import alertmanager_text
from agentmem_observe.alerts.kubernetes import RULE_OBJECT_FILE, prometheus_rule_text
from agentmem_observe.alerts.recording import recording_groups
from agentmem_observe.alerts.rules import rules_text
from agentmem_observe.alerts.thresholds import Thresholds

RULE_FILES: Final = (Path("prometheus/recording.yml"), Path("prometheus/alerts.yml"))
"""What Prometheus loads, below the directory of the output."""

ALERTMANAGER_FILE: Final = Path("alertmanager/alertmanager.yml")

_PATIENCE_SECONDS = 60.0


def build_files(thresholds: Thresholds) -> Mapping[Path, str]:
    """Return the text of every file, by its path below the directory of the output."""
    recording, alerts = (
        rules_text(groups, thresholds.evaluation_interval, thresholds.runbook_base_url)
        for groups in (recording_groups(thresholds), alert_groups(thresholds))
    )
    return {
        RULE_FILES[0]: recording,
        RULE_FILES[1]: alerts,
        ALERTMANAGER_FILE: alertmanager_text(thresholds),
        RULE_OBJECT_FILE: prometheus_rule_text([recording, alerts]),
    }


def check_rules(promtool: str, directory: Path) -> str:
    """Return what promtool finds wrong with the rules in a directory; "" for nothing.

    Args:
        promtool: The program.
        directory: Of the output; the files are there.
    """
    try:
        done = subprocess.run(
            [promtool, "check", "rules", *(str(directory / file) for file in RULE_FILES)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{promtool}: {error}"
    return "" if done.returncode == 0 else f"{promtool}: {(done.stderr or done.stdout).strip()}"
