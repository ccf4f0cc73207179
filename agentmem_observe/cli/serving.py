"""What ``agentmem-observe daemon`` does, once its options are read."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from agentmem_observe.bench.target_check import check_target
from agentmem_observe.cli.exporting import Destinations, exporting
from agentmem_observe.cli.logs import log_of
from agentmem_observe.daemon.address import announce
from agentmem_observe.daemon.api import daemon_app
from agentmem_observe.daemon.jobs.loop import Services
from agentmem_observe.daemon.memory import keep_memory_flat
from agentmem_observe.daemon.service import Daemon
from agentmem_observe.daemon.settings.loading import load_settings
from agentmem_observe.daemon.settings.values import Settings
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.token import make_token
from agentmem_observe.daemon.web.server import WebOptions, WebServer, refuse_strangers
from agentmem_observe.daemon.web.web_config import WebConfig, load_web_config
from agentmem_observe.errors import AgentMemObserveError, ConfigError
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.runs import RunMetrics

_BUILDING_SECONDS = 60.0  # of one target; what takes longer to import is not in order


def serve(
    *,
    config_file: Path | None,
    check_config: bool,
    state_dir: Path | None,
    listen: tuple[str, int] | None,
    web_config_file: Path | None,
    insecure: bool | None,
    otlp_file: Path | None,
) -> int:
    """Run the daemon until a signal ends it.

    Returns:
        The exit code.

    Raises:
        AgentMemObserveError: If it cannot start.
    """
    log = log_of()

    def load() -> Settings:
        settings = load_settings(
            config_file,
            os.environ,
            state_dir=state_dir,
            listen=listen,
            web_config_file=web_config_file,
            insecure=insecure,
        )
        for job in settings.jobs:
            log.hide(job.target)
        web = settings.web
        web_config = load_web_config(web.config_file) if web.config_file else WebConfig()
        refuse_strangers(web.host, web_config, insecure=web.insecure)
        return settings

    settings = load()
    if check_config:
        _check_targets(settings)
        jobs = ", ".join(job.name for job in settings.jobs)
        click.echo(f"{config_file or 'defaults'}: good; jobs: {jobs or 'none'}")
        return 0
    _run(settings, load, otlp_file)
    log.say("stopped", "Stopped.")
    return 0


def _check_targets(settings: Settings) -> None:
    """Refuse targets that cannot be built, all at once; whether they are up shows in a run."""
    problems = []
    for job in settings.jobs:
        try:
            check_target(job.target, time_limit_seconds=_BUILDING_SECONDS)
        except AgentMemObserveError as error:
            problems.append(f"{settings.file or 'defaults'}: jobs.{job.name}: {error}")
    if problems:
        raise ConfigError("\n".join(problems))


def _run(settings: Settings, load: Callable[[], Settings], otlp_file: Path | None) -> None:
    """Put the daemon together and keep it going until a signal ends it."""
    keep_memory_flat()
    log, registry = log_of(), MetricRegistry()
    with (
        State.open(settings.state_dir) as state,
        exporting("", Destinations(otlp_file=otlp_file), registry) as exports,
    ):
        services = Services(RunMetrics(registry), state, log.say, exports.tracing)
        daemon = Daemon(settings, services, load)
        web = WebOptions(
            host=settings.web.host,
            port=settings.web.port,
            config_file=settings.web.config_file,
            insecure=settings.web.insecure,
            token=make_token(settings.state_dir, os.environ),
        )
        with (
            _signals(daemon),
            WebServer(daemon_app(daemon, registry), registry, web) as server,
            announce(settings.state_dir, server.local_url),
        ):
            daemon.serve_with(server)
            jobs = ", ".join(job.name for job in settings.jobs)
            log.say(
                "serving",
                f"Serving {server.url}; jobs: {jobs}; results in {state.directory}; "
                "Ctrl-C ends it",
                url=server.url,
                jobs=[job.name for job in settings.jobs],
                state_dir=str(state.directory),
            )
            daemon.run_until_stopped()


@contextmanager
def _signals(daemon: Daemon) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the daemon, SIGHUP read the settings.

    The second one waits for nothing that is under way, the third for nothing at all.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if daemon.hurrying:
            raise KeyboardInterrupt
        daemon.stop()

    def reload(number: int, frame: FrameType | None) -> None:
        daemon.ask_reload()

    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
