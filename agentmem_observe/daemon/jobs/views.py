"""Turns rows of the state into what the web shows."""

from agentmem_observe.daemon.controls import RunView, WindowView
from agentmem_observe.daemon.state.rows import RunRow, WindowRow


def run_view(row: RunRow) -> RunView:
    """Return a run as the web shows it."""
    return {
        "id": row.id or 0,
        "job": row.job,
        "category": row.category,
        "benchmark": row.benchmark,
        "target": row.target,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "status": row.status,  # type: ignore[typeddict-item]  # the database has them as text
        "cause": row.cause,
        "reason": row.reason,
        "validity": row.validity,  # type: ignore[typeddict-item]  # the database has it as text
        "figures": row.figures,
        "path": row.path,
    }


def window_view(row: WindowRow) -> WindowView:
    """Return a window as the web shows it."""
    return {
        "job": row.job,
        "soak": row.soak,
        "number": row.number,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "figures": row.figures,
    }
