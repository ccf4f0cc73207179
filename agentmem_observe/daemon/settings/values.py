"""What the daemon is told: frozen values, of which a job's are equal while nothing changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from agentmem_observe.config import BenchmarkConfig
from agentmem_observe.daemon.schedule import Schedule


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The server that shows everything.

    Attributes:
        host: Name or address to listen on.
        port: From 0 to 65535; 0 takes a free one.
        config_file: TLS and users, in the format of Prometheus' exporter-toolkit; None for none.
        insecure: Whether others than this machine may read without either.
    """

    host: str
    port: int
    config_file: Path | None
    insecure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakJob:
    """A low, steady load without end.

    Attributes:
        name: Unique among the jobs: ``[a-z][a-z0-9_]*``, at most 40 characters.
        target: Its spec, secrets filled in; not in the ``repr``.
        retention_seconds: How long its results are kept; None for ever.
        operation_timeout_seconds: An operation that takes longer has failed.
        seed: Of everything random, >= 0.
        rate: Operations per second, > 0.
        window_seconds: What is judged at a time, >= 1; ``rate * window_seconds`` is >= 1.
        workers: The most operations that are under way at once, from 1 to 64.
        records: Different ones that are stored over and over, >= 1.
        mix: Weight of each operation, all three by name, >= 0 and not all 0.
        leak_windows: Growth must last so many windows to be called a leak, from 10 to 1000.
        hang_seconds: A worker that says nothing for so long is replaced, >= 5.
    """

    name: str
    target: str = field(repr=False)
    retention_seconds: float | None
    operation_timeout_seconds: float
    seed: int
    rate: float
    window_seconds: float
    workers: int
    records: int
    mix: Mapping[str, float]
    leak_windows: int
    hang_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkJob:
    """Benchmarks that run when they are due.

    Which ones: ``bench.discover.choose(suites, category, benchmark)``.

    Attributes:
        name: Unique among the jobs: ``[a-z][a-z0-9_]*``, at most 40 characters.
        target: Its spec, secrets filled in; not in the ``repr``.
        retention_seconds: How long its results are kept; None for ever.
        operation_timeout_seconds: An operation that takes longer has failed.
        seed: Of everything random, >= 0.
        category: Those of this category; None for all.
        benchmark: Those of this name; None for all.
        suites: Directories with further benchmarks.
        profile: Where the configuration comes from if there is no file.
        config_file: Where it comes from if there is one.
        config: The configuration, as it was read then; not to be changed.
        params: Values that count more than the configuration's.
        schedule: When they are due.
        timeout_seconds: One that takes longer is ended, >= 1.
        beside_others: Whether soaks and other benchmarks may go on meanwhile.
        retries: How often to try again after a failure, from 0 to 100.
        confirm_python: An interpreter with the last good version, for a duel before the target is
            called slower; None for no duel.
    """

    name: str
    target: str = field(repr=False)
    retention_seconds: float | None
    operation_timeout_seconds: float
    seed: int
    category: str | None
    benchmark: str | None
    suites: tuple[Path, ...]
    profile: str
    config_file: Path | None
    config: BenchmarkConfig = field(repr=False)
    params: Mapping[str, Any]
    schedule: Schedule
    timeout_seconds: float
    beside_others: bool
    retries: int
    confirm_python: str | None = None


Job: TypeAlias = SoakJob | BenchmarkJob


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the daemon is told.

    Attributes:
        state_dir: Where results and all that has to last are.
        shutdown_seconds: What is under way may take so long to end.
        retention_seconds: How long results are kept; None for ever.
        retention_bytes: How many bytes of result files are kept; None for any number.
        web: The server.
        jobs: What to do, in order.
        file: Where this was read; None if there is no file.
    """

    state_dir: Path
    shutdown_seconds: float
    retention_seconds: float | None
    retention_bytes: int | None
    web: WebSettings
    jobs: tuple[Job, ...]
    file: Path | None
