"""What ``agentmem-observe daemon status`` and ``run-now`` do: they ask a daemon over HTTP."""

import json
import os
import textwrap
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import requests
from rich.console import Console
from rich.table import Table

from agentmem_observe.daemon.address import announced
from agentmem_observe.daemon.settings.loading import state_directory
from agentmem_observe.daemon.token import VARIABLE, read_token
from agentmem_observe.errors import UsageError
from agentmem_observe.targets.credentials import redact_within
from agentmem_observe.units import format_seconds

_PATIENCE_SECONDS = 10
_TROUBLE = {"leak", "slower", "worse"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """Which daemon to ask.

    Attributes:
        config_file: Its settings; None for the defaults.
        state_dir: Its state directory; None for what the settings say.
        url: Of its server; None for what its state directory says.
        ca_file: What signed its certificate; None for what this host trusts.
    """

    config_file: Path | None = None
    state_dir: Path | None = None
    url: str | None = None
    ca_file: Path | None = None


def print_status(whom: Whom, *, as_json: bool) -> int:
    """Print how a daemon's jobs stand.

    Returns:
        1 if something is wrong, else 0; void measurements alone are no trouble.

    Raises:
        UsageError: If no daemon answers.
        ConfigError: If none is known.
    """
    status = _ask("GET", "/api/v1/status", whom).json()
    if as_json:
        click.echo(json.dumps(status, indent=2))
    else:
        _print(status)
    return 1 if _troubles(status) else 0


def run_now(whom: Whom, *, job: str) -> int:
    """Ask for a run of a job.

    Raises:
        UsageError: If no daemon answers, or it refuses.
        ConfigError: If none is known.
    """
    _ask("POST", f"/api/v1/jobs/{quote(job, safe='')}/run", whom)
    click.echo(f"{job} runs as soon as the host is free; see agentmem-observe daemon status")
    return 0


def _ask(method: str, path: str, whom: Whom) -> requests.Response:
    base = whom.url or announced(_directory(whom))
    with requests.Session() as session:
        # Neither a proxy nor a login of the environment's: what goes to a daemon is for it alone.
        session.trust_env = False
        answer = _send(session, method, base, path, "", whom)
        if answer.status_code == 401 and (token := _token(whom)):
            answer = _send(session, method, base, path, token, whom)
    if answer.ok:
        return answer
    cure = f"; set {VARIABLE}" + ("" if whom.url else ", or name its --state-dir")
    hint = cure if answer.status_code == 401 else ""
    raise UsageError(f"the daemon refused ({answer.status_code}): {_said(answer)}{hint}")


def _send(
    session: requests.Session, method: str, base: str, path: str, token: str, whom: Whom
) -> requests.Response:
    try:
        return session.request(
            method,
            base.rstrip("/") + path,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_PATIENCE_SECONDS,
            verify=str(whom.ca_file) if whom.ca_file else True,
            allow_redirects=False,  # the token is for this host alone
        )
    except (requests.RequestException, OSError) as error:
        raise UsageError(
            f"no daemon answers at {redact_within(base)!r}: {_reason(error)}; see that it runs, "
            "or name another with --url"
        ) from error


def _directory(whom: Whom) -> Path:
    return state_directory(whom.config_file, os.environ, whom.state_dir)


def _token(whom: Whom) -> str:
    """Return the token to send; a state directory's is only for the URL that is noted there."""
    if whom.url and not os.environ.get(VARIABLE):
        return ""
    return read_token(_directory(whom), os.environ)


def _reason(error: Exception) -> str:
    """Return the innermost reason, which does not repeat the URL with what may be secret in it."""
    while error.__context__ is not None and isinstance(error.__context__, Exception):
        error = error.__context__
    return getattr(error, "strerror", None) or type(error).__name__


def _said(answer: requests.Response) -> str:
    try:
        said = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        said = answer.text[:200].strip() or answer.reason
    return str(said)


def _troubles(status: dict[str, Any]) -> list[str]:
    """Return what is wrong, a sentence each."""
    troubles = []
    if problem := status["settings"]["problem"]:
        troubles.append(f"settings refused, older ones are in force: {problem}")
    if not status["disk"]["writable"]:
        troubles.append(f"disk: {status['disk']['problem']}")
    troubles += status["disk"]["warnings"]
    for job in status["jobs"]:
        if job["problem"]:
            troubles.append(f"{job['name']}: {job['problem']}")
        elif job["failures_in_a_row"]:
            troubles.append(_failing(job))
        for kind in ("leak", "drift", "regression"):
            # A daemon that was not restarted since an update knows no newer verdicts.
            if (found := job.get(kind)) and found["verdict"] in _TROUBLE:
                troubles.append(_verdict(job, found))
    return troubles


def _notes(status: dict[str, Any]) -> list[str]:
    """Return what is worth knowing and no trouble: a busy host makes measurements void."""
    return [
        _verdict(job, found)
        for job in status["jobs"]
        if (found := job["validity"]) and found["verdict"] == "void"
    ]


def _verdict(job: dict[str, Any], found: dict[str, Any]) -> str:
    return ": ".join([job["name"], found["verdict"], *found["reasons"][:1]])


def _failing(job: dict[str, Any]) -> str:
    times, last = job["failures_in_a_row"], job["last_run"]
    why = f": {last['reason']}" if last and last["status"] == "failed" else ""
    return f"{job['name']}: failed {times} times in a row{why}"


def _print(status: dict[str, Any]) -> None:
    up = format_seconds(status["now"] - status["started_at"])
    click.echo(
        f"agentmem-observe {status['version']} on {status['host']}, up {up}, "
        f"{100 * status['process']['cpu_ratio']:.1f} % of a core, "
        f"{status['process']['rss_bytes'] / 2**20:.0f} MiB"
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "state", "last run", "runs", "validity", "leak", "history", "next"):
        table.add_column(heading)
    for job in status["jobs"]:
        last, due = job["last_run"], job["next_due_at"]
        table.add_row(
            job["name"],
            job["state"],
            f"{last['status']} {_clock(last['ended_at'])}" if last else "-",
            _counted(job["runs"]),
            job["validity"]["verdict"] if job["validity"] else "-",
            job["leak"]["verdict"] if job["leak"] else "-",
            found["verdict"] if (found := job.get("regression")) else "-",
            "-" if due is None else f"in {format_seconds(max(0.0, due - time.time()))}",
        )
    console = Console()
    console.print(table, highlight=False, markup=False)
    for line in _troubles(status) + _notes(status):
        click.echo(_wrapped(line, console.width) if console.is_terminal else line)


def _wrapped(line: str, width: int) -> str:
    """Return a line broken between words, so that one sees where the next begins."""
    return textwrap.fill(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _counted(runs: dict[str, int]) -> str:
    """Return how many runs there were since the start, in few letters: 80 columns are to do."""
    failed = f", {runs['failed']} failed" if runs["failed"] else ""
    return f"{runs['ok']} ok{failed}"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%H:%M:%S}"
