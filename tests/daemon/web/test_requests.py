"""What is no decent request is refused, cheaply, and the next one is answered."""

import http.client
import threading

import pytest

from agentmem_observe.daemon.web.limits import Limits, Rate
from agentmem_observe.telemetry import catalog

BEARER = "Bearer the-token"
RUN = "/api/v1/jobs/x/run"
GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
POST = (
    b"POST /api/v1/jobs/x/run HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer the-token\r\n"
)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="tls"),
        pytest.param(b"\x00" * 100 + b"\r\n\r\n", 400, id="nul"),
        pytest.param(b"hello\r\n\r\n", 400, id="one word"),
        pytest.param(b"GET /\r\n\r\n", 400, id="no version"),
        pytest.param(b"GET /metrics HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(GET + b"Host: localhost\r\n\r\n", 400, id="two hosts"),
        pytest.param(GET + b"X: a\x00b\r\n\r\n", 400, id="nul in a header"),
        pytest.param(GET + b"X : a\r\n\r\n", 400, id="space before the colon"),
        pytest.param(b"GET /a\x00b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, id="nul in a path"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, id="path not ascii"),
        pytest.param(GET + b"Content-Length: 1, 2\r\n\r\n", 400, id="two lengths"),
        pytest.param(GET + b"Content-Length: -1\r\n\r\n", 400, id="negative length"),
        pytest.param(GET + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400, id="30 digits"),
        pytest.param(POST + b"Transfer-Encoding: gzip\r\n\r\n", 400, id="other encoding"),
        pytest.param(
            POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            id="length and encoding",
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\nzzz\r\nabc\r\n", 400, id="chunk nonsense"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n", 400, id="chunk too long"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
            400,
            id="chunk nonsense of a stranger",
        ),
        pytest.param(GET + b"X: " + b"a" * 20_000 + b"\r\n\r\n", 431, id="long header"),
        pytest.param(GET + b"X: a\r\n" * 150 + b"\r\n", 431, id="many headers"),
        pytest.param(
            b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431, id="long path"
        ),
        pytest.param(GET + b"X: " + b"a" * 300_000, 400, id="header without end"),
        pytest.param(b"a" * 300_000, 400, id="line without end"),
        pytest.param(
            b"GET http://localhost/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, id="absolute"
        ),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, id="asterisk"),
        pytest.param(
            b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, id="connect"
        ),
        pytest.param(b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, id="trace"),
        pytest.param(b"DELETE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, id="delete"),
        pytest.param(POST + b"Content-Length: 65537\r\n\r\n", 413, id="long body"),
    ],
)
def test_nonsense_is_refused_and_the_next_client_is_answered(serve, request_bytes, status, caplog):
    web = serve(limits=Limits(headers_seconds=0.2, body_seconds=0.2))

    answer = web.say(request_bytes.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))

    assert answer == b"[reset]" or answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert web.ask("/metrics").status == 200
    assert web.seen == []
    assert caplog.records == []


def test_what_is_not_http_is_counted_apart(serve):
    web = serve()

    web.say(b"hello\r\n\r\n")

    assert web.answers(400, "malformed") == 1


def test_nonsense_after_the_answer_ends_the_connection_without_a_word(serve, caplog):
    web = serve()
    connection = web.connect()
    post = b"POST /api/v1/jobs/x/run HTTP/1.1\r\nHost: localhost\r\n"
    connection.sendall(post + b"Transfer-Encoding: chunked\r\n\r\n")
    first = connection.recv(65536)

    connection.sendall(b"no chunk\r\n")

    rest = web.until_closed(connection)
    assert first.startswith(b"HTTP/1.1 401 ")
    assert b"HTTP/1.1" not in rest
    assert caplog.records == []


@pytest.mark.parametrize(
    "path",
    [
        "/../etc/passwd",
        "/api/v1/../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/%2E%2E%2Fetc/passwd",
        "/..%5c..%5cetc",
        "/./metrics",
        "/metrics%00.css",
        "/metrics%0d%0aX-A:b",
        "/%c3%28/..%2f",
    ],
)
def test_no_path_climbs(serve, path):
    web = serve()

    assert web.ask(path).status == 400


@pytest.mark.parametrize("path", ["/%252e%252e/etc/passwd", "/metrics/..%25", "//metrics"])
def test_other_odd_paths_are_not_found(serve, path):
    assert serve().ask(path).status == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:9464", 200),
        ("127.1.2.3", 200),
        ("[::1]:9464", 200),
        ("metrics.example:80", 421),
        ("", 421),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("evil.example:127.0.0.1", 421),
        ("localhost@evil.example", 421),
        ("192.0.2.1", 421),
        ("0.0.0.0", 421),
        ("[::1", 421),
        ("::1", 421),
    ],
)
def test_on_loopback_only_its_names_are_served(serve, host, status):
    web = serve()

    assert web.ask("/metrics", host=host).status == status


