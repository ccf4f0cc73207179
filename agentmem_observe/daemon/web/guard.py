"""Requests are checked here, one check after the other; what passes goes on to the application."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from agentmem_observe.daemon.web.credentials import (
    Passwords,
    Verdict,
    credentials_of,
    same_token,
)
from agentmem_observe.daemon.web.limits import Limits, Rate, TokenBuckets, client_of, retry_after
from agentmem_observe.daemon.web.refusals import refusal_of
from agentmem_observe.daemon.web.security import (
    METHODS,
    READING,
    is_plain_path,
    names_this_machine,
    protect,
)
from agentmem_observe.daemon.web.web_config import WebConfig
from agentmem_observe.telemetry.catalog import HTTP_AUTHENTICATION_FAILURES, HTTP_REQUESTS
from agentmem_observe.telemetry.registry import MetricRegistry

_OPEN = frozenset({"/healthz", "/readyz"})  # for supervisors, which have no credentials
_LEFT = "499"  # nginx' code for a client that did not wait
_EVERYONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Who may do what.

    Attributes:
        token: Bearer token of requests that change something; "" refuses all of them.
        only_local_names: Whether the header ``Host`` has to name loopback; else any name is good.
        limits: How much is taken.
    """

    token: str = field(default="", repr=False)
    only_local_names: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class _Asked:
    scope: Scope
    headers: Headers
    path: str
    method: str
    client: str

    @property
    def is_write(self) -> bool:
        return self.method not in READING


