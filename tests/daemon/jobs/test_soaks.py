"""What becomes of a soak's windows: how they are judged, stored and recalled."""

from typing import Any

import pytest

from agentmem_observe.analysis.soak import judge_leak
from agentmem_observe.daemon.jobs.soaks import _soak_window


def figures(**changes: Any) -> dict[str, Any]:
    """Return what a window says, as it is stored."""
    return {
        "in_process": False,
        "server": "",
        "operations": 1200,
        "blocks": None,
        "server_rss_bytes": None,
        "worker_rss_bytes": 5e7,
        "stored_bytes": None,
        "validity": {"verdict": "valid"},
    } | changes


def test_nothing_is_said_of_a_server_on_another_host() -> None:
    windows = [_soak_window(figures(), 60.0 * (number + 1), 60.0) for number in range(600)]

    verdict = judge_leak(windows)

    assert verdict.verdict == "unknown"
    assert "neither blocks nor RSS are known" in verdict.reasons[0]


@pytest.mark.parametrize(("in_process", "judged"), [(True, 5e7), (False, 9e7)])
def test_the_process_that_has_the_records_is_judged(in_process: bool, judged: float) -> None:
    told = figures(in_process=in_process, server="7 since", server_rss_bytes=9e7)

    assert _soak_window(told, 60.0, 60.0).resident_bytes == judged
