"""What the web shows of the daemon and may ask of it: one protocol, and the JSON of its answers.

Times are seconds since 1970, lengths seconds, sizes bytes. Whatever is text comes from settings,
targets and exceptions: a reader never takes it for markup.
"""

from enum import Enum
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

JobKind: TypeAlias = Literal["soak", "benchmark"]

JobState: TypeAlias = Literal["idle", "waiting", "running", "backing_off", "finished"]
"""``idle``: nothing due. ``waiting``: due, but another job has the host. ``backing_off``: a worker
failed, and the next one starts later. ``finished``: never due again."""

RunStatus: TypeAlias = Literal["ok", "failed", "skipped"]

ValidityVerdict: TypeAlias = Literal["valid", "degraded", "void"]

LeakVerdict: TypeAlias = Literal["none", "suspected", "leak", "unknown"]

DriftVerdict: TypeAlias = Literal["none", "slower", "faster", "unknown"]


RegressionVerdict: TypeAlias = Literal["better", "same", "worse", "inconclusive"]


class Asked(Enum):
    """What became of the wish to run a job now."""

    QUEUED = "queued"
    ALREADY = "already"  # it runs, or is due and waits for the host
    UNKNOWN = "unknown"
    NOT_POSSIBLE = "not possible"  # a soak always runs
    ENDING = "ending"  # it, or the daemon, is about to end


class RunView(TypedDict):
    """One run of a job.

    ``cause`` is a word for why it failed or was skipped (``crash``, ``hang``, ``timeout``), "" if
    it did not; ``reason`` is the sentence for people. ``validity`` is "" where it is not known.
    ``figures`` are a few headline numbers by name; the name ends in the unit, as everywhere
    (``throughput_ops_per_second``, ``latency_p99_seconds``). ``path`` is the result file, "" if
    there is none.
    """

    id: int
    job: str
    category: str
    benchmark: str
    target: str
    started_at: float
    ended_at: float
    status: RunStatus
    cause: str
    reason: str
    validity: ValidityVerdict | Literal[""]
    figures: dict[str, Any]
    path: str


class RunDetail(RunView):
    """One run with its result document; None where the file is gone or was never written."""

    result: dict[str, Any] | None


class ValidityView(TypedDict):
    """Whether a job's numbers can be trusted, worst reason first."""

    verdict: ValidityVerdict
    reasons: list[str]


class LeakView(TypedDict):
    """Whether a soak's target leaks; the figures are None where nothing grows or is known."""

    verdict: LeakVerdict
    reasons: list[str]
    bytes_per_operation: float | None
    slope_bytes_per_second: float | None


class DriftView(TypedDict):
    """Whether a soak's latency changes over days; ``ratio`` is now to then, > 1 when slower."""

    verdict: DriftVerdict
    ratio: float | None
    reasons: list[str]


class RegressionView(TypedDict):
    """How a benchmark's newest runs compare with those before, by what changed most.

    ``figure`` is that one, as ``category.benchmark.path``; ``ratio`` says how many times worse it
    is, below 1 if it is better; ``changed_at`` is when the first run after the change ended.
    Without a change they are "" and None.
    """

    verdict: RegressionVerdict
    ratio: float | None
    changed_at: float | None
    figure: str
    reasons: list[str]


class ChangeView(TypedDict):
    """One change of a figure of a job's benchmarks.

    ``at`` is when the first run after it ended. ``ratio`` is the figure from then on over what it
    was, whichever way is better, with its 95 % interval; ``p`` how often chance alone does that.
    Commits are "" where they are not known.
    """

    at: float
    figure: str
    direction: Literal["better", "worse"]
    ratio: float
    ratio_low: float
    ratio_high: float
    p: float
    runs_before: int
    runs_after: int
    commit_before: str
    commit_after: str


class LivePoint(TypedDict):
    """What a job did in the ``every_seconds`` that ended at ``at``; None: nothing measured.

    Rates are of the seconds in which the job was not paused; None where these are too few. A
    percentile is of as many operations as it needs, back to two minutes before; None where these
    are too few. ``latency_max_seconds`` is of this point alone.
    """

    at: float
    ok_per_second: float | None
    failed_per_second: float | None
    latency_p50_seconds: float | None
    latency_p99_seconds: float | None
    latency_max_seconds: float | None
    rss_bytes: float | None


class LiveView(TypedDict):
    """A job's newest points, oldest first; where nothing ran there is none."""

    every_seconds: float
    points: list[LivePoint]


class TrendPoint(LivePoint):
    """An extreme of what a job did around ``at``; ``took_seconds`` is the length of a run."""

    took_seconds: float | None


class TrendView(TypedDict):
    """What a job did over a longer time: of a soak its windows, else its runs that were ok.

    The time is cut into 250 equal stretches. Each in which something ran has two points, that
    have of every figure its least and its greatest value there, in the order in which they came:
    so none is lost, but what is in one point need not be of one window or run.
    """

    job: str
    until: float
    seconds: float
    every_seconds: float
    points: list[TrendPoint]


