"""Serves the registry to scrapers over HTTP, from a thread of the process that holds it."""

import asyncio
import contextlib
import ipaddress
import os
import socket
import sys
import threading
import time
from typing import Any, Self

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn import Config, Server

from agentmem_observe.errors import UsageError
from agentmem_observe.telemetry.catalog import EXPORTER_SCRAPE_CPU, EXPORTER_SCRAPES
from agentmem_observe.telemetry.prometheus import accepts_gzip, compress, encode, negotiate
from agentmem_observe.telemetry.registry import MetricRegistry

LOOPBACK = "127.0.0.1"
_LOCAL_NAMES = {"0.0.0.0": LOOPBACK, "::": "::1"}  # of what stands for all addresses

_DATE_SECONDS = 1  # the resolution of the header
_TURNS_TO_LET_IN = 10  # of the event loop; a connection takes three
_THREADS = 4  # that answer; they take turns anyway, and each has a heap of its own, of megabytes
_NICENESS = 10  # of all that serves: whoever asks for too much waits, not what is measured
_LAST_WORDS_SECONDS = 2  # for answers that are under way when the server stops

_HOME = "<!doctype html><title>agentmem-observe</title><p><a href=/metrics>Metrics</a></p>\n"


def metrics_routes(registry: MetricRegistry) -> list[Route]:
    """Return ``/metrics``, in the format that is asked for.

    Every answered scrape is counted, with its CPU time, in the registry itself.
    """
    registry.add(EXPORTER_SCRAPES, {}, 0)
    registry.add(EXPORTER_SCRAPE_CPU, {}, 0)

    def metrics(request: Request) -> Response:
        # Not async: so it runs in a thread of its own, and its CPU time is that thread's.
        began = time.thread_time()
        format = negotiate(_all_of(request, "accept"))
        page = encode(registry.collect(), format)
        headers = {"Content-Type": format.value, "Vary": "Accept, Accept-Encoding"}
        if accepts_gzip(_all_of(request, "accept-encoding")):
            page = compress(page)
            headers["Content-Encoding"] = "gzip"
        registry.add(EXPORTER_SCRAPES, {}, 1)
        registry.add(EXPORTER_SCRAPE_CPU, {}, time.thread_time() - began)
        return Response(page, headers=headers)

    return [Route("/metrics", metrics)]


def _home(request: Request) -> Response:
    return HTMLResponse(_HOME)


def _all_of(request: Request, header: str) -> str:
    return ",".join(request.headers.getlist(header))


def quiet_config(app: ASGIApp, **settings: Any) -> Config:
    """Return how uvicorn serves here: HTTP alone, saying nothing of itself, logging only errors.

    Args:
        app: What answers.
        settings: More of uvicorn's, which win over the ones from here.
    """
    ours: dict[str, Any] = {
        "http": "h11",
        "loop": "asyncio",
        "ws": "none",
        "lifespan": "off",
        "log_config": None,  # logging belongs to the command line
        "log_level": "error",  # or whoever sends nonsense fills the log
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # or clients choose the address that they are known by
        "timeout_graceful_shutdown": _LAST_WORDS_SECONDS,
    }
    return Config(app, **ours | settings)


class _CalmServer(Server):
    """Looks once a second, not ten times, whether the date changed: idle it takes no CPU time."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Make it end; any thread may."""
        self.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        """Wait until told to stop."""
        self._loop = asyncio.get_running_loop()
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DATE_SECONDS):
                    await self._told.wait()
        # Let nobody in any more, and whoever is halfway in be known: asyncio loses those if the
        # server is closed meanwhile, and uvicorn sends away only those that it knows.
        for listening in (each for server in self.servers for each in server.sockets):
            self._loop.remove_reader(listening)
        for _ in range(_TURNS_TO_LET_IN):
            await asyncio.sleep(0)