def test_where_others_may_come_any_name_is_served(serve):
    web = serve(host="0.0.0.0", insecure=True)

    assert web.ask("/metrics", host="evil.example").status == 200


def test_a_body_up_to_the_limit_gets_through_and_a_longer_one_does_not(serve):
    web = serve(limits=Limits(body_bytes=1000))
    chunks = [b"x" * 600, b"x" * 600]

    assert web.ask(RUN, "POST", b"x" * 1000, authorization=BEARER).status == 200
    assert web.ask(RUN, "POST", iter(chunks[:1]), authorization=BEARER).status == 200
    assert web.ask(RUN, "POST", b"x" * 1001, authorization=BEARER).status == 413
    assert web.ask(RUN, "POST", iter(chunks), authorization=BEARER).status == 413
    assert [len(body) for _, body in web.seen] == [1000, 600]


def test_the_body_of_a_stranger_is_not_asked_for(serve):
    web = serve()

    answer = web.say(
        b"POST /api/v1/jobs/x/run HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 401 ")


def test_every_answer_is_protected_and_says_nothing_of_the_server(serve):
    web = serve()

    for path in ("/metrics", "/nowhere", "/../", "/api/v1/jobs"):
        headers = web.ask(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["server"] is None
        assert headers["strict-transport-security"] is None


def test_the_application_says_what_may_be_kept(serve):
    headers = serve().ask("/page.css").headers

    assert headers["cache-control"] == "max-age=60"
    assert headers.get_all("x-frame-options") == ["deny"]


def test_configured_headers_take_the_place_of_ours(serve, tmp_path):
    file = tmp_path / "web.yml"
    file.write_text(
        "http_server_config: {headers: {X-Frame-Options: sameorigin, "
        "Content-Security-Policy: '', Strict-Transport-Security: max-age=1}}"
    )

    headers = serve(config_file=file).ask("/metrics").headers

    assert headers.get_all("x-frame-options") == ["sameorigin"]
    assert headers["content-security-policy"] is None
    assert headers["strict-transport-security"] == "max-age=1"


@pytest.mark.parametrize("path", ["/api/v1/jobs/x/run", "/-/reload"])
def test_scripts_are_refused_in_json_and_people_in_words(serve, path):
    web = serve()

    assert web.ask(path, "POST").body == b'{"error":"the token is needed"}'
    assert web.ask("/metrics", "POST").body == b"the token is needed\n"


def test_requests_are_counted_by_route_not_by_path(serve):
    web = serve()

    for path in ("/api/v1/jobs/a", "/api/v1/jobs/b", "/x", "/y"):
        web.ask(path)

    assert web.answers(200, "/api/v1/jobs/{name}") == 2
    assert web.answers(404, "other") == 2


def test_a_client_that_leaves_before_its_body_is_counted_too(serve):
    web = serve()
    connection = web.connect()
    connection.sendall(POST + b"Content-Length: 9\r\n\r\nabc")

    connection.close()

    web.wait_for(lambda: web.answers(499, "/api/v1/jobs/{name}/run") == 1)
    assert web.seen == []


def test_who_asks_too_often_waits_and_other_routes_go_on(serve):
    now = [0.0]
    limits = Limits(requests=Rate(per_second=0.5, burst=2), refusal_seconds=0)
    web = serve(limits=limits, clock=lambda: now[0])

    answers = [web.ask("/metrics") for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["retry-after"] == "2"
    assert web.count(catalog.EXPORTER_SCRAPES) == 2
    assert web.ask("/healthz").status == 200
    now[0] = 2.0
    assert web.ask("/metrics").status == 200


def test_strangers_do_not_use_up_what_a_client_may_ask_for(serve, users):
    limits = Limits(requests=Rate(per_second=0.01, burst=2), refusal_seconds=0)
    web = serve(config_file=users, limits=limits)

    refused = [web.ask("/metrics").status for _ in range(3)]

    assert refused == [401, 401, 429]
    assert web.ask("/metrics", authorization=BEARER).status == 200


def test_the_rate_of_the_configuration_holds_for_all_together(serve, tmp_path):
    file = tmp_path / "web.yml"
    file.write_text("rate_limit: {interval: 1h, burst: 2}")
    web = serve(config_file=file, limits=Limits(refusal_seconds=0))

    statuses = [web.ask(path).status for path in ("/metrics", "/healthz", "/readyz")]

    assert statuses == [200, 200, 429]


def test_fifty_scrapers_at_once_all_get_whole_pages(serve):
    web = serve()
    pages = []

    def scrape():
        connection = http.client.HTTPConnection(*web.address, timeout=60)
        for _ in range(2):
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            pages.append((response.status, response.read()[-1:]))
        connection.close()

    scrapers = [threading.Thread(target=scrape) for _ in range(50)]
    for scraper in scrapers:
        scraper.start()
    for scraper in scrapers:
        scraper.join()

    assert pages == [(200, b"\n")] * 100
    assert web.count(catalog.EXPORTER_SCRAPES) == 100
