"""Reads the settings and checks all that can be checked before anything runs.

What the command line says counts most, then the environment, then the file, then the defaults.
Every problem is found at once, each becomes a line that names file and key.
"""

import reprlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

from pydantic import ValidationError

from agentmem_observe.addresses import parse_listen_address
from agentmem_observe.bench.discover import (
    Benchmark,
    check_custom,
    check_parameters,
    choose,
    discover,
    standard_suite,
)
from agentmem_observe.bench.duel.installation import find_python
from agentmem_observe.config import BenchmarkConfig, check_params
from agentmem_observe.daemon.schedule import Cron, Every, Once, Schedule
from agentmem_observe.daemon.settings.references import fill_references, hide_references
from agentmem_observe.daemon.settings.tables import (
    JOB_NAME,
    BenchmarkTable,
    DaemonTable,
    JobTable,
    SoakTable,
    Table,
)
from agentmem_observe.daemon.settings.values import (
    BenchmarkJob,
    Job,
    Settings,
    SoakJob,
    WebSettings,
)
from agentmem_observe.daemon.web.web_config import load_web_config
from agentmem_observe.errors import AgentMemObserveError, ConfigError
from agentmem_observe.fields import Wording, keys, problems
from agentmem_observe.files import read_toml
from agentmem_observe.profiles import profile_config
from agentmem_observe.targets.credentials import redact, redact_within
from agentmem_observe.targets.registry import check_scheme, parse_spec
from agentmem_observe.units import format_period

STATE_DIR = "AGENTMEM_OBSERVE_STATE_DIR"
LISTEN_ADDRESS = "AGENTMEM_OBSERVE_WEB_LISTEN_ADDRESS"
WEB_CONFIG_FILE = "AGENTMEM_OBSERVE_WEB_CONFIG_FILE"

AnyTable = TypeVar("AnyTable", bound=Table)

_SOAK_KEYS = keys(SoakTable).keys() - keys(BenchmarkTable).keys()
_BENCHMARK_KEYS = keys(BenchmarkTable).keys() - keys(SoakTable).keys()


class Given(TypedDict, total=False):
    """What was said on the command line; None for what was not.

    Attributes:
        state_dir: In place of the settings' own.
        listen: Host and port to listen on.
        web_config_file: TLS and users.
        insecure: Whether others may read without either.
    """

    state_dir: Path | None
    listen: tuple[str, int] | None
    web_config_file: Path | None
    insecure: bool | None


def load_settings(
    file: Path | None, environment: Mapping[str, str], **given: Unpack[Given]
) -> Settings:
    """Read the daemon's settings.

    Args:
        file: TOML; None for the defaults, which soak the embedded memory. Relative paths in it are
            relative to it.
        environment: Fills in the references of targets; ``AGENTMEM_OBSERVE_STATE_DIR``,
            ``_WEB_LISTEN_ADDRESS`` and ``_WEB_CONFIG_FILE`` count more than the file.
        given: Counts more than either.

    Raises:
        ConfigError: For all that is wrong at once, a line for each, without secrets.
    """
    values = read_toml(file, ConfigError) if file else {}
    loading = _Loading(file, environment)
    settings = loading.settings(values, given)
    if loading.problems:
        raise ConfigError("\n".join(loading.problems))
    return settings


def state_directory(
    file: Path | None, environment: Mapping[str, str], state_dir: Path | None = None
) -> Path:
    """Return the settings' state directory, without regard to anything else in them.

    Who only asks a daemon need not have its secrets.

    Args:
        file: As for `load_settings`.
        environment: As for `load_settings`.
        state_dir: What the command line says; None if it says nothing.

    Raises:
        ConfigError: If the file cannot be read, or says something strange of the directory.
    """
    values = read_toml(file, ConfigError) if file else {}
    loading = _Loading(file, environment)
    return loading.state_directory(values, {"state_dir": state_dir})


