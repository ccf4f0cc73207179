"""What the ``OTEL_*`` variables ask for, read and refused before OpenTelemetry is imported.

The SDK warns of a strange value and goes on with a default, or repeats it in a traceback; here it
is refused once, by name, and without the credentials that it may hold. What the SDK reads itself
(headers, certificates, samplers, span limits) is only checked.
"""

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from agentmem_observe.errors import ConfigError, UsageError, did_you_mean

GRPC: Final = "grpc"
HTTP: Final = "http/protobuf"
OTLP: Final = "otlp"
CONSOLE: Final = "console"

_DEFAULT_ENDPOINTS = {GRPC: "http://localhost:4317", HTTP: "http://localhost:4318"}
_GRPC_PORT = 4317  # registered for OTLP over gRPC
_DEFAULT_TIMEOUT_SECONDS = 10.0
_TEMPORALITIES = ("cumulative", "delta", "lowmemory")
_EXPONENTIAL = "base2_exponential_bucket_histogram"
_EXPLICIT = "explicit_bucket_histogram"
_EXEMPLAR_FILTERS = ("trace_based", "always_on", "always_off")
_SAMPLERS_WITH_RATIO = ("traceidratio", "parentbased_traceidratio")
_SAMPLERS = (
    "parentbased_always_on",
    "parentbased_always_off",
    "always_on",
    "always_off",
    *_SAMPLERS_WITH_RATIO,
)
_LIMITS = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
)
_FILES = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")
# What the SDK takes, without quotation marks, commas, semicolons and backslashes: of an entry with
# them it would warn by repeating it.
_HEADER = re.compile(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=[ \t]*[\x20\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
)
_PRINTABLE = re.compile(r"[\x20-\x7e]*")

_Number = TypeVar("_Number", int, float)


class Destination(NamedTuple):
    """Where one signal goes by OTLP, and how.

    Attributes:
        endpoint: The URL as the exporter wants it; may hold credentials.
        shown: The same for people: scheme, host and port alone.
        protocol: ``grpc`` or ``http/protobuf``.
        compression: ``gzip``, ``deflate`` or ``none``.
        timeout_seconds: How long one page may take, all retries included.
    """

    endpoint: str
    shown: str
    protocol: str
    compression: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Signal:
    """What is to become of the spans, or of the metrics.

    Attributes:
        otlp: Where they are sent, if they are.
        console: Whether they are written to standard error.
    """

    otlp: Destination | None
    console: bool


class QueueLimits(NamedTuple):
    """How spans wait.

    Attributes:
        delay_seconds: The longest time until a span is sent.
        spans: The most that wait; one more is dropped.
        batch: The most that are sent at once.
    """

    delay_seconds: float
    spans: int
    batch: int


@dataclass(frozen=True, slots=True)
class OtelSettings:
    """Everything that was asked for.

    Attributes:
        spans: Where spans go.
        metrics: Where metrics go.
        file: Where both go as OTLP-JSON lines, if anywhere.
        queue: How spans wait.
        interval_seconds: Between two pages of metrics.
        push_timeout_seconds: How long a page of metrics may take, as its exporter is told.
        delta: Whether sums and histograms are sent as what was added since the last page.
        exponential: Whether histograms keep their exponential buckets, or get classic ones.
        exemplars: Whether histograms carry exemplars.
    """

    spans: Signal
    metrics: Signal
    file: Path | None
    queue: QueueLimits
    interval_seconds: float
    push_timeout_seconds: float
    delta: bool
    exponential: bool
    exemplars: bool


def wants_otlp(environ: Mapping[str, str] = os.environ, file: Path | None = None) -> bool:
    """Return whether anything is to be sent or written, so whether to load OpenTelemetry at all.

    Args:
        environ: Environment variables.
        file: Where OTLP-JSON lines go, if anywhere.

    Raises:
        ConfigError: If a variable that decides has a value that does not exist.
        UsageError: If a file is asked for and OpenTelemetry switched off.

    Examples:
        >>> wants_otlp({}), wants_otlp({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"})
        (False, True)
    """
    variables = _Variables(environ)
    wanted = any(variables.exporters(signal) for signal in ("TRACES", "METRICS"))
    if not (wanted or file) or not variables.flag("OTEL_SDK_DISABLED"):
        return bool(wanted or file)
    if file:
        raise UsageError(
            f"--otlp-file {file} with OTEL_SDK_DISABLED='true': nothing would be written; "
            "unset the variable or leave the file out"
        )
    return False


def read_settings(
    environ: Mapping[str, str] = os.environ, file: Path | None = None
) -> OtelSettings:
    """Return what the environment asks for.

    Args:
        environ: Environment variables.
        file: Where OTLP-JSON lines go, if anywhere.

    Raises:
        ConfigError: If a variable has a value that cannot be used; named, with the cure.
    """
    variables = _Variables(environ)
    if configuration := variables.text("OTEL_CONFIG_FILE"):
        raise variables.refusal(
            "OTEL_CONFIG_FILE", configuration, "configuration files are not read; set variables"
        )
    _check_for_the_sdk(variables)
    preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    aggregation = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    return OtelSettings(
        spans=_signal(variables, "TRACES"),
        metrics=_signal(variables, "METRICS"),
        file=file,
        queue=_queue(variables),
        interval_seconds=variables.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 60_000),
        push_timeout_seconds=variables.milliseconds("OTEL_METRIC_EXPORT_TIMEOUT", 30_000),
        delta=variables.choice(preference, _TEMPORALITIES) != "cumulative",
        exponential=variables.choice(aggregation, (_EXPONENTIAL, _EXPLICIT)) == _EXPONENTIAL,
        exemplars=variables.choice("OTEL_METRICS_EXEMPLAR_FILTER", _EXEMPLAR_FILTERS)
        != "always_off",
    )


