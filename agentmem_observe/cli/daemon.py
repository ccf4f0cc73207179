"""``agentmem-observe daemon``: its options. What it does is in `cli.serving` and `cli.asking`."""

from pathlib import Path
from typing import Any

import click

from agentmem_observe.cli import options
from agentmem_observe.cli.addresses import listen_address
from agentmem_observe.cli.lazy import load

_STATE_DIR = click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where results, windows and the token are; the settings' own, or "
    "agentmem-observe-state, by default.",
)
_URL = click.option(
    "--url", metavar="URL", help="Of the daemon; by default what its state directory says."
)
_CA = click.option(
    "--ca-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Certificate to trust, where the daemon speaks TLS.",
)


@click.group(invoke_without_command=True)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings and jobs, in TOML; without one it soaks the embedded memory.",
)
@click.option("--check-config", is_flag=True, help="Only say whether the settings are good.")
@_STATE_DIR
@click.option(
    "--web.listen-address",
    "listen",
    callback=listen_address,
    metavar="HOST:PORT",
    help="Where the status page and /metrics are; port 0 takes a free one.",
)
@click.option(
    "--web.config.file",
    "web_config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TLS and users, in the format of Prometheus' exporter-toolkit.",
)
@click.option(
    "--web.insecure",
    "insecure",
    is_flag=True,
    default=None,
    help="Let others than this machine read without TLS or password.",
)
@options.otlp_file
@options.log_format
@click.pass_context
def daemon(context: click.Context, /, **given: Any) -> int | None:
    """Soak memories and run benchmarks on schedule, for months; show it all over HTTP.

    \b
    Examples:
      agentmem-observe daemon
      agentmem-observe daemon --config daemon.toml --check-config
      agentmem-observe daemon --web.listen-address 127.0.0.1:9464
      agentmem-observe daemon status
      agentmem-observe daemon run-now nightly

    SIGHUP reads the settings again, SIGTERM ends it. Spans and metrics are sent by OTLP if
    OTEL_EXPORTER_OTLP_ENDPOINT is set.
    """
    if context.invoked_subcommand is not None:
        return None
    code: int = load("agentmem_observe.cli.serving:serve")(**given)
    return code


@daemon.command()
@_STATE_DIR
@_URL
@_CA
@options.as_json
@click.pass_context
def status(context: click.Context, /, *, as_json: bool, **whom: Any) -> int:
    """Ask a daemon how its jobs stand.

    Exit code 1 if something is wrong.
    """
    code: int = load("agentmem_observe.cli.asking:print_status")(
        _whom(context, whom), as_json=as_json
    )
    return code


@daemon.command("run-now")
@click.argument("job")
@_STATE_DIR
@_URL
@_CA
@click.pass_context
def run_now(context: click.Context, /, *, job: str, **whom: Any) -> int:
    """Have a daemon run a job as soon as the host is free."""
    code: int = load("agentmem_observe.cli.asking:run_now")(_whom(context, whom), job=job)
    return code


def _whom(context: click.Context, whom: dict[str, Any]) -> Any:
    """Return which daemon is meant; what stands before the verb counts too."""
    assert context.parent is not None  # these are verbs of the group
    before = context.parent.params
    whom["state_dir"] = whom["state_dir"] or before["state_dir"]
    return load("agentmem_observe.cli.asking:Whom")(config_file=before["config_file"], **whom)
