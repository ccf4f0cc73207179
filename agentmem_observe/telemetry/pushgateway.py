"""Metrics to a Prometheus Pushgateway: all that one command has to say, once, at its end."""

import socket
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from prometheus_client.exposition import basic_auth_handler, default_handler, push_to_gateway

from agentmem_observe.errors import ExportError, UsageError
from agentmem_observe.telemetry.catalog import EXPORTER_ITEMS
from agentmem_observe.telemetry.prometheus import Page
from agentmem_observe.telemetry.registry import MetricRegistry

JOB: Final = "agentmem_observe"
"""The label ``job`` of what is pushed."""

TIMEOUT_SECONDS: Final = 10.0
"""How long to wait for a connection, and then for the answer."""

_LONGEST_ANSWER = 300
_CURES: Final = {
    401: "put them into the URL: http://USER:PASSWORD@HOST:PORT",
    403: "see whether this user may push",
    404: "name its base URL, without /metrics/job/...",
    405: "name its base URL, without /metrics/job/...",
}


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where a Pushgateway is.

    Attributes:
        url: Its base URL, without credentials.
        host: Its host, and port if there is one; for people.
        username: For basic authentication; "" for none.
        password: For basic authentication; never shown.
    """

    url: str
    host: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> "Gateway":
        """Return the gateway that a user named.

        Args:
            text: Such as ``http://USER:PASSWORD@HOST:9091``; ``http`` if there is no scheme.

        Raises:
            UsageError: If it is no such URL; the message has nothing that may be a secret.

        Examples:
            >>> Gateway.parse("gateway:9091/")
            Gateway(url='http://gateway:9091', host='gateway:9091')
        """
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            port = parts.port
        except ValueError:
            raise UsageError(_refused("its host or port cannot be read")) from None
        if complaint := _complaint(text, parts):
            raise UsageError(_refused(complaint))
        host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
        host = host if port is None else f"{host}:{port}"
        url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        return cls(url, host, unquote(parts.username or ""), unquote(parts.password or ""))


def push_metrics(
    registry: MetricRegistry,
    url: str,
    *,
    instance: str | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> None:
    """Push all metrics; they replace all that the gateway has of this job and instance.

    Args:
        registry: What to push; it counts what became of it.
        url: Where the gateway is, as `Gateway.parse` takes it.
        instance: The label ``instance``; this machine's name if None.
        timeout_seconds: How long to wait for a connection, and then for the answer.

    Raises:
        UsageError: If the URL is none.
        ExportError: If the gateway does not take them.
    """
    gateway = Gateway.parse(url)
    handler = default_handler
    if gateway.username or gateway.password:
        handler = partial(basic_auth_handler, username=gateway.username, password=gateway.password)
    result = "failed"
    try:
        push_to_gateway(
            gateway.url,
            JOB,
            Page(registry.collect(), extras=False),
            {"instance": instance or socket.gethostname()},
            timeout_seconds,
            handler,
        )
        result = "sent"
    except (OSError, HTTPException, UnicodeError) as error:  # the last of a host's name
        why = _why(error, timeout_seconds)
        raise ExportError(f"Pushgateway {gateway.host} did not take the metrics: {why}") from error
    finally:
        registry.add(EXPORTER_ITEMS, {"exporter": "pushgateway", "result": result}, 1)


def _refused(complaint: str) -> str:
    return f"--push-gateway: {complaint}; write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"


def _complaint(text: str, parts: SplitResult) -> str:
    if parts.scheme not in ("http", "https"):
        return "only http and https are spoken there"
    if not parts.hostname:
        return "there is no host in it"
    if parts.query or parts.fragment:
        return "it must end before ? or #"
    if not text.isprintable() or " " in text:
        return "there is a space or an unprintable character in it"
    return ""


def _why(error: Exception, timeout_seconds: float) -> str:
    if isinstance(error, HTTPError):
        answer = _answer(error) if error.code == 400 else ""
        error.close()
        if answer:  # it says what is wrong with the metrics
            return f"HTTP 400: {answer}"
        cure = _CURES.get(error.code, "see its log")
        return f"HTTP {error.code}: {error.reason}; {cure}"
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return (
            f"no answer within {timeout_seconds:g} s; see whether it is up, and whether a "
            "firewall is between"
        )
    said = getattr(reason, "strerror", None) or type(reason).__name__
    return f"{said}; see whether it is running, and whether the URL is right"


def _answer(error: HTTPError) -> str:
    try:
        return " ".join(error.read(_LONGEST_ANSWER).decode(errors="replace").split())
    except (OSError, HTTPException):  # the code alone has to do
        return ""
