"""The endpoint answers scrapers as HTTP wants it, and comes and goes without a trace."""

import gzip
import http.client
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from agentmem_observe.errors import UsageError
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.endpoint import (
    HttpServer,
    MetricsEndpoint,
    Serving,
    quiet_config,
)
from agentmem_observe.telemetry.own_process import available_bytes, watch_own_process
from agentmem_observe.telemetry.prometheus import Format, encode
from agentmem_observe.telemetry.registry import MetricRegistry

PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)


@pytest.fixture
def registry() -> MetricRegistry:
    registry = MetricRegistry(now=lambda: 5.0)
    registry.set(catalog.MEMORY_RECORDS, {"target": "fake", "tier": "stm"}, 42)
    return registry


@pytest.fixture
def endpoint(registry) -> Iterator[MetricsEndpoint]:
    with MetricsEndpoint(registry) as endpoint:
        yield endpoint


def ask(endpoint, method="GET", path="/metrics", **headers):
    """Return the status, the headers and the body of an answer."""
    connection = http.client.HTTPConnection(urlsplit(endpoint.url).netloc, timeout=10)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=names)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def value(registry: MetricRegistry, metric: catalog.Metric) -> float:
    (family,) = [each for each in registry.collect() if each.metric is metric]
    return family.samples[0].value


def skip_without(host: str) -> None:
    """Skip a test where this machine has no addresses of version 6, if it is one."""
    try:
        if ":" in host:
            socket.create_server((host, 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("*/*", Format.TEXT),
        ("application/openmetrics-text;version=1.0.0", Format.OPENMETRICS),
        (PROTOBUF, Format.PROTOBUF),
    ],
)
def test_a_page_comes_in_the_format_that_is_asked_for(endpoint, registry, accept, format):
    before = registry.collect()

    status, headers, body = ask(endpoint, accept=accept)

    assert status == 200
    assert headers["content-type"] == format.value
    assert headers["content-encoding"] is None
    assert body == encode(before, format)


def test_a_page_is_compressed_for_those_who_take_it(endpoint, registry):
    before = registry.collect()

    _, headers, body = ask(endpoint, accept_encoding="gzip")

    assert headers["content-encoding"] == "gzip"
    assert {"Accept", "Accept-Encoding"} <= set(headers["vary"].split(", "))
    assert gzip.decompress(body) == encode(before, Format.TEXT)


def test_a_head_has_everything_but_the_page(endpoint):
    status, headers, body = ask(endpoint, "HEAD")

    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 100


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_told_which_ones_there_are(endpoint, registry, method):
    status, headers, _ = ask(endpoint, method)

    assert status == 405
    assert set(headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert value(registry, catalog.EXPORTER_SCRAPES) == 0


def test_the_home_page_leads_to_the_metrics(endpoint):
    status, headers, body = ask(endpoint, path="/")

    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert b"href=/metrics" in body


def test_other_paths_are_not_found(endpoint):
    assert ask(endpoint, path="/secrets")[0] == 404


def test_scrapes_are_counted_from_zero_with_their_cpu_time(endpoint, registry):
    assert value(registry, catalog.EXPORTER_SCRAPES) == 0

    for _ in range(3):
        ask(endpoint)

    assert value(registry, catalog.EXPORTER_SCRAPES) == 3
    assert 0 < value(registry, catalog.EXPORTER_SCRAPE_CPU) < 3


def test_several_scrapes_at_once_all_get_whole_pages(endpoint, registry):
    pages = []
    scrapers = [threading.Thread(target=lambda: pages.append(ask(endpoint))) for _ in range(8)]

    for scraper in scrapers:
        scraper.start()
    for scraper in scrapers:
        scraper.join()

    assert [status for status, _, _ in pages] == [200] * 8
    assert all(b'agentmem_memory_records{target="fake",tier="stm"} 42.0' in p[2] for p in pages)
    assert value(registry, catalog.EXPORTER_SCRAPES) == 8


def test_the_server_ends_with_the_block_whatever_clients_do(registry):
    threads = set(threading.enumerate())

    with MetricsEndpoint(registry) as endpoint:
        address = urlsplit(endpoint.url).hostname, urlsplit(endpoint.url).port
        kept_alive = http.client.HTTPConnection(*address, timeout=10)
        kept_alive.request("GET", "/metrics")
        kept_alive.getresponse().read()
        silent = socket.create_connection(address)
        halfway = socket.create_connection(address)
        halfway.sendall(b"GET /metrics HTTP/1.1\r\nHos")

    assert [
        thread for thread in set(threading.enumerate()) - threads if thread.name == "http"
    ] == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    kept_alive.close()
    silent.close()
    halfway.close()


def test_a_block_that_ends_at_once_ends_the_server_too(registry):
    with MetricsEndpoint(registry) as endpoint:
        pass

    with pytest.raises(ConnectionRefusedError):
        ask(endpoint)


def test_an_address_can_be_served_again(registry):
    with MetricsEndpoint(registry) as first:
        ask(first)

    with MetricsEndpoint(registry, port=urlsplit(first.url).port) as second:
        assert second.url == first.url
        assert ask(second)[0] == 200


def test_signals_stay_with_those_who_handle_them(registry):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    with MetricsEndpoint(registry) as endpoint:
        ask(endpoint)
        during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    assert during == before


def test_nothing_is_logged_about_a_scrape(registry, caplog):
    caplog.set_level(0)

    with MetricsEndpoint(registry) as endpoint:
        ask(endpoint)

    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_a_port_in_use_is_named(endpoint, registry):
    port = urlsplit(endpoint.url).port
    message = rf"cannot serve on 127\.0\.0\.1:{port}: .*in use.*; choose"

    with pytest.raises(UsageError, match=message), MetricsEndpoint(registry, port=port):
        pass


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_refused(registry, port):
    message = rf"cannot serve on 127\.0\.0\.1:{port}: a port is from"

    with pytest.raises(UsageError, match=message), MetricsEndpoint(registry, port=port):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "", "::1.example"])
