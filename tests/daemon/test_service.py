"""What the daemon does besides its jobs: settings read again, and what they can do to it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.cli import main
from agentmem_observe.daemon import service
from agentmem_observe.daemon.api import daemon_app
from agentmem_observe.daemon.jobs.loop import Services
from agentmem_observe.daemon.service import Daemon
from agentmem_observe.daemon.settings.values import Settings, WebSettings
from agentmem_observe.daemon.state.directory import State
from agentmem_observe.daemon.state.rows import WindowRow
from agentmem_observe.daemon.web.server import WebOptions, WebServer
from agentmem_observe.errors import ExportError, UsageError
from agentmem_observe.telemetry.registry import MetricRegistry
from agentmem_observe.telemetry.runs import RunMetrics

DAYS = 86_400.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    web = WebSettings("127.0.0.1", 0, None, insecure=False)
    return Settings(tmp_path, 1.0, 15 * DAYS, None, web, jobs=(), file=None)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def daemon_of(settings: Settings, said: list[str], tmp_path: Path) -> Any:
    """Make a daemon without jobs that reads its settings by a function."""

    def say(event: str, message: str, *, level: int = 0, **fields: Any) -> None:
        said.append(message)

    with State.open(tmp_path) as state:
        for day in range(20):
            at = DAYS * (1000 + day)
            state.save_window(WindowRow("soak", "life", day, at, at, {}))
        services = Services(RunMetrics(MetricRegistry()), state, say)

        def make(load: Callable[[], Settings]) -> Daemon:
            return Daemon(settings, services, load)

        make.state = state  # type: ignore[attr-defined]  # for tests to look at
        yield make


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UsageError("no such suite"), "no such suite"),
        (PermissionError(13, "Permission denied", "su"), "PermissionError: [Errno 13]"),
        (ValueError("embedded null byte"), "ValueError: embedded null byte"),
        (ValueError("redis://me:hunter2@h/0"), "ValueError: redis://"),
    ],
)
def test_settings_that_cannot_be_read_are_refused_whatever_goes_wrong(
    daemon_of: Any, said: list[str], error: Exception, told: str
) -> None:
    def load() -> Settings:
        raise error

    daemon = daemon_of(load)

    problem = daemon.reload()

    assert problem.startswith(told)
    assert "hunter2" not in problem
    assert daemon.status()["settings"]["problem"] == problem
    assert said == [f"{problem}\nThe settings were not changed."]


def test_what_takes_a_restart_is_refused(daemon_of: Any, settings: Settings) -> None:
    daemon = daemon_of(lambda: replace(settings, state_dir=Path("elsewhere")))

    assert "state_dir cannot change while the daemon runs; restart it" in daemon.reload()


def test_a_clock_that_leaps_a_year_ahead_deletes_no_more_than_a_day_at_each_look(
    daemon_of: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = daemon_of(lambda: settings)
    monkeypatch.setattr(service.time, "time", lambda: 1400 * DAYS)

    left = []
    for _ in range(3):
        daemon._prune()
        left.append(len(daemon_of.state.windows("soak")))

    assert left == [15, 14, 13]


def test_a_daemon_whose_server_has_died_ends_with_an_error(
    daemon_of: Any, settings: Settings, said: list[str]
) -> None:
    daemon = daemon_of(lambda: settings)
    app = daemon_app(daemon, MetricRegistry())
    with WebServer(app, MetricRegistry(), WebOptions(token="x" * 16)) as server:
        daemon.serve_with(server)
        daemon._look_after()
        server._server.stop()
        server._thread.join()

        with pytest.raises(ExportError, match="the thread that serves HTTP has died"):
            daemon._look_after()

    assert said == ["the thread that serves HTTP has died; start the daemon again"]


@pytest.mark.parametrize(
    ("further", "code"), [([], 1), (["--web.insecure"], 0)], ids=["unchecked", "insecure"]
)
def test_a_check_refuses_an_address_that_the_daemon_would_not_serve_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, further: list[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = main(["daemon", "--check-config", "--web.listen-address", "0.0.0.0:9464", *further])

    assert ended == code
    assert ("cannot serve on '0.0.0.0'" in capsys.readouterr().err) == bool(code)
    assert list(tmp_path.iterdir()) == []


def test_a_check_refuses_all_targets_that_cannot_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def make():\n    raise ValueError('no API key')\n")
    (tmp_path / "daemon.toml").write_text(
        '[jobs.good]\nsoak = true\ntarget = "embedded"\n'
        '[jobs.torn]\nsoak = true\ntarget = "mine:make"\n'
        '[jobs.away]\nsoak = true\ntarget = "not_there:make"\n'
    )

    ended = main(["daemon", "--config", "daemon.toml", "--check-config"])

    first, second, *rest = capsys.readouterr().err.splitlines()
    assert ended == 1
    assert "daemon.toml: jobs.torn: " in first
    assert "no API key" in first
    assert "daemon.toml: jobs.away: " in second
    assert rest == []
