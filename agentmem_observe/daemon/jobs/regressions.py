"""What a benchmark job's own past says of its newest run: the daemon's `results history`."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from agentmem_observe.analysis.changes import Change, Verdict
from agentmem_observe.daemon.controls import ChangeView, RegressionView
from agentmem_observe.daemon.jobs.confirming import Confirmation
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import RunRow
from agentmem_observe.results.history import read_history
from agentmem_observe.results.trends import Trend, by_importance, overall, trends_of
from agentmem_observe.telemetry.runs import Regression, RunKey, RunMetrics

MOST_RUNS = 120
"""Of one benchmark with its parameters: they are read again after each run, 3 ms of CPU time each,
and what is older is no longer what is normal."""

_MOST_ROWS = 5_000  # of the job's runs, among which they are
_MOST_REASONS = 5
_MOST_CHANGES = 100
_SHORT_COMMIT = 9
_OF_TIME = ("seconds", "milliseconds", "nanoseconds", "per_second")

Confirm: TypeAlias = Callable[[RunKey, float], Confirmation | None]
"""Takes a benchmark and when its change began; returns what a duel says of it, if there is one."""


class Regressions:
    """The verdicts on all benchmarks of one job; its thread tells, any thread may look."""

    def __init__(
        self,
        job: str,
        target: str,
        state: State,
        metrics: RunMetrics,
        confirm: Confirm = lambda run, changed_at: None,
    ) -> None:
        """Begin without verdicts.

        Args:
            job: Its name.
            target: Its spec, without secrets.
            state: Has its runs and their results.
            metrics: Get the verdicts.
            confirm: Is asked before a figure of time is called worse.
        """
        self._job, self._target, self._confirm = job, target, confirm
        self._state, self._metrics = state, metrics
        self._lock = threading.Lock()
        self._trends: dict[RunKey, list[Trend]] = {}

    def judge(self, category: str, benchmark: str) -> str:
        """Judge a benchmark by the results that are kept of it, if there are any.

        Returns:
            Why it is worse, if it was not before; else "".
        """
        run = RunKey(self._target, category, benchmark)
        history = read_history(self._documents(run), most_runs=MOST_RUNS)
        if not history.runs:
            return ""
        # Of other parameters, which the job had once, nothing is asked any more.
        newest = max(history.runs, key=lambda identity: history.runs[identity][-1].at)
        history.runs = {newest: history.runs[newest]}
        trends = by_importance(self._confirmed(run, list(trends_of(history))))
        with self._lock:
            before = overall(self._trends.get(run, []))
            self._trends[run] = trends
        found = _regression(trends)
        self._metrics.judged(run, found)
        is_news = found.verdict == "worse" != before
        return next(_reasons(trends)) if is_news else ""

    def forget(self) -> None:
        """Drop all verdicts: whom they would call could not make them go away."""
        with self._lock:
            runs, self._trends = list(self._trends), {}
        for run in runs:
            self._metrics.unjudged(run)

    def view(self) -> RegressionView | None:
        """Return the verdict on all benchmarks together; None before there is one."""
        with self._lock:
            trends = by_importance([each for found in self._trends.values() for each in found])
        if not trends:
            return None
        found = _regression(trends)
        return {
            "verdict": overall(trends),
            "ratio": found.ratio,
            "changed_at": found.changed_at,
            "figure": trends[0].name if found.ratio is not None else "",
            "reasons": list(_reasons(trends)),
        }

    def changes(self) -> list[ChangeView]:
        """Return the newest changes of all figures, newest first."""
        with self._lock:
            trends = [each for found in self._trends.values() for each in found]
        views = [_view_of(trend, change) for trend in trends for change in trend.changes]
        views.sort(key=lambda view: view["at"], reverse=True)
        return views[:_MOST_CHANGES]

    def _confirmed(self, run: RunKey, trends: list[Trend]) -> list[Trend]:
        """Return the trends, what became slower only if that was confirmed."""
        slower = [trend for trend in trends if _is_slower(trend)]
        began = [trend.since.at for trend in slower if trend.since is not None]
        found = self._confirm(run, min(began)) if began else None
        if found is None:
            return trends
        verdict: Verdict = "inconclusive" if found.confirmed is False else "worse"
        return [
            _judged_again(trend, verdict, found.reason) if trend in slower else trend
            for trend in trends
        ]

    def _documents(self, run: RunKey) -> Iterator[tuple[str, Mapping[str, Any]]]:
        rows = self._state.runs(self._job, limit=_MOST_ROWS)
        mine = [row for row in rows if _is_of(row, run)][:MOST_RUNS]
        for row in reversed(mine):
            if (document := self._state.result(row)) is not None:
                yield row.path, document


def _is_of(row: RunRow, run: RunKey) -> bool:
    return (
        RunKey(row.target, row.category, row.benchmark) == run
        and row.status == "ok"
        and row.validity != "void"
    )


def _is_slower(trend: Trend) -> bool:
    """Return whether it is worse in what a duel measures."""
    return trend.verdict == "worse" and trend.figure.unit in _OF_TIME


def _judged_again(trend: Trend, verdict: Verdict, reason: str) -> Trend:
    judgement = replace(
        trend.judgement, verdict=verdict, reason=f"{trend.judgement.reason}; {reason}"
    )
    return replace(trend, judgement=judgement)


def _regression(trends: list[Trend]) -> Regression:
    """Return the verdict on figures in order of importance; there may be none."""
    verdict = overall(trends)
    if verdict not in ("worse", "better"):
        return Regression(verdict, None, None)
    since = trends[0].since
    return Regression(verdict, trends[0].times_worse, None if since is None else since.at)


def _reasons(trends: list[Trend]) -> Iterator[str]:
    """Yield what is worth knowing, worst first."""
    changed = [trend for trend in trends if trend.verdict in ("worse", "better")]
    others = [trend for trend in trends if trend not in changed]
    told = (changed + [trend for trend in others if trend.judgement.suspected])[:_MOST_REASONS]
    for trend in told:
        yield f"{trend.name}: {_said(trend)}"
    if (more := len(changed) - len(told)) > 0:
        yield f"{more} more changed"
    if same := sum(trend.verdict == "same" for trend in others):
        yield f"{same} of {len(trends)} figures unchanged"
    elif others and not told:
        yield others[0].judgement.reason


def _said(trend: Trend) -> str:
    reason, since = trend.judgement.reason, trend.judgement.since
    if since is None:
        return reason
    said = f"{trend.verdict}, {reason}"
    before, after = trend.runs[since - 1].commit, trend.runs[since].commit
    if before or after:
        said += f", commit {before[:_SHORT_COMMIT] or '?'}..{after[:_SHORT_COMMIT] or '?'}"
    return said


def _view_of(trend: Trend, change: Change) -> ChangeView:
    before, after = trend.runs[change.index - 1], trend.runs[change.index]
    return {
        "at": after.at,
        "figure": trend.name,
        "direction": change.direction,
        "ratio": 1 + change.size.ratio,
        "ratio_low": 1 + change.size.low,
        "ratio_high": 1 + change.size.high,
        "p": change.p,
        "runs_before": change.runs_before,
        "runs_after": change.runs_after,
        "commit_before": before.commit,
        "commit_after": after.commit,
    }
