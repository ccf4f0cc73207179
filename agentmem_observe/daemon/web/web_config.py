"""The file of ``--web.config.file``, in the format of Prometheus' exporter-toolkit."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from agentmem_observe.daemon.web.limits import Rate
from agentmem_observe.daemon.web.tls import Switch, TlsSection
from agentmem_observe.errors import ConfigError, did_you_mean
from agentmem_observe.fields import PositiveInt, Wording, converted, problems, refusal
from agentmem_observe.units import parse_period

_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_CHEAPEST, _DEAREST = 4, 17  # bcrypt's own floor, and what still answers in seconds (htpasswd's)
_MAKE_A_PASSWORD: Final = "make one with: htpasswd -nBC 10 '' | tr -d ':\\n'"

_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""What may be set, and to what; to anything where nothing is listed."""

_WORDING = Wording(table="a mapping")


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What the file says; without a file, nothing.

    Attributes:
        users: Hashes of bcrypt by user name; empty if no password is wanted.
        headers: What to send in place of our own; "" for not sending it.
        rate: Of all requests together, None for any.
        tls: What connections are encrypted with, None if they are not.
        allowed_sans: Alternative names of which a client's certificate must have one; empty for
            any.
        files: What was read to know this.
    """

    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    rate: Rate | None = None
    tls: ssl.SSLContext | None = None
    allowed_sans: frozenset[str] = frozenset()
    files: tuple[Path, ...] = ()


def load_web_config(path: Path) -> WebConfig:
    """Read the file and what it names; names are relative to the file.

    Raises:
        ConfigError: If anything in it is wrong; one line per problem, with file and key.
    """
    values = _read(path)
    try:
        found = _File.model_validate(values, context={"directory": path.parent})
    except ValidationError as error:
        lines = problems(_File, error, wording=_WORDING)
        raise ConfigError("\n".join(f"{path}: {line}" for line in lines)) from None
    limit = found.rate_limit
    return WebConfig(
        users=found.basic_auth_users,
        headers=found.http_server_config.headers,
        rate=Rate(1 / limit.interval, limit.burst) if limit.interval else None,
        tls=found.tls_server_config.context,
        allowed_sans=frozenset(found.tls_server_config.client_allowed_sans),
        files=(path, *found.tls_server_config.files),
    )


def _users(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        # Not shown: it may be a password.
        raise refusal("expected a mapping of names to hashes of bcrypt")
    return value


def _user(name: Any) -> str:
    if not isinstance(name, str) or not name or ":" in name:
        raise refusal(f"expected a name in quotes and without a colon, got {name!r}")
    return name


def _hash(value: Any) -> str:
    match = _BCRYPT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refusal(f"expected a hash of bcrypt, such as '$2y$10$...'; {_MAKE_A_PASSWORD}")
    cost = int(match[1])
    if not _CHEAPEST <= cost <= _DEAREST:
        raise refusal(
            f"expected a cost from {_CHEAPEST} to {_DEAREST}, got {cost}; {_MAKE_A_PASSWORD}"
        )
    return match[0]


def _header(name: str) -> str:
    if name not in _HEADERS:
        raise refusal(f"cannot be configured; {did_you_mean(name, _HEADERS)}")
    return name


def _printable(value: str) -> str:
    if not re.fullmatch(r"[\x20-\x7e]*", value):
        raise refusal(f"{value!r} has characters that a header cannot have; use printable ASCII")
    return value


def _interval(value: Any) -> float:
    if value == 0:
        return 0.0
    if not isinstance(value, str):
        raise ValueError("no text")
    return parse_period(value)


def _absent(value: Any) -> Any:
    return {} if value is None else value  # a heading with nothing below it


_HeaderName = Annotated[str, AfterValidator(_header)]
_HeaderValue = Annotated[str, AfterValidator(_printable)]
_UserName = Annotated[str, PlainValidator(_user)]
_Hash = Annotated[str, PlainValidator(_hash)]
_Interval = Annotated[float, converted("a period such as '1s' or '100ms', or 0", _interval)]
_Empty = BeforeValidator(_absent)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _HttpSection(_Section):
    http2: Switch = True  # permits it, and we never offer it
    headers: Annotated[dict[_HeaderName, _HeaderValue], _Empty] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_values(self) -> "_HttpSection":
        for name, value in self.headers.items():
            allowed = _HEADERS[name]
            if value and allowed and value not in allowed:
                listed = " or ".join(map(repr, allowed))
                raise refusal(f"headers.{name}: expected {listed}, got {value!r}")
        return self


class _RateSection(_Section):
    interval: _Interval = 0.0
    burst: PositiveInt = 1


class _File(_Section):
    tls_server_config: Annotated[TlsSection, _Empty] = Field(default_factory=TlsSection)
    http_server_config: Annotated[_HttpSection, _Empty] = Field(default_factory=_HttpSection)
    basic_auth_users: Annotated[dict[_UserName, _Hash], BeforeValidator(_users)] = Field(
        default_factory=dict
    )
    rate_limit: Annotated[_RateSection, _Empty] = Field(default_factory=_RateSection)


class _Loader(yaml.SafeLoader):
    """Refuses keys that stand twice, of which the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise ConfigError(f"{path}: {reason}; give a YAML file that can be read") from None
    try:
        values = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        # Its own text shows the lines around, which may hold a password.
        mark = error.problem_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise ConfigError(f"{path}:{where} not valid YAML: {error.problem}; correct it") from None
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path}: not valid YAML: {reason}; correct it") from None
    if values is not None and not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of sections, such as basic_auth_users")
    return values or {}
