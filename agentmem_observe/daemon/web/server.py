"""Serves the daemon's application: to this machine, or with TLS or a password to others."""

import asyncio
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from starlette.applications import Starlette

from agentmem_observe.daemon.web.connections import BoundedProtocol, Door
from agentmem_observe.daemon.web.guard import Guard, Rules
from agentmem_observe.daemon.web.limits import Limits
from agentmem_observe.daemon.web.renewal import CurrentConfig
from agentmem_observe.daemon.web.web_config import WebConfig
from agentmem_observe.errors import ConfigError, UsageError
from agentmem_observe.telemetry.endpoint import LOOPBACK, Serving, is_loopback, quiet_config
from agentmem_observe.telemetry.registry import MetricRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """Where to serve, and to whom.

    Attributes:
        host: An address of this machine; ``::`` for all there are.
        port: From 1 to 65535; 0 for any that is free.
        token: Bearer token of requests that change something; "" refuses all of them.
        config_file: The web configuration, None for none.
        insecure: Let others connect without TLS and without credentials.
        limits: How much is taken.
    """

    host: str = LOOPBACK
    port: int = 0
    token: str = field(default="", repr=False)
    config_file: Path | None = None
    insecure: bool = False
    limits: Limits = field(default_factory=Limits)


class WebServer(Serving):
    """Serves an application while the ``with`` block runs, from a thread; ``url`` says where."""

    def __init__(
        self,
        app: Starlette,
        registry: MetricRegistry,
        options: WebOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the web configuration; the port is taken on entering.

        Args:
            app: Answers what passes all checks.
            registry: Counts requests, and connections that were cut.
            options: Where to serve, and to whom.
            clock: Seconds that never go back; not for timeouts, which are the event loop's.

        Raises:
            ConfigError: If the web configuration is wrong.
            UsageError: If others could reach the address unchecked; on entering, if it cannot be
                taken.
        """
        self._options = options
        self._config = CurrentConfig(options.config_file, self._accept, clock)
        config = self._config.value
        refuse_strangers(options.host, config, insecure=options.insecure)
        limits = options.limits
        rules = Rules(
            token=options.token,
            only_local_names=is_loopback(options.host),
            limits=limits,
        )

        def in_force() -> WebConfig:
            return self._config.value

        protocol = functools.partial(BoundedProtocol, Door(limits, in_force, registry))
        quiet = quiet_config(
            Guard(app, rules, in_force, registry, clock),
            http=cast(type[asyncio.Protocol], protocol),
            h11_max_incomplete_event_size=limits.header_bytes,
            timeout_keep_alive=limits.idle_seconds,
        )
        super().__init__(quiet, options.host, options.port, "https" if config.tls else "http")

    @property
    def problem(self) -> str:
        """Why what the web configuration's file says now is not in force; "" if it is."""
        return self._config.problem

    def reload(self) -> None:
        """Read the web configuration and what it names again; any thread may.

        A change of these files takes effect without this too, for the next request or connection.

        Raises:
            ConfigError: If it is wrong, or takes a restart; what was in force stays.
        """
        self._config.reload()

    def _accept(self, before: WebConfig, after: WebConfig) -> None:
        if (before.tls is None) != (after.tls is None):
            raise ConfigError(
                f"{self._options.config_file}: tls_server_config: cannot come or go while others "
                "are connected; restart the daemon"
            )
        refuse_strangers(self._options.host, after, insecure=self._options.insecure)


def refuse_strangers(host: str, config: WebConfig, *, insecure: bool) -> None:
    """Refuse an address that others reach, without anything that tells strangers from friends.

    Args:
        host: An address to listen on.
        config: TLS and users there.
        insecure: Let others connect without either.

    Raises:
        UsageError: With what may be done about it.
    """
    if not (config.tls or config.users or insecure or is_loopback(host)):
        raise UsageError(
            f"cannot serve on {host!r}: anybody could read there; give --web.config.file "
            "with tls_server_config or basic_auth_users (docs/security.md), listen on "
            f"{LOOPBACK}, or say --web.insecure"
        )