class Serving:
    """Serves on an address while the ``with`` block runs, from a thread.

    Attributes:
        url: Where it listens, such as ``http://127.0.0.1:41233``; known within the block.
        local_url: Where this machine reaches it: nobody can connect to 0.0.0.0.
    """

    def __init__(self, config: Config, host: str, port: int, scheme: str = "http") -> None:
        """Say what to serve where; the port is taken on entering.

        Args:
            config: What answers, and how; without TLS, which is up to the protocol.
            host: An address of this machine, or a name of one; ``::`` for all there are.
            port: From 1 to 65535; 0 for any that is free.
            scheme: What the URL begins with.

        Raises:
            UsageError: On entering, if the address cannot be taken.
        """
        self.url = self.local_url = ""
        self._scheme = scheme
        self._address = host, port
        self._server = _CalmServer(config)

    def __enter__(self) -> Self:
        listening = _listen(*self._address)
        name, port = listening.getsockname()[:2]
        self.url = self._url_of(name, port)
        self.local_url = self._url_of(_LOCAL_NAMES.get(name, name), port)
        self._thread = threading.Thread(
            target=self._serve, args=(listening,), name="http", daemon=True
        )
        self._thread.start()
        return self

    @property
    def alive(self) -> bool:
        """Whether the thread still serves; within the block only its death makes it False."""
        return self._thread.is_alive()

    def __exit__(self, *exc: object) -> None:
        self._server.stop()
        self._thread.join()

    def _url_of(self, name: str, port: int) -> str:
        return f"{self._scheme}://{f'[{name}]' if ':' in name else name}:{port}"

    def _serve(self, listening: socket.socket) -> None:
        _give_way()
        with listening:
            # uvicorn leaves signals alone in any thread but the main one.
            self._server.run(sockets=[listening])


class HttpServer(Serving):
    """Serves an application to this machine while the ``with`` block runs, from a thread."""

    def __init__(self, app: ASGIApp, host: str = LOOPBACK, port: int = 0) -> None:
        """Say what to serve where; the port is taken on entering.

        Args:
            app: What answers.
            host: A loopback address, or ``localhost``.
            port: From 1 to 65535; 0 for any that is free.

        Raises:
            UsageError: If others could reach the address; on entering, if it cannot be taken.
        """
        if not is_loopback(host):
            raise UsageError(
                f"cannot serve on {host!r}: there is no encryption and no password here, so only"
                f" this machine may connect; use {LOOPBACK}, and a proxy for others"
            )
        super().__init__(quiet_config(app), host, port)


class MetricsEndpoint(HttpServer):
    """Serves a registry's metrics while the ``with`` block runs; ``url`` is the home page's."""

    def __init__(self, registry: MetricRegistry, host: str = LOOPBACK, port: int = 0) -> None:
        """Say what to serve where; the port is taken on entering.

        Args:
            registry: What is served.
            host: A loopback address, or ``localhost``.
            port: From 1 to 65535; 0 for any that is free.

        Raises:
            UsageError: If others could reach the address; on entering, if it cannot be taken.
        """
        routes = [*metrics_routes(registry), Route("/", _home)]
        super().__init__(Starlette(routes=routes), host, port)


def _give_way() -> None:
    """Let all others run first, from now on, before this thread and those that it starts.

    Only Linux has a priority for each thread; elsewhere it would be that of the whole process,
    whose workers would inherit it.
    """
    if sys.platform == "linux":
        own = threading.get_native_id()
        niceness = max(_NICENESS, os.getpriority(os.PRIO_PROCESS, own))
        os.setpriority(os.PRIO_PROCESS, own, niceness)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address.

    Examples:
        >>> is_loopback("localhost"), is_loopback("127.8.8.8"), is_loopback("::ffff:127.0.0.1")
        (True, True, True)
        >>> is_loopback("0.0.0.0"), is_loopback("localhost.example")
        (False, False)
    """
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    inside = getattr(address, "ipv4_mapped", None) or address
    return inside.is_loopback


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise UsageError(
            f"cannot serve on {host}:{port}: a port is from 1 to 65535, or 0 for any that is free"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((host, port), family=family, dualstack_ipv6=both)
    except OSError as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot serve on {host}:{port}: {reason}; choose another port, or 0 for any"
        ) from error
