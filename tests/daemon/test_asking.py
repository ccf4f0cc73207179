"""``daemon status`` and ``daemon run-now``, asked of a scripted daemon."""

import json
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.cli import main
from agentmem_observe.daemon.address import announce, announced
from agentmem_observe.daemon.controls import Asked
from agentmem_observe.daemon.token import VARIABLE, make_token, read_token
from agentmem_observe.errors import ConfigError
from agentmem_observe.telemetry.endpoint import HttpServer

TOKEN = "sixteen characters at least"


@pytest.fixture
def daemon(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """Run a verb of ``daemon`` where a daemon has announced itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, TOKEN)

    def ask(*arguments: str) -> tuple[int, str, str]:
        directory = tmp_path / "state"
        directory.mkdir(exist_ok=True)
        with announce(directory, url):
            code = main(["daemon", "--state-dir", "state", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return ask


def test_status_tells_of_every_job_and_ends_well_if_nothing_is_wrong(daemon: Any) -> None:
    code, out, err = daemon("status")

    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "agentmem-observe 0.1.0 on bench-03, up 24 h 01 min, 0.3 % of a core, 60 MiB"
    assert [line.split()[0] for line in lines[1:]] == ["job", "checkout", "nightly"]


def test_status_as_json_is_what_the_daemon_answers(daemon: Any, controls: Any) -> None:
    code, out, _ = daemon("status", "--json")

    assert code == 0
    assert json.loads(out) == controls.shown


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"leak": {"verdict": "leak", "reasons": ["it grows"]}}, "checkout: leak: it grows"),
        ({"drift": {"verdict": "slower", "reasons": ["p50 rose"]}}, "checkout: slower: p50 rose"),
        ({"problem": "redis is away"}, "checkout: redis is away"),
    ],
)
def test_what_is_wrong_with_a_job_is_told_and_ends_with_1(
    daemon: Any, controls: Any, change: dict[str, Any], told: str
) -> None:
    controls.shown["jobs"][0].update(change)

    code, out, _ = daemon("status")

    assert code == 1
    assert out.splitlines()[-1] == told


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("disk", {"writable": False, "problem": "no space left"}, "disk: no space left"),
        ("disk", {"warnings": ["moved aside"]}, "moved aside"),
        (
            "settings",
            {"problem": "daemon.toml: rate"},
            "settings refused, older ones are in force: daemon.toml: rate",
        ),
    ],
)
def test_what_is_wrong_with_the_daemon_is_told_and_ends_with_1(
    daemon: Any, controls: Any, part: str, change: dict[str, Any], told: str
) -> None:
    controls.shown[part].update(change)

    code, out, _ = daemon("status")

    assert code == 1
    assert out.splitlines()[-1] == told


def test_a_job_is_run_on_request(daemon: Any, controls: Any) -> None:
    code, out, _ = daemon("run-now", "nightly")

    assert code == 0
    assert controls.asked == ["nightly"]
    assert out.startswith("nightly runs as soon as the host is free")


@pytest.mark.parametrize(
    ("answer", "name", "told"),
    [
        (Asked.UNKNOWN, "nigthly", "(404): no job 'nigthly'; did you mean 'nightly'?"),
        (Asked.ALREADY, "nightly", "(409): job 'nightly' runs already"),
        (Asked.NOT_POSSIBLE, "checkout", "(409)"),
    ],
)
def test_what_the_daemon_refuses_is_an_error_with_its_reason(
    daemon: Any, controls: Any, answer: Asked, name: str, told: str
) -> None:
    controls.answer = answer

    code, out, err = daemon("run-now", name)

    assert (code, out) == (1, "")
    assert told in err


def test_a_daemon_that_is_not_there_is_named_with_the_cure(daemon: Any) -> None:
    with HttpServer(lambda scope, receive, send: None) as server:  # type: ignore[arg-type,return-value]  # never asked
        gone = server.url

    code, _, err = daemon("status", "--url", gone)

    assert code == 1
    assert err.startswith(f"Error: no daemon answers at '{gone}': Connection refused; see that")


def test_a_directory_without_a_daemon_is_named_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main(["daemon", "status", "--state-dir", "nowhere"])

    assert code == 1
    assert "no daemon runs on 'nowhere'; start one with agentmem-observe daemon" in (
        capsys.readouterr().err
    )


def test_the_note_of_a_daemon_goes_with_it_but_not_that_of_its_successor(tmp_path: Path) -> None:
    with announce(tmp_path, "http://127.0.0.1:1"):
        assert announced(tmp_path) == "http://127.0.0.1:1"
        (tmp_path / "endpoint.json").write_text('{"url": "http://127.0.0.1:2", "pid": 1}')

    assert announced(tmp_path) == "http://127.0.0.1:2"


def test_a_damaged_note_is_named(tmp_path: Path) -> None:
    (tmp_path / "endpoint.json").write_text("[]")

    with pytest.raises(ConfigError, match="not the note of a daemon"):
        announced(tmp_path)


def test_a_token_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    token = make_token(tmp_path, {})

    assert make_token(tmp_path, {}) == read_token(tmp_path, {}) == token
    assert len(token) > 30
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_the_environments_token_counts_more_and_is_not_written(tmp_path: Path) -> None:
    assert make_token(tmp_path, {VARIABLE: TOKEN}) == TOKEN
    assert not (tmp_path / "token").exists()


@pytest.mark.parametrize("source", ["environment", "file"])
def test_a_short_token_is_refused_without_being_shown(tmp_path: Path, source: str) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    environment = {VARIABLE: "hunter2"} if source == "environment" else {}

    with pytest.raises(ConfigError, match="has 7 characters") as refused:
        read_token(tmp_path, environment)

    assert "hunter2" not in str(refused.value)
