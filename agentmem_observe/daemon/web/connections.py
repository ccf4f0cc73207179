"""Connections are counted, encrypted and timed here, before and between their requests."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from agentmem_observe.daemon.web.limits import Limits, client_of
from agentmem_observe.daemon.web.web_config import WebConfig
from agentmem_observe.telemetry.catalog import HTTP_CUT_CONNECTIONS, HTTP_REQUESTS
from agentmem_observe.telemetry.endpoint import is_loopback
from agentmem_observe.telemetry.registry import MetricRegistry

_LAST_WORDS_SECONDS = 1.0  # for the answers that are under way when the server stops
_GOODBYE_SECONDS = 5.0  # for a client of TLS to confirm that the connection ends

_ANSWER = (
    b"HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_FULL = _ANSWER % b"503 Service Unavailable\r\nRetry-After: 1"
_TOO_SLOW = _ANSWER % b"408 Request Timeout"


class Door:
    """Knows how many connections there are of whom, and how the next one is encrypted."""

    def __init__(
        self, limits: Limits, config: Callable[[], WebConfig], registry: MetricRegistry
    ) -> None:
        """Open it.

        Args:
            limits: How many come in, and for how long they may do nothing.
            config: Returns the configuration in force.
            registry: Counts who is turned away.
        """
        self.limits = limits
        self.config = config
        self._registry = registry
        self._inside: Counter[str] = Counter()
        self._count = 0

    def enter(self, client: str) -> str:
        """Let a connection in; return the limit that it would break, else ""."""
        if self._count >= self.limits.connections:
            return "connections"
        # Through loopback comes everything of this machine, proxies and tunnels too.
        if self._inside[client] >= self.limits.connections_per_client and not is_loopback(client):
            return "client_connections"
        self._inside[client] += 1
        self._count += 1
        return ""

    def leave(self, client: str) -> None:
        """Count a connection out."""
        self._count -= 1
        self._inside[client] -= 1
        if not self._inside[client]:
            del self._inside[client]

    def count_cut(self, limit: str) -> None:
        """Count a connection that broke a limit."""
        self._registry.add(HTTP_CUT_CONNECTIONS, {"limit": limit}, 1)

    def count_malformed(self) -> None:
        """Count what is not HTTP."""
        self._registry.add(HTTP_REQUESTS, {"code": "400", "handler": "malformed"}, 1)


class BoundedProtocol(H11Protocol):
    """One connection: none of its phases lasts longer than its limit.

    The phases are ``handshake``, ``headers``, ``body`` and ``answer``; uvicorn itself bounds the
    idle time between requests. Encryption starts after the connection was counted, so that no
    client holds files open by not shaking hands.
    """

    def __init__(
        self,
        door: Door,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Be made for a connection, by uvicorn."""
        super().__init__(config, server_state, app_state, _loop)
        self._door = door
        self._who = ""
        self._inside = False
        self._phase = ""
        self._timer: asyncio.TimerHandle | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, then begin or shake hands."""
        assert isinstance(transport, asyncio.Transport)
        self._raw = transport
        self._who = client_of((transport.get_extra_info("peername") or ("",))[0])
        config = self._door.config()
        if limit := self._door.enter(self._who):
            self._door.count_cut(limit)
            if config.tls is None:
                transport.write(_FULL)
            transport.close()
            return
        self._inside = True
        self.connections.add(self)
        if config.tls is None:
            self._begin(transport)
        else:
            transport.pause_reading()  # the first bytes are for the handshake
            self._handshake = self.loop.create_task(self._encrypt(config, config.tls))

    def data_received(self, data: bytes) -> None:
        """Go on with what came; of TLS it may come before we know that it is encrypted."""
        if self.transport is None:
            self._early += data
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait until the answer is taken, or for the next request."""
        super().on_response_complete()
        self._watch(resting=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out."""
        self._leave()
        if self.transport is not None:
            super().connection_lost(exc)
            self._unset_keepalive_if_required()

    def shutdown(self) -> None:
        """End now, or after the answer that is under way."""
        answering = self.cycle and not (self.cycle.response_complete or self.cycle.more_body)
        if answering and not self._raw.is_closing():
            super().shutdown()
            self.loop.call_later(_LAST_WORDS_SECONDS, self._raw.abort)
        else:
            self._raw.abort()

    def send_400_response(self, msg: str) -> None:
        """Say that it is not HTTP, unless something else was said already."""
        self._door.count_malformed()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._dismiss()
            super().send_400_response(msg)
        else:
            self._raw.abort()

    async def _encrypt(self, config: WebConfig, context: ssl.SSLContext) -> None:
        try:
            transport = await self.loop.start_tls(
                self._raw,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self._door.limits.handshake_seconds,
                ssl_shutdown_timeout=_GOODBYE_SECONDS,
            )
        except OSError:  # of ssl too, and those of time
            transport = None
        # None also if the client left meanwhile, which asyncio does not tell otherwise.
        if transport is None or not _has_name(transport, config.allowed_sans):
            self._door.count_cut("handshake")
            self._raw.abort()
            self._leave()
            return
        self._begin(transport)

    def _begin(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._expect("headers")
        if self._early:
            data, self._early = self._early, b""
            self.data_received(data)

    def _watch(self, resting: bool = False) -> None:
        state = self.conn.their_state
        if self._untaken():
            self._expect("answer")
        elif state is h11.SEND_BODY:
            self._expect("body")
        elif state is not h11.IDLE:
            self._expect("answer")
        else:
            idle = resting and not self.conn.trailing_data[0]
            self._expect("" if idle else "headers")

    def _expect(self, phase: str) -> None:
        if phase == self._phase:
            return
        self._stop_timer()
        self._phase = phase
        if phase and self._inside:
            seconds = getattr(self._door.limits, f"{phase}_seconds")
            self._timer = self.loop.call_later(seconds, self._is_late)

    def _is_late(self) -> None:
        phase, self._phase = self._phase, ""
        if phase == "answer" and not self._untaken():
            # The client took what there was: it is we who are slow, or it rests.
            self._watch(resting=True)
            return
        self._door.count_cut(phase)
        begun = phase == "body" or (phase == "headers" and self.conn.trailing_data[0])
        if begun and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._dismiss()
            self.transport.write(_TOO_SLOW)
            self.transport.close()
            self._expect("answer")
        else:
            self._raw.abort()

    def _dismiss(self) -> None:
        # The request that the application may be at has its answer: another would be an error.
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _untaken(self) -> int:
        encrypted = 0 if self.transport is self._raw else self.transport.get_write_buffer_size()
        return encrypted + self._raw.get_write_buffer_size()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self) -> None:
        self._stop_timer()
        self.connections.discard(self)
        if self._inside:
            self._inside = False
            self._door.leave(self._who)


def _has_name(transport: asyncio.Transport, allowed: frozenset[str]) -> bool:
    if not allowed:
        return True
    certificate = transport.get_extra_info("peercert") or {}
    return any(name in allowed for _, name in certificate.get("subjectAltName", ()))