class _Variables:
    """Environment variables, of which an empty one counts as unset, as OpenTelemetry wants it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str = "") -> str:
        return self._environ.get(name, "").strip() or default

    def of_signal(self, signal: str, what: str) -> tuple[str, str]:
        """Return the name and value of the signal's own variable if it is set, else the common."""
        own = f"OTEL_EXPORTER_OTLP_{signal}_{what}"
        name = own if self.text(own) else f"OTEL_EXPORTER_OTLP_{what}"
        return name, self.text(name)

    def flag(self, name: str) -> bool:
        return self.choice(name, ("false", "true")) == "true"

    def choice(self, name: str, known: Collection[str]) -> str:
        """Return one of the known values, the first if the variable is not set."""
        value = self.text(name).lower() or next(iter(known))
        if value not in known:
            raise self.refusal(name, value, did_you_mean(value, known))
        return value

    def number(
        self, name: str, kind: Callable[[str], _Number], default: _Number, least: _Number
    ) -> _Number:
        value = self.text(name)
        if not value:
            return default
        what = "a whole number" if kind is int else "a number"
        cure = f"give {what}, {least} or more"
        try:
            number = kind(value)
        except ValueError:
            raise self.refusal(name, value, cure) from None
        if not least <= number < float("inf"):
            raise self.refusal(name, value, cure)
        return number

    def milliseconds(self, name: str, default: int) -> float:
        return self.number(name, int, default, 1) / 1e3

    def exporters(self, signal: str) -> frozenset[str]:
        """Return which of ``otlp`` and ``console`` were asked for.

        A variable that is not set means OTLP, but only to an endpoint that somebody named.
        """
        name = f"OTEL_{signal}_EXPORTER"
        asked = [each.strip().lower() for each in self.text(name).split(",") if each.strip()]
        if not asked:
            _, endpoint = self.of_signal(signal, "ENDPOINT")
            return frozenset({OTLP} if endpoint else ())
        # Prometheus comes for its page itself, see --web.listen-address.
        known = [OTLP, CONSOLE, "none", *(["prometheus"] if signal == "METRICS" else [])]
        for value in asked:
            if value not in known:
                raise self.refusal(name, value, did_you_mean(value, known))
        return frozenset(asked) & {OTLP, CONSOLE}

    @staticmethod
    def refusal(name: str, value: str, cure: str) -> ConfigError:
        return ConfigError(f"{name}={value!r}: {cure}")


def _signal(variables: _Variables, signal: str) -> Signal:
    exporters = variables.exporters(signal)
    otlp = _destination(variables, signal) if OTLP in exporters else None
    return Signal(otlp, CONSOLE in exporters)


def _destination(variables: _Variables, signal: str) -> Destination:
    name, endpoint = variables.of_signal(signal, "ENDPOINT")
    url = _parsed(name, endpoint) if endpoint else None
    protocol = _protocol(variables, signal, url)
    if url is None:
        name, endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT", _DEFAULT_ENDPOINTS[protocol]
        url = _parsed(name, endpoint)
    _check_url(name, url, protocol)
    if protocol == HTTP and name == "OTEL_EXPORTER_OTLP_ENDPOINT":
        endpoint = f"{endpoint.removesuffix('/')}/v1/{signal.lower()}"
    _check_headers(*variables.of_signal(signal, "HEADERS"))
    _check_files(variables, signal)
    variables.flag(variables.of_signal(signal, "INSECURE")[0])
    compressions = ("none", "gzip") if protocol == GRPC else ("none", "gzip", "deflate")
    return Destination(
        endpoint=endpoint,
        shown=_shown(url),
        protocol=protocol,
        compression=variables.choice(variables.of_signal(signal, "COMPRESSION")[0], compressions),
        timeout_seconds=variables.number(  # in seconds: so the SDK for Python documents it
            variables.of_signal(signal, "TIMEOUT")[0], float, _DEFAULT_TIMEOUT_SECONDS, 0.001
        ),
    )