class _Loading:
    """One reading of a file, and what was found wrong in it."""

    def __init__(self, file: Path | None, environment: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._file, self._environment = file, environment
        self._directory = file.parent if file else Path()

    def settings(self, values: Mapping[str, Any], given: Given) -> Settings:
        table, wrong = self._table(DaemonTable, values, "")
        retention = table.results_retention
        return Settings(
            state_dir=self._state_dir(table, given),
            shutdown_seconds=table.shutdown,
            retention_seconds=retention.age or None,
            retention_bytes=retention.size or None,
            web=self._web(table, given),
            jobs=tuple(
                job
                for name, job_values in table.jobs.items()
                if "jobs" not in wrong
                and (job := self._job(name, job_values, retention.age)) is not None
            ),
            file=self._file,
        )

    def state_directory(self, values: Mapping[str, Any], given: Given) -> Path:
        said = {key: value for key, value in values.items() if key == "state_dir"}
        table, _ = self._table(DaemonTable, said, "")
        if self.problems:
            raise ConfigError("\n".join(self.problems))
        return self._state_dir(table, given)

    def _state_dir(self, table: DaemonTable, given: Given) -> Path:
        # Only what somebody wrote is relative to where it was written.
        directory = self._directory if "state_dir" in table.model_fields_set else Path()
        return given.get("state_dir") or self._path_of(STATE_DIR) or directory / table.state_dir

    def _web(self, table: DaemonTable, given: Given) -> WebSettings:
        web = table.web
        host, port = given.get("listen") or self._address() or web.listen_address
        insecure = given.get("insecure")
        if file := given.get("web_config_file") or self._path_of(WEB_CONFIG_FILE):
            with self._refused(None):
                load_web_config(file)
        elif web.config_file is not None:
            file = self._directory / web.config_file
            with self._refused("web.config_file"):
                load_web_config(file)
        return WebSettings(host, port, file, web.insecure if insecure is None else insecure)

    def _address(self) -> tuple[str, int] | None:
        text = self._environment.get(LISTEN_ADDRESS)
        try:
            return parse_listen_address(text) if text else None
        except ValueError as error:
            self.problems.append(f"{LISTEN_ADDRESS}: {error}")
            return None

    def _path_of(self, variable: str) -> Path | None:
        text = self._environment.get(variable)
        return Path(text) if text else None

    # Jobs

    def _job(self, name: str, values: Any, keep_seconds: float) -> Job | None:
        path = f"jobs.{name}"
        if not JOB_NAME.fullmatch(name):
            self._say(
                path, f"expected a name of at most 40 a-z, 0-9 and _, first a-z, got {name!r}"
            )
        if not isinstance(values, Mapping):
            self._say(path, f"expected a table, got {reprlib.repr(_shown(values))}")
            return None
        of_soaks = [key for key in values if key in _SOAK_KEYS]
        # What was meant is clear in these cases; its other keys would all be unknown.
        if "soak" not in values and of_soaks and not any(key in _BENCHMARK_KEYS for key in values):
            self._say(path, f"expected soak = true beside {of_soaks[0]}; add it")
            return self._soak(name, values, keep_seconds)
        if values.get("soak", False) is not False:
            return self._soak(name, values, keep_seconds)
        return self._benchmark(name, values, keep_seconds)

    def _soak(self, name: str, values: Mapping[str, Any], keep_seconds: float) -> SoakJob:
        path = f"jobs.{name}"
        table, _ = self._table(SoakTable, values, path, _BENCHMARK_KEYS)
        if table.rate * table.window < 1:
            self._say(
                path,
                f"{table.rate:g} operations per second in windows of "
                f"{format_period(table.window)} are none at all; choose longer windows",
            )
        return SoakJob(
            **self._common(name, table, keep_seconds),
            rate=table.rate,
            window_seconds=table.window,
            workers=table.workers,
            records=table.records,
            mix=table.mix,
            leak_windows=table.leak_windows,
            hang_seconds=table.hang,
        )

    def _benchmark(
        self, name: str, values: Mapping[str, Any], keep_seconds: float
    ) -> BenchmarkJob:
        path = f"jobs.{name}"
        table, wrong = self._table(BenchmarkTable, values, path, _SOAK_KEYS)
        suites = tuple(self._directory / suite for suite in table.suites)
        config_file = None if table.config is None else self._directory / table.config
        config = profile_config(table.profile)
        if config_file is not None:
            if "profile" in values:
                both = f"profile {table.profile!r} and config {str(table.config)!r}"
                self._say(path, f"{both}: use one of them")
            with self._refused(f"{path}.config"):
                config = BenchmarkConfig.load(config_file)
        job = BenchmarkJob(
            **self._common(name, table, keep_seconds),
            category=table.category,
            benchmark=table.benchmark,
            suites=suites,
            profile=table.profile,
            config_file=config_file,
            config=config,
            params=table.params,
            schedule=self._schedule(path, table, values),
            timeout_seconds=table.timeout,
            beside_others=table.beside_others,
            retries=table.retries,
            confirm_python=self._interpreter(f"{path}.confirm_python", table.confirm_python),
        )
        if not {"category", "benchmark", "suites"} & wrong:
            self._check_benchmarks(path, job)
        return job

    def _interpreter(self, path: str, written: str | None) -> str | None:
        if written is None:
            return None
        beside = self._directory / written
        with self._refused(path):
            return find_python(str(beside) if beside.exists() else written)
        return None

    def _common(self, name: str, table: JobTable, keep_seconds: float) -> dict[str, Any]:
        retention = keep_seconds if table.retention is None else table.retention
        return {
            "name": name,
            "target": self._target(f"jobs.{name}.target", table.target),
            "retention_seconds": retention or None,
            "operation_timeout_seconds": table.operation_timeout,
            "seed": table.seed,
        }

    def _target(self, path: str, written: str) -> str:
        try:
            target = fill_references(written, self._environment)
        except ValueError as error:
            self._say(path, str(error))
            return written
        try:
            check_scheme(parse_spec(target, Path()))
        except AgentMemObserveError as error:
            said = str(error).replace(repr(redact(target)), repr(redact(written)))
            self._say(path, hide_references(said, written, self._environment))
        return target

    def _schedule(
        self,
        path: str,
        table: BenchmarkTable,
        values: Mapping[str, Any],
    ) -> Schedule:
        ways = [way for way in ("every", "cron", "once") if values.get(way, False) is not False]
        if len(ways) != 1:
            said = f"got {', '.join(ways)}; keep one" if ways else "got none; add one"
            self._say(path, f"expected one of every, cron and once = true, {said}")
        if table.once and table.jitter:
            self._say(f"{path}.jitter", "what runs once starts at once; remove it")
        if table.every is not None and table.jitter > table.every:
            self._say(
                f"{path}.jitter",
                f"expected at most the {format_period(table.every)} of every, "
                f"got {format_period(table.jitter)}",
            )
        if table.every is not None:
            return Every(table.every, table.jitter)
        return Once() if table.cron is None else Cron(table.cron, table.jitter)

    def _check_benchmarks(self, path: str, job: BenchmarkJob) -> None:
        """Check that there is something to run, and that it takes what it is given."""
        if job.category is None and job.benchmark is None and not job.suites:
            self._say(path, "nothing to run; add category, benchmark or suites")
            return
        chosen: list[Benchmark] = []
        with self._refused(path):
            chosen = choose(job.suites, job.category, job.benchmark)
        if not chosen:
            return
        with self._refused(f"{path}.config"):
            check_custom(discover([standard_suite(), *job.suites]), job.config.custom)
        for name in job.params:
            with self._refused(f"{path}.params"):
                check_parameters(chosen, [name])
        for category in sorted({benchmark.category for benchmark in chosen}):
            with self._refused(f"{path}.params"):
                check_params(category, _shown(job.params))

    # Problems

    def _table(
        self,
        model: type[AnyTable],
        values: Mapping[str, Any],
        path: str,
        foreign: Collection[str] = (),
    ) -> tuple[AnyTable, set[str]]:
        """Return a table with defaults in place of what is wrong in it, and which keys are."""
        wrong: list[Sequence[str | int]] = [[key] for key in values if key in foreign]
        for (key,) in wrong:
            self._say(f"{path}.{key}", model.foreign)
        try:
            table = model.model_validate(_without(values, wrong))
        except ValidationError as error:
            for line in problems(model, error, path, _TOML):
                self._line(line)
            wrong += [_entry(model, details["loc"]) for details in error.errors()]
            table = model.model_validate(_without(values, wrong))
        return table, {str(entry[0]) for entry in wrong}

    @contextmanager
    def _refused(self, path: str | None) -> Iterator[None]:
        """Note what somebody else refuses; what stands at no path is not the file's fault."""
        try:
            yield
        except AgentMemObserveError as error:
            for line in redact_within(str(error)).splitlines():
                if path is None:
                    self.problems.append(line)
                else:
                    self._say(path, line)

    def _say(self, path: str, text: str) -> None:
        for line in text.splitlines():
            self._line(f"{path}: {line}")

    def _line(self, line: str) -> None:
        self.problems.append(f"{self._file}: {line}" if self._file else line)


def _entry(model: type[Table], location: Sequence[str | int]) -> Sequence[str | int]:
    """Return which entry of a table to do without so that the rest is good."""
    field = keys(model).get(str(location[0]))
    inner = field.annotation if field else None
    is_table = isinstance(inner, type) and issubclass(inner, Table)
    return location[:2] if is_table else location[:1]


def _without(values: Mapping[str, Any], wrong: Sequence[Sequence[str | int]]) -> dict[str, Any]:
    kept = dict(values)
    for key, *inner in wrong:
        if inner:
            kept[str(key)] = _without(kept[str(key)], [inner])
        else:
            kept.pop(str(key), None)
    return kept


def _shown(value: Any) -> Any:
    """Return a value as others may see it: wherever a target's name may have slipped to."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _shown(item) for key, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, list) else value


_TOML = Wording("a table", _shown)
