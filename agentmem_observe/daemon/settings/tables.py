"""The daemon's file: which keys its tables have, what may stand there, and what does if nothing.

Defaults are written as in the file; what is read is in seconds and bytes.
"""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from agentmem_observe.addresses import parse_listen_address
from agentmem_observe.daemon.calendar import Calendar
from agentmem_observe.errors import did_you_mean
from agentmem_observe.fields import (
    Json,
    Name,
    PositiveInt,
    converted,
    is_number,
    leaf,
    one_of,
    period,
    read_by,
    refusal,
)
from agentmem_observe.profiles import PROFILES
from agentmem_observe.suite.scalability.steady import EQUAL_PARTS
from agentmem_observe.units import parse_bytes

JOB_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""What a job may be called: it becomes a metric's label, and part of paths and addresses."""

_FIVE_FIELDS = 'five fields such as "0 3 * * *"'


def _size(value: Any) -> int:
    size = parse_bytes(value) if isinstance(value, str) else value
    if type(size) is not int or size < 0:
        raise ValueError
    return size


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    return Path(value)


def _whole(least: int, most: int) -> PlainValidator:
    return leaf(
        f"an integer from {least} to {most}",
        lambda value: type(value) is int and least <= value <= most,
    )


def _cron(text: str) -> str:
    try:
        Calendar(text)
    except ValueError as error:
        raise ValueError(
            f'expected five fields such as "0 3 * * *", got {text!r}: {error}'
        ) from None
    return text


def _profile(text: str) -> str:
    if text not in PROFILES:
        raise ValueError(f"unknown profile {text!r}; {did_you_mean(text, PROFILES)}")
    return text


def _some_weight(mix: dict[str, float]) -> dict[str, float]:
    if not any(mix.values()):
        raise refusal("expected at least one weight above 0; name an operation to send")
    return {name: float(mix.get(name, 0)) for name in EQUAL_PARTS}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


_PATH = converted("a path", _path)
_NAME = leaf("a non-empty string", _is_name)
_CRON = read_by(_FIVE_FIELDS, _cron)


def _written(default: Any) -> Any:
    return Field(default, validate_default=True)


Flag: TypeAlias = Annotated[bool, leaf("true or false", lambda value: isinstance(value, bool))]
Seed: TypeAlias = Annotated[
    int, leaf("an integer of at least 0", lambda value: type(value) is int and value >= 0)
]
Period: TypeAlias = Annotated[float, period(0)]
FromMillisecond: TypeAlias = Annotated[float, period(0.001)]
FromSecond: TypeAlias = Annotated[float, period(1)]
FromFiveSeconds: TypeAlias = Annotated[float, period(5)]
Size: TypeAlias = Annotated[
    int, converted('a size such as "500MB" or "2GiB", or a number of bytes', _size)
]
WrittenPath: TypeAlias = Annotated[Path, _PATH]
Address: TypeAlias = Annotated[
    tuple[str, int], read_by('an address such as "127.0.0.1:9464"', parse_listen_address)
]
Rate: TypeAlias = Annotated[
    float,
    leaf(
        "a number above 0, at most 10000", lambda value: is_number(value) and 0 < value <= 10_000
    ),
]
Workers: TypeAlias = Annotated[int, _whole(1, 64)]
Retries: TypeAlias = Annotated[int, _whole(0, 100)]
LeakWindows: TypeAlias = Annotated[int, _whole(10, 1000)]
Profile: TypeAlias = Annotated[str, read_by("the name of a profile", _profile)]
Weight: TypeAlias = Annotated[
    float, leaf("a number of at least 0", lambda value: is_number(value) and value >= 0)
]
Mix: TypeAlias = Annotated[
    dict[Annotated[str, one_of(*EQUAL_PARTS)], Weight], AfterValidator(_some_weight)
]


Jobs: TypeAlias = Annotated[
    dict[str, Any],
    leaf(
        "a table with at least one job, such as [jobs.soak]",
        lambda value: isinstance(value, dict) and len(value) > 0,
    ),
]