def _protocol(variables: _Variables, signal: str, url: SplitResult | None) -> str:
    """Return the protocol; unless it is said, OpenTelemetry's default, or that of the port."""
    name, value = variables.of_signal(signal, "PROTOCOL")
    if value == "http/json":
        raise variables.refusal(name, value, f"JSON is only written to files; use {HTTP!r}")
    if not value and url is not None and url.port == _GRPC_PORT:
        return GRPC
    return variables.choice(name, (HTTP, GRPC))


def _parsed(name: str, endpoint: str) -> SplitResult:
    """Return the parts of a URL; nothing of one that is none is repeated, it may be a secret."""
    try:
        url = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        usable = url.hostname and url.port != 0 and not re.search(r"\s", endpoint)
    except ValueError:
        usable = None
    if not usable:
        raise ConfigError(
            f"{name}: not a URL (not shown, it may hold a secret); write it as "
            "http://localhost:4318 or https://host/path"
        )
    return url


def _check_url(name: str, url: SplitResult, protocol: str) -> None:
    # gRPC also knows host:port; whether that is TLS is OTEL_EXPORTER_OTLP_INSECURE's to say.
    schemes = ("http", "https", "") if protocol == GRPC else ("http", "https")
    if url.scheme not in schemes:
        raise _Variables.refusal(
            name, _shown(url), f"with {protocol} it must begin with http:// or https://"
        )
    if protocol == GRPC and url.username is not None:
        raise _Variables.refusal(
            name, _shown(url), "gRPC takes no user in a URL; use OTEL_EXPORTER_OTLP_HEADERS"
        )


def _shown(url: SplitResult) -> str:
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    scheme = f"{url.scheme}://" if url.scheme else ""
    return f"{scheme}{host}" + (f":{url.port}" if url.port else "")


def _check_headers(name: str, headers: str) -> None:
    for number, header in enumerate(filter(None, map(str.strip, headers.split(","))), 1):
        value = unquote(header.partition("=")[2])
        if not _HEADER.fullmatch(header) or not _PRINTABLE.fullmatch(value):
            raise ConfigError(
                f"{name}: entry {number} (not shown, it may be a secret) is not name=value in "
                "ASCII; separate entries by commas and percent-encode what is special"
            )


def _check_files(variables: _Variables, signal: str) -> None:
    for what in _FILES:
        name, path = variables.of_signal(signal, what)
        if path:
            try:
                Path(path).read_bytes()
            except OSError as error:
                raise variables.refusal(
                    name, path, f"cannot be read: {error.strerror}; name a PEM file"
                ) from None


def _queue(variables: _Variables) -> QueueLimits:
    size, batch = "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
    # The SDK itself does nothing with the timeout; the exporter's own holds.
    variables.milliseconds("OTEL_BSP_EXPORT_TIMEOUT", 30_000)
    limits = QueueLimits(
        delay_seconds=variables.milliseconds("OTEL_BSP_SCHEDULE_DELAY", 5_000),
        spans=variables.number(size, int, 2_048, 1),
        batch=variables.number(batch, int, 512, 1),
    )
    if limits.batch <= limits.spans:
        return limits
    if variables.text(batch):
        raise variables.refusal(batch, str(limits.batch), f"must not exceed {size}={limits.spans}")
    return limits._replace(batch=limits.spans)


def _check_for_the_sdk(variables: _Variables) -> None:
    """Refuse what the SDK would warn of, or raise at, when a tracer is made."""
    for name in _LIMITS:
        variables.number(name, int, 0, 0)
    sampler = variables.choice("OTEL_TRACES_SAMPLER", _SAMPLERS)
    argument = "OTEL_TRACES_SAMPLER_ARG"
    if sampler in _SAMPLERS_WITH_RATIO and variables.number(argument, float, 1.0, 0.0) > 1:
        raise variables.refusal(argument, variables.text(argument), "give a ratio from 0 to 1")
    propagators = {point.name for point in entry_points(group="opentelemetry_propagator")}
    for each in map(str.strip, variables.text("OTEL_PROPAGATORS", "none").split(",")):
        if each not in {*propagators, "none"}:
            hint = did_you_mean(each, {*propagators, "none"})
            raise variables.refusal("OTEL_PROPAGATORS", each, hint)
    attributes = variables.text("OTEL_RESOURCE_ATTRIBUTES")
    for number, item in enumerate(attributes.split(",") if attributes else (), 1):
        key, equals, _ = item.partition("=")
        if not equals or not key.strip():
            raise ConfigError(
                f"OTEL_RESOURCE_ATTRIBUTES: entry {number}, {item!r}, is not key=value; separate "
                "entries by commas and percent-encode what is special"
            )
