"""What a Grafana gets, and what is said, and never said, when it does not take it."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agentmem_observe.dashboards.build import dashboards
from agentmem_observe.dashboards.push import push
from agentmem_observe.errors import ExportError, UsageError

TOKEN = "glsa_a-secret"
BOARDS = {"one": {"uid": "one", "title": "One"}, "two": {"uid": "two", "title": "Two"}}


class Grafana:
    """Answers as it is told to.

    Attributes:
        url: Where.
        requests: Path, headers and body of each request.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []


Start = Callable[..., Grafana]


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[ThreadingHTTPServer] = []

    def start(status: int = 200, answer: str = "", location: str = "") -> Grafana:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                grafana.requests.append((self.path, dict(self.headers), body))
                uid = body["dashboard"]["uid"]
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                said = answer or json.dumps({"uid": uid, "url": f"/d/{uid}/x", "version": 2})
                self.wfile.write(said.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        grafana = Grafana(server)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        servers.append(server)
        return grafana

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_each_dashboard_replaces_the_one_of_its_uid(start: Start) -> None:
    grafana = start()

    places = list(push(BOARDS, f"{grafana.url}/", TOKEN, folder_uid="memory", message="by hand"))

    assert places == [f"{grafana.url}/d/one/x", f"{grafana.url}/d/two/x"]
    path, headers, body = grafana.requests[0]
    assert path == "/api/dashboards/db"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert body == {
        "dashboard": {"uid": "one", "title": "One", "id": None},
        "folderUid": "memory",
        "message": "by hand",
        "overwrite": True,
    }


def test_a_grafana_below_a_path_has_that_path_in_its_answers(start: Start) -> None:
    grafana = start(answer='{"url": "/grafana/d/one/x"}')

    places = list(push({"one": BOARDS["one"]}, f"{grafana.url}/grafana", TOKEN))

    assert places == [f"{grafana.url}/grafana/d/one/x"]


def test_the_token_is_sent_even_if_netrc_knows_the_host(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    grafana = start()

    list(push(BOARDS, grafana.url, TOKEN))

    assert grafana.requests[0][1]["Authorization"] == f"Bearer {TOKEN}"


def test_all_of_ours_are_sent(start: Start) -> None:
    grafana = start()

    list(push(dashboards(), grafana.url, TOKEN))

    assert [body["dashboard"]["uid"] for _, _, body in grafana.requests] == list(dashboards())


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (401, '{"message":"Invalid API key"}', "HTTP 401, it says 'Invalid API key'; it does not"),
        (403, '{"message":"Access denied"}', "HTTP 403, it says 'Access denied'; the token may"),
        (404, '{"message":"folder not found"}', "HTTP 404, it says 'folder not found'; there is"),
        (412, '{"status":"version-mismatch","message":"x"}', "HTTP 412, it says 'x'; somebody"),
        (400, '{"message":"bad"}', "HTTP 400, it says 'bad'; this Grafana does not take"),
        (200, "<html>Welcome</html>", "HTTP 200, it says '<html>Welcome</html>'; is it the base"),
        (200, "[]", "HTTP 200"),
        (500, "", "HTTP 500"),
    ],
)
def test_what_a_grafana_does_not_take_is_named_with_a_cure(
    start: Start, status: int, answer: str, says: str
) -> None:
    grafana = start(status, answer)

    with pytest.raises(ExportError) as raised:
        list(push(BOARDS, grafana.url, TOKEN))

    assert f"{grafana.url}: did not take one: {says}" in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert len(grafana.requests) == 1


def test_the_token_follows_no_redirect(start: Start) -> None:
    elsewhere = start()
    grafana = start(302, "moved", location=f"{elsewhere.url}/api/dashboards/db")

    with pytest.raises(ExportError, match="HTTP 302"):
        list(push(BOARDS, grafana.url, TOKEN))

    assert elsewhere.requests == []


def test_a_grafana_that_is_not_there_is_named(start: Start) -> None:
    with pytest.raises(ExportError, match="cannot be reached for one") as raised:
        list(push(BOARDS, "http://127.0.0.1:1", TOKEN))

    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("url", ["grafana:3000", "ftp://grafana", "", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is no URL of a Grafana"):
        list(push(BOARDS, url, TOKEN))


def test_a_user_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as raised:
        list(push(BOARDS, "http://admin:hush@grafana:3000", TOKEN))

    assert "hush" not in str(raised.value)
