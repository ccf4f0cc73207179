import pytest
import yaml

from agentmem_observe.alerts.kubernetes import prometheus_rule_text

RECORDING = """\
# Made.
groups:
  - name: recording
    rules:
      - record: job:up:sum
        expr: |-
          sum by (job) (
            up
          )
"""
ALERTS = """\
# Made.
groups:
  - name: alerts
    rules:
      - alert: Down
        expr: up == 0
        annotations:
          description: 'groups: {{ $value }}'
"""


def test_it_has_the_groups_of_all_files_in_order_and_unchanged() -> None:
    made = yaml.safe_load(prometheus_rule_text([RECORDING, ALERTS]))

    assert made["kind"] == "PrometheusRule"
    assert made["spec"]["groups"] == [
        *yaml.safe_load(RECORDING)["groups"],
        *yaml.safe_load(ALERTS)["groups"],
    ]


def test_it_says_once_who_made_it() -> None:
    made = prometheus_rule_text([RECORDING, ALERTS])

    assert made.startswith("# Made.\napiVersion:")
    assert made.count("# Made.") == 1


def test_a_text_without_groups_is_refused() -> None:
    with pytest.raises(ValueError, match="no 'groups:' in 'rules: "):
        prometheus_rule_text([RECORDING, "rules: []\n"])