DEFAULT_JOBS: dict[str, Any] = {
    "soak": {"soak": True},
    "storage": {"category": "storage", "every": "1h"},
}
"""What is done where the file says nothing about it, or there is none."""


class Table(BaseModel):
    """A table of the file.

    Attributes:
        foreign: What to say about a key that jobs of the other kind have.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    foreign: ClassVar[str] = ""


class RetentionTable(Table):
    """How long results are kept.

    Attributes:
        age: Older ones are removed; 0 removes none.
        size: Beyond this the oldest are removed; 0 removes none.
    """

    age: Period = _written("90d")
    size: Size = _written("2GB")


class WebTable(Table):
    """The server that shows everything.

    Attributes:
        listen_address: Where it listens; port 0 takes a free one.
        config_file: TLS and users, as Prometheus' exporter-toolkit has them.
        insecure: Whether others may read without either.
    """

    listen_address: Address = _written("127.0.0.1:9464")
    config_file: Annotated[Path | None, _PATH] = None
    insecure: Flag = False


class DaemonTable(Table):
    """The whole file.

    Attributes:
        state_dir: Where results and all that has to last are.
        shutdown: What is under way may take so long to end.
        results_retention: How long results are kept.
        web: The server.
        jobs: What to do, by name.
    """

    state_dir: WrittenPath = _written("agentmem-observe-state")
    shutdown: Period = _written("20s")
    results_retention: RetentionTable = RetentionTable()
    web: WebTable = WebTable()
    jobs: Jobs = DEFAULT_JOBS


class JobTable(Table):
    """What all jobs have.

    Attributes:
        soak: Whether it is one, or runs benchmarks.
        target: The memory that it is about.
        operation_timeout: An operation that takes longer has failed.
        seed: Of everything random.
        retention: Of its results; by default that of all.
    """

    soak: Flag = False
    target: Name = "embedded"
    operation_timeout: FromMillisecond = _written("30s")
    seed: Seed = 1
    retention: Annotated[float | None, period(0)] = None


class SoakTable(JobTable):
    """A low, steady load without end.

    Attributes:
        rate: Operations per second.
        window: What is judged at a time.
        workers: The most operations that are under way at once.
        records: Different ones that are stored over and over.
        mix: Weight of each operation.
        leak_windows: Growth must last so many windows to be called a leak.
        hang: A worker that says nothing for so long is replaced.
    """

    foreign = "a soak does not have this; remove it, or soak = true"
    rate: Rate = 20
    window: FromSecond = _written("60s")
    workers: Workers = 4
    records: PositiveInt = 1000
    mix: Mix = _written(dict(EQUAL_PARTS))
    leak_windows: LeakWindows = 30
    hang: FromFiveSeconds = _written("60s")


class BenchmarkTable(JobTable):
    """Benchmarks that run when they are due.

    Attributes:
        category: Those of this category.
        benchmark: Those of this name.
        suites: Directories with more of them; without the former two, all of these.
        profile: Their sizes.
        config: A file with their parameters, in place of a profile.
        params: Parameters that count more than either.
        every: The time from one start to the next.
        cron: The times of day at which they start.
        once: Whether they run once.
        jitter: They may start so much later, at random.
        timeout: One that takes longer is ended.
        beside_others: Whether soaks and other benchmarks may go on meanwhile.
        retries: How often to try again after a failure; once it is due again that run comes
            in place of further tries.
        confirm_python: An interpreter, or a virtual environment, with the last good version:
            before the target is called slower, it must lose a duel against that.
    """

    foreign = "only soaks have this; remove it"
    category: Annotated[str | None, _NAME] = None
    benchmark: Annotated[str | None, _NAME] = None
    suites: list[WrittenPath] = []
    profile: Profile = "quick"
    config: Annotated[Path | None, _PATH] = None
    params: dict[str, Json] = {}
    every: Annotated[float | None, period(1)] = None
    cron: Annotated[str | None, _CRON] = None
    once: Flag = False
    jitter: Period = _written("0s")
    timeout: FromSecond = _written("1h")
    beside_others: Flag = False
    retries: Retries = 2
    confirm_python: Annotated[str | None, _NAME] = None