class RunCounts(TypedDict):
    """How a job's runs ended since the daemon started, or its settings changed."""

    ok: int
    failed: int
    skipped: int


class SkippedCounts(TypedDict):
    """Due times that passed without a run: while the daemon was away, and while the job ran."""

    missed: int
    overlap: int


class JobView(TypedDict):
    """One job as it is now.

    Attributes:
        name: Unique; as in the settings.
        kind: Decides which of the fields below can hold something.
        target: Redacted.
        what: Such as ``storage/write_throughput`` or ``50 operations a second``.
        state: See `JobState`.
        state_since: When it entered that state.
        schedule: For people: ``every 6 h, up to 5 min later``.
        next_due_at: None when it always runs or never runs again.
        progress: Done share of the run under way, 0 to 1; None if there is none or it is unknown.
        phase: What the run under way is doing, "" if nothing.
        problem: Why it backs off or cannot run, "" if nothing is wrong.
        failures_in_a_row: Failed runs since the last one that was ok.
        runs: Its runs since the daemon started, or its settings changed, counted.
        skipped: Its due times without a run since then, counted.
        last_run: The newest run that ended.
        validity: Of the last run, or of the soak's newest window; None before the first.
        leak: Of a soak; None for benchmarks.
        drift: Of a soak; None for benchmarks.
        regression: Of benchmarks; None for a soak, and before there is a run to judge.
        live: Its newest points.
    """

    name: str
    kind: JobKind
    target: str
    what: str
    state: JobState
    state_since: float
    schedule: str
    next_due_at: float | None
    progress: float | None
    phase: str
    problem: str
    failures_in_a_row: int
    runs: RunCounts
    skipped: SkippedCounts
    last_run: RunView | None
    validity: ValidityView | None
    leak: LeakView | None
    drift: DriftView | None
    regression: RegressionView | None
    live: LiveView


class WindowView(TypedDict):
    """One window of a soak; ``soak`` names one life of the process that holds the target."""

    job: str
    soak: str
    number: int
    started_at: float
    ended_at: float
    figures: dict[str, Any]


class JobDetail(JobView):
    """One job with a soak's newest 500 windows, oldest first, or the newest 100 changes.

    Changes are of all figures of its benchmarks, newest first.
    """

    windows: list[WindowView]
    changes: list[ChangeView]


class SettingsView(TypedDict):
    """Which settings are in force; ``problem`` is why newer ones are not, "" if nothing is."""

    file: str | None
    loaded_at: float
    problem: str


class DiskView(TypedDict):
    """Whether what is found can be kept.

    ``pending`` results wait in memory for the disk, ``lost`` ones did not fit there; ``bytes`` is
    what the state directory holds. ``warnings`` are what was found damaged, and what became of it.
    """

    writable: bool
    problem: str
    pending: int
    lost: int
    bytes: int
    warnings: list[str]


class ProcessView(TypedDict):
    """What the daemon itself costs; ``cpu_ratio`` of one core, over the last while."""

    rss_bytes: int
    cpu_ratio: float


class Status(TypedDict):
    """All that is known now; ``now`` is the daemon's own clock, so that readers need none."""

    version: str
    host: str
    pid: int
    started_at: float
    now: float
    settings: SettingsView
    disk: DiskView
    process: ProcessView
    jobs: list[JobView]


class Controls(Protocol):
    """The daemon as the web knows it. Called from several threads; every call answers at once."""

    def status(self, since: float = 0.0) -> Status:
        """Return everything that the status page shows at first glance.

        Args:
            since: Only live points that end no earlier, in seconds since 1970.
        """
        ...

    def job(self, name: str) -> JobDetail | None:
        """Return one job, or None if there is none of that name."""
        ...

    def trend(self, name: str, seconds: int) -> TrendView | None:
        """Return what a job did in the last so many seconds, or None if there is none."""
        ...

    def runs(self, job: str | None, limit: int, before: int | None) -> list[RunView]:
        """Return runs, newest first.

        Args:
            job: Of this job only; None for all. A job that is no longer in the settings may still
                have runs.
            limit: How many at the most, >= 1.
            before: Only runs whose id is smaller.
        """
        ...

    def run(self, id: int) -> RunDetail | None:
        """Return one run with its result, or None if there is none of that id."""
        ...

    def run_now(self, name: str) -> Asked:
        """Start a job as soon as the host is free, outside of its schedule."""
        ...

    def reload(self) -> str:
        """Read the settings again and put them in force.

        Returns:
            "" if that worked, else what is wrong with them, one line each; then the old ones stay.
        """
        ...

    def ready(self) -> str:
        """Return "" while jobs can run and be shown, else what is missing."""
        ...
