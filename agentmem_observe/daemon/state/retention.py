"""Deletes what is too old or too much: result files with their rows, and windows, oldest first.

The last run of each job stays, with its result, and files that no row names are never touched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from agentmem_observe.daemon.state.database import Database

_Answer = TypeVar("_Answer")

_BATCH = 200
"""Rows of one transaction: others wait for as long as one takes."""

_PAGES = 256
"""Of 4 kB, given back at a time."""

_TRUSTED_SECONDS = 86_400.0


MOST_WINDOWS = 50_000
"""Windows of a job that are kept at most: five weeks of a minute each."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept.

    Attributes:
        default_seconds: For how long, of jobs that ``by_job`` has not; None for ever.
        by_job: For how long, by job; None for ever.
        most_result_bytes: Of all result files together; None for any number.
        most_windows: Of each job; >= 0.

    Examples:
        >>> Retention(default_seconds=60.0, by_job={"nightly": None}).of("soak")
        60.0
    """

    default_seconds: float | None
    by_job: Mapping[str, float | None] = field(default_factory=dict)
    most_result_bytes: int | None = None
    most_windows: int = MOST_WINDOWS

    def of(self, job: str) -> float | None:
        """Return for how many seconds a job's runs and windows are kept."""
        return self.by_job.get(job, self.default_seconds)


class Shared(Protocol):
    """A database that several threads use in turn, and the files that its runs name."""

    def ask(self, question: Callable[[Database], _Answer]) -> _Answer:
        """Return a function's answer; it has the database to itself.

        Raises:
            sqlite3.Error: If the database does not work.
        """
        ...

    def delete_result(self, path: str) -> None:
        """Delete a run's result file, if there is one.

        Raises:
            OSError: If it cannot be deleted.
        """
        ...


def judged_as_of(now: float, before: float | None) -> float:
    """Return the time by which age is judged: it trusts a clock that was set for one day a look.

    A clock set a year forward for an hour would make everything old, and what is deleted stays so.

    Args:
        now: What the clock says, in seconds since 1970.
        before: What it was judged by the last time, or the newest end; None for nothing.

    Examples:
        >>> judged_as_of(1_003_600.0, 1_000_000.0), judged_as_of(9_000_000.0, 1_000_000.0)
        (1003600.0, 1086400.0)
        >>> judged_as_of(9_000_000.0, None), judged_as_of(900_000.0, 1_000_000.0)
        (9000000.0, 900000.0)
    """
    return now if before is None else min(now, before + _TRUSTED_SECONDS)


def prune(shared: Shared, now: float, retention: Retention) -> int:
    """Delete what a retention does not keep.

    Args:
        shared: The database and the files.
        now: Seconds since 1970.
        retention: What is kept.

    Returns:
        How many runs and windows were deleted.

    Raises:
        sqlite3.Error: If the database does not work.
        OSError: If a result file cannot be deleted.
    """
    deleted = 0
    for job in shared.ask(Database.jobs):
        if (seconds := retention.of(job)) is not None:
            deleted += _old_runs(shared, job, now - seconds)
            deleted += _old_windows(shared, job, now - seconds)
        deleted += _surplus_windows(shared, job, retention.most_windows)
    if retention.most_result_bytes is not None:
        deleted += _surplus_results(shared, retention.most_result_bytes)
    if deleted:
        _give_back(shared)
    return deleted


def _old_runs(shared: Shared, job: str, time: float) -> int:
    deleted = 0
    while old := shared.ask(lambda database: database.runs_ended_before(job, time, _BATCH)):
        _delete(shared, old)
        deleted += len(old)
    return deleted


def _surplus_results(shared: Shared, most_bytes: int) -> int:
    deleted = 0
    surplus = shared.ask(Database.result_bytes) - most_bytes
    while surplus > 0 and (oldest := shared.ask(lambda each: each.oldest_results(_BATCH))):
        enough = []
        for run in oldest:
            if surplus <= 0:
                break
            enough.append(run)
            surplus -= run[2]
        _delete(shared, enough)
        deleted += len(enough)
    return deleted


def _delete(shared: Shared, runs: Sequence[tuple[int, str, int]]) -> None:
    # Files first: on a full disk that is what makes room for SQLite to delete anything, and a
    # process killed in between leaves rows, which the next time deletes.
    for _, path, _ in runs:
        shared.delete_result(path)
    shared.ask(lambda database: database.delete_runs(number for number, _, _ in runs))


def _old_windows(shared: Shared, job: str, time: float) -> int:
    deleted = 0
    while last := shared.ask(
        lambda database: database.last_window_ended_before(job, time, _BATCH)
    ):
        deleted += _windows_up_to(shared, job, last)
    return deleted


def _surplus_windows(shared: Shared, job: str, most: int) -> int:
    last = shared.ask(lambda database: database.last_window_beyond(job, most))
    return _windows_up_to(shared, job, last) if last else 0


def _windows_up_to(shared: Shared, job: str, last_id: int) -> int:
    deleted = 0
    while count := shared.ask(lambda database: database.delete_windows(job, last_id, _BATCH)):
        deleted += count
    return deleted


def _give_back(shared: Shared) -> None:
    while shared.ask(lambda database: database.shrink(_PAGES)):
        pass
    shared.ask(Database.checkpoint)