def test_addresses_that_others_can_reach_are_refused(registry, host):
    with pytest.raises(UsageError, match=r"cannot serve on .* use 127\.0\.0\.1"):
        MetricsEndpoint(registry, host)


def test_localhost_is_this_machine(registry):
    with MetricsEndpoint(registry, "localhost") as endpoint:
        assert ask(endpoint)[0] == 200


def test_an_address_of_version_6_is_written_in_brackets(registry):
    skip_without("::1")

    with MetricsEndpoint(registry, "::1") as endpoint:
        assert endpoint.url.startswith("http://[::1]:")
        assert ask(endpoint)[0] == 200


@pytest.mark.parametrize(
    ("host", "local"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("127.0.0.1", "127.0.0.1")]
)
def test_where_all_addresses_are_served_this_machine_is_told_one_it_reaches(host, local):
    skip_without(host)

    with Serving(quiet_config(Starlette()), host, 0) as serving:
        port = urlsplit(serving.url).port
        socket.create_connection((local.strip("[]"), port)).close()

    assert serving.local_url == f"http://{local}:{port}"


def test_any_application_can_be_served():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    with HttpServer(app) as server:
        assert ask(server)[0] == 204


def test_the_exporter_says_what_it_takes_itself_and_its_counter_never_falls(registry):
    clock = iter([1.5, 3.0, 2.5, 4.0])
    watch_own_process(registry, lambda: next(clock), lambda: 7_000_000)

    seen = []
    for _ in range(4):
        families = {family.metric: family.samples[0].value for family in registry.collect()}
        seen.append((families[catalog.EXPORTER_CPU], families[catalog.EXPORTER_RSS]))

    assert [cpu for cpu, _ in seen] == [1.5, 3.0, 3.0, 4.0]
    assert {rss for _, rss in seen} == {7_000_000}


@pytest.mark.parametrize(
    ("limit", "left"), [("1000\n", 630), ("max\n", 5_000), ("300\n", 0), (None, 5_000)]
)
def test_what_is_left_is_the_least_of_host_and_control_group(tmp_path, limit, left):
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("400\n")
    (tmp_path / "memory.stat").write_text("anon 370\nactive_file 10\ninactive_file 20\n")

    assert available_bytes(lambda: 5_000, tmp_path) == left


def test_the_exporter_reads_its_own_process(registry):
    watch_own_process(registry)

    assert value(registry, catalog.EXPORTER_RSS) > 1_000_000
    assert 0 < value(registry, catalog.EXPORTER_CPU) <= value(registry, catalog.EXPORTER_CPU)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
def test_who_asks_waits_for_whatever_else_this_process_does():
    def priority(request):
        return PlainTextResponse(str(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))

    async def priority_of_the_loop(request):
        return priority(request)

    before = os.getpriority(os.PRIO_PROCESS, 0)
    routes = [Route("/thread", priority), Route("/loop", priority_of_the_loop)]
    with HttpServer(Starlette(routes=routes)) as server:
        answers = [ask(server, path=path)[2] for path in ("/thread", "/loop")]

    assert [int(answer) for answer in answers] == [max(10, before)] * 2
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_many_who_ask_at_once_take_turns():
    together = threading.Barrier(4, timeout=10)
    seen = set()

    def answer(request):
        together.wait()
        seen.add(threading.get_ident())
        return PlainTextResponse("")

    with (
        HttpServer(Starlette(routes=[Route("/", answer)])) as server,
        ThreadPoolExecutor(12) as clients,
    ):
        statuses = list(clients.map(lambda _: ask(server, path="/")[0], range(12)))

    assert statuses == [200] * 12
    assert len(seen) == 4
