"""``daemon status`` and ``daemon run-now``, asked of a scripted daemon."""

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

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
    assert (
        lines[0] == "agentmem-observe 0.1.0 on bench-03, up 24 h 01 min, 0.3 % of a core, 60 MiB"
    )
    assert [line.split()[0] for line in lines[1:]] == ["job", "checkout", "nightly"]


def test_status_reads_what_a_daemon_of_an_older_version_says(daemon: Any, controls: Any) -> None:
    for job in controls.shown["jobs"]:
        del job["regression"]

    code, out, err = daemon("status")

    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 4


def test_status_as_json_is_what_the_daemon_answers(daemon: Any, controls: Any) -> None:
    code, out, _ = daemon("status", "--json")

    assert code == 0
    assert json.loads(out) == controls.shown


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"leak": {"verdict": "leak", "reasons": ["it grows"]}}, "checkout: leak: it grows"),
        ({"drift": {"verdict": "slower", "reasons": ["p50 rose"]}}, "checkout: slower: p50 rose"),
        (
            {"regression": {"verdict": "worse", "reasons": ["p50: worse, +31%"]}},
            "checkout: worse: p50: worse, +31%",
        ),
        ({"problem": "redis is away"}, "checkout: redis is away"),
        ({"problem": "redis is away", "failures_in_a_row": 2}, "checkout: redis is away"),
        ({"failures_in_a_row": 3}, "checkout: failed 3 times in a row"),
        (
            {
                "failures_in_a_row": 3,
                "last_run": {"status": "failed", "ended_at": 0.0, "reason": "lost"},
            },
            "checkout: failed 3 times in a row: lost",
        ),
    ],
)
def test_what_is_wrong_with_a_job_is_told_and_ends_with_1(
    daemon: Any, controls: Any, change: dict[str, Any], told: str
) -> None:
    controls.shown["jobs"][0].update(change)

    code, out, _ = daemon("status")

    assert code == 1
    assert out.splitlines()[-1] == told


def test_void_measurements_are_told_but_a_busy_host_is_no_trouble(
    daemon: Any, controls: Any
) -> None:
    void = {"verdict": "void", "reasons": ["others took the CPU"]}
    controls.shown["jobs"][0]["validity"] = void

    code, out, _ = daemon("status")

    assert code == 0
    assert out.splitlines()[-1] == "checkout: void: others took the CPU"


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


@pytest.fixture
def strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Have a server that wants a token, and a state directory with one, but no variable."""
    given: list[str | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        given.append(Headers(scope=scope).get("authorization"))
        await JSONResponse({"error": "the token is needed"}, 401)(scope, receive, send)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "token").write_text(TOKEN)
    with HttpServer(app) as server:
        yield SimpleNamespace(url=server.url, given=given)


def test_the_token_is_sent_only_where_it_is_asked_for(
    strict: Any, tmp_path: Path, capsys: Any
) -> None:
    with announce(tmp_path, strict.url):
        code = main(["daemon", "status", "--state-dir", "."])

    assert code == 1
    assert strict.given == [None, f"Bearer {TOKEN}"]
    assert f"set {VARIABLE}, or name its --state-dir" in capsys.readouterr().err


def test_the_token_of_a_state_directory_goes_to_no_other_url(
    strict: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    main(["daemon", "run-now", "nightly", "--state-dir", ".", "--url", strict.url])
    monkeypatch.setenv(VARIABLE, "another, of sixteen characters")
    main(["daemon", "run-now", "nightly", "--state-dir", ".", "--url", strict.url])

    assert strict.given == [None, None, "Bearer another, of sixteen characters"]
    assert "--state-dir" not in capsys.readouterr().err


def test_no_proxy_gets_to_see_what_is_for_the_daemon(
    daemon: Any, strict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, strict.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    code, _, _ = daemon("run-now", "nightly")

    assert (code, strict.given) == (0, [])


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


def test_a_note_that_cannot_be_deleted_is_told_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)

    with announce(tmp_path, "http://127.0.0.1:1"):
        pass

    assert "endpoint.json: cannot be deleted: Read-only file system" in caplog.text


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