class Guard:
    """Stands before an application, as one itself."""

    def __init__(
        self,
        app: Starlette,
        rules: Rules,
        config: Callable[[], WebConfig],
        registry: MetricRegistry,
        clock: Callable[[], float],
    ) -> None:
        """Say what to guard.

        Args:
            app: Answers what passes.
            rules: Who may do what.
            config: Returns the web configuration in force.
            registry: Counts requests.
            clock: Seconds that never go back.
        """
        self._app = app
        self._rules = rules
        self._limits = rules.limits
        self._config = config
        self._registry = registry
        self._clock = clock
        self._passwords = Passwords()
        self._requests = TokenBuckets(self._limits.requests, self._limits.buckets, clock)
        self._failures = TokenBuckets(self._limits.failures, self._limits.buckets, clock)
        self._all_failures = TokenBuckets(self._limits.all_failures, 1, clock)
        self._all_requests: tuple[Rate, TokenBuckets] | None = None
        registry.add(HTTP_AUTHENTICATION_FAILURES, {}, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application do it."""
        asked = _Asked(
            scope,
            Headers(scope=scope),
            scope["path"],
            scope["method"],
            client_of((scope.get("client") or ("",))[0]),
        )
        handler = self._handler(scope)
        config = self._config()
        answered = False

        async def send_protected(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                self._count(str(message["status"]), handler)
                protect(MutableHeaders(scope=message), config.headers)
            await send(message)

        try:
            refusal = await self._refusal(asked, config, handler)
            if refusal is None:
                body = await self._body(asked, receive)
                if body is None:
                    return
                if isinstance(body, bytes):
                    await self._app(scope, _with_body(body, receive), send_protected)
                    return
                refusal = body
            await refusal(scope, receive, send_protected)
        finally:
            if not answered:
                self._count(_LEFT, handler)

    def _count(self, code: str, handler: str) -> None:
        self._registry.add(HTTP_REQUESTS, {"code": code, "handler": handler}, 1)

    def _handler(self, scope: Scope) -> str:
        for route in self._app.routes:
            if route.matches(scope)[0] is not Match.NONE:
                return str(getattr(route, "path", "other"))
        return "other"

    async def _refusal(self, asked: _Asked, config: WebConfig, handler: str) -> Response | None:
        refusal = self._misshapen(asked) or await self._unwelcome(asked, config)
        # What is refused is counted apart, or strangers could use up what a client may ask for.
        wait = self._requests.take(f"{asked.client} {'' if refusal else handler}")
        if not wait and config.rate:
            wait = self._of_everyone(config.rate).take(_EVERYONE)
        if wait:
            return await self._too_many(asked, wait, "requests")
        return refusal

    def _misshapen(self, asked: _Asked) -> Response | None:
        raw = asked.headers.raw
        size = sum(len(name) + len(value) + 4 for name, value in raw)
        size += len(asked.scope["raw_path"]) + len(asked.scope["query_string"])
        if size > self._limits.header_bytes or len(raw) > self._limits.header_count:
            return _refuse(asked, 431, "the headers are too long", {"Connection": "close"})
        if {"content-length", "transfer-encoding"}.issubset(asked.headers.keys()):
            # Where a proxy and we would disagree, one request could hide in another's body.
            text = "Content-Length and Transfer-Encoding exclude each other"
            return _refuse(asked, 400, text, {"Connection": "close"})
        if not is_plain_path(asked.path):
            return _refuse(asked, 400, "not a plain path; leave out . and .. and odd characters")
        host = asked.headers.get("host", "")
        if self._rules.only_local_names and not names_this_machine(host):
            return _refuse(asked, 421, "not served under this name; use localhost or 127.0.0.1")
        if asked.method not in METHODS:
            allow = {"Allow": ", ".join(sorted(METHODS))}
            return _refuse(asked, 405, "no route has this method", allow)
        return None

    async def _unwelcome(self, asked: _Asked, config: WebConfig) -> Response | None:
        if not asked.is_write and (asked.path in _OPEN or not config.users):
            return None
        given = credentials_of(asked.headers.get("authorization", "").encode("latin-1"))
        if same_token(given, self._rules.token):
            return None
        by_password = given.scheme == "basic" and bool(config.users) and not asked.is_write
        if by_password and self._passwords.known(config.users, given) is Verdict.RIGHT:
            return None
        if given.scheme:
            # Taken before the check: many guesses at once must not all pass for the first one.
            wait = self._failures.take(asked.client) or self._all_failures.take(_EVERYONE)
            if wait:
                return await self._too_many(asked, wait, "wrong credentials")
            if by_password and await self._passwords.check(config.users, given):
                self._failures.give_back(asked.client)
                self._all_failures.give_back(_EVERYONE)
                return None
            self._registry.add(HTTP_AUTHENTICATION_FAILURES, {}, 1)
        basic = bool(config.users) and not asked.is_write
        wanted = 'Basic realm="agentmem-observe", charset="UTF-8"' if basic else "Bearer"
        text = "a user and password, or the token, are needed" if basic else "the token is needed"
        return _refuse(asked, 401, text, {"WWW-Authenticate": wanted})

    async def _too_many(self, asked: _Asked, wait: float, what: str) -> Response:
        await asyncio.sleep(self._limits.refusal_seconds)
        headers = {"Retry-After": retry_after(wait)}
        return _refuse(asked, 429, f"too many {what}; ask less often", headers)

    def _of_everyone(self, rate: Rate) -> TokenBuckets:
        if self._all_requests is None or self._all_requests[0] != rate:
            self._all_requests = rate, TokenBuckets(rate, 1, self._clock)
        return self._all_requests[1]

    async def _body(self, asked: _Asked, receive: Receive) -> bytes | Response | None:
        """Return the body, a refusal if it is too long, None if the client left."""
        most = self._limits.body_bytes
        body = b""
        size = int(asked.headers.get("content-length", "0"))  # h11 lets only digits pass, twenty
        while size <= most:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk: bytes = message.get("body", b"")
            body += chunk
            size = len(body)
            if size <= most and not message.get("more_body", False):
                return body
        text = f"the body is longer than {most} bytes"
        return _refuse(asked, 413, text, {"Connection": "close"})


def _refuse(
    asked: _Asked, status: int, text: str, headers: dict[str, str] | None = None
) -> Response:
    return refusal_of(asked.path, status, text, headers)


def _with_body(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
