"""What queries say of several instances at once, asked of promtool."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from agentmem_observe.dashboards.queries import up
from agentmem_observe.dashboards.soak import leaked_per_second
from agentmem_observe.dashboards.verdicts import code_of, states_of
from agentmem_observe.telemetry import catalog
from tests.prometheus import promtool

__all__ = ["promtool"]  # a fixture

pytestmark = pytest.mark.server

RUN = 'job="a",target="t",category="c",benchmark="b"'


def asked(
    promtool: str,
    directory: Path,
    query: str,
    series: Mapping[str, str],
    expected: dict[str, float],
) -> str:
    """Return what promtool finds wrong with what a query says of series an hour and a half on."""
    for name in ("job", "instance", "target", "category", "benchmark"):
        query = query.replace(f"${name}", ".*")
    samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
    test = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in series.items()],
                "promql_expr_test": [{"expr": query, "eval_time": "90m", "exp_samples": samples}],
            }
        ],
    }
    file = directory / "test.yml"
    file.write_text(json.dumps(test))  # YAML is a superset of JSON
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(
    "states", [("same", "inconclusive"), ("better", "worse"), ("same", "same")]
)
def test_of_two_instances_the_worse_verdict_is_shown(
    promtool: str, tmp_path: Path, states: tuple[str, str]
) -> None:
    series = {
        f'agentmem_regression{{{RUN},instance="{number}",verdict="{state}"}}': (
            f"{int(state == held)}x100"
        )
        for number, held in enumerate(states)
        for state in catalog.REGRESSION.states
    }
    words = {state.text: number for number, state in states_of(catalog.REGRESSION).items()}
    worse = max(words[state] for state in states)
    expected = {'{benchmark="b", category="c", target="t"}': float(worse)}

    assert asked(promtool, tmp_path, code_of(catalog.REGRESSION), series, expected) == ""


def test_instances_of_others_are_not_up_or_down(promtool: str, tmp_path: Path) -> None:
    series = {
        'up{job="a",instance="1"}': "1x100",
        'up{job="a",instance="2"}': "1x60 0x40",
        'up{job="database",instance="3"}': "0x100",
        'agentmem_exporter_series{job="a",instance="1"}': "9x100",
        'agentmem_exporter_series{job="a",instance="2"}': "9x60 _x40",
    }
    expected = {'up{job="a", instance="1"}': 1.0, 'up{job="a", instance="2"}': 0.0}

    assert asked(promtool, tmp_path, up(), series, expected) == ""


def test_each_run_leaks_by_its_own_operations(promtool: str, tmp_path: Path) -> None:
    series = {}
    for number, (leaked, growth) in {1: (100, 60), 2: (3, 6000)}.items():
        labels = f'{RUN},instance="{number}"'
        series[f"agentmem_leak_bytes_per_operation{{{labels}}}"] = f"{leaked}x100"
        series[f'agentmem_operations_total{{{labels},outcome="ok"}}'] = f"0+{growth}x100"
        series[f'agentmem_operations_total{{{labels},outcome="empty"}}'] = "0+6000x100"
    expected = {
        f'{{{RUN},instance="{number}"}}': float(bytes_per_second)
        for number, bytes_per_second in {1: 100, 2: 300}.items()
    }

    assert asked(promtool, tmp_path, leaked_per_second(), series, expected) == ""
