"""The rules as the object that a Prometheus operator looks for in a cluster."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import indent
from typing import Final

RULE_OBJECT_FILE: Final = Path("kubernetes/operator/rules.yml")
"""Below the directory of the output; the kustomization beside it adds namespace and labels."""

_GROUPS = "groups:\n"
_OBJECT = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: agentmem-observe
spec:
  groups:
"""


def prometheus_rule_text(files: Sequence[str]) -> str:
    r"""Return files of rules as one PrometheusRule, word for word.

    Args:
        files: Their texts, each with one list of groups at its end and comments before it; those
            of the first file come first here too.

    Raises:
        ValueError: If a text has no groups.

    Examples:
        >>> print(prometheus_rule_text(["# Made.\ngroups:\n  - name: one\n"]))
        # Made.
        apiVersion: monitoring.coreos.com/v1
        kind: PrometheusRule
        metadata:
          name: agentmem-observe
        spec:
          groups:
            - name: one
        <BLANKLINE>
    """
    comments = ""
    groups = []
    for text in files:
        before, found, after = text.partition(_GROUPS)
        if not found:
            raise ValueError(f"no {_GROUPS.strip()!r} in {text[:40]!r}")
        comments = comments or before
        groups.append(indent(after, "  "))
    return comments + _OBJECT + "".join(groups)
