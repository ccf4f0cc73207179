"""Connections are bounded in number and in time, whatever clients do."""

import contextlib
import socket
import threading

import pytest

from agentmem_observe.daemon.web.connections import Door
from agentmem_observe.daemon.web.limits import Limits, Rate, TokenBuckets
from agentmem_observe.daemon.web.web_config import WebConfig
from agentmem_observe.telemetry.registry import MetricRegistry

GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
SHORT = 0.1
"""Seconds; tests wait for what happens then, not for a time to pass."""


def door(**limits) -> Door:
    return Door(Limits(**limits), WebConfig, MetricRegistry())


def test_a_silent_client_is_cut(serve):
    web = serve(limits=Limits(headers_seconds=SHORT))
    silent = web.connect()

    assert web.until_closed(silent) in (b"", b"[reset]")
    assert web.cuts("headers") == 1


@pytest.mark.parametrize("drip", [b"X", b"X: a\r\n"])
def test_headers_that_come_drop_by_drop_are_cut(serve, drip):
    web = serve(limits=Limits(headers_seconds=SHORT))
    slow = web.connect()
    slow.sendall(b"GET /metrics HTTP/1.1\r\n")

    sent = drop_by_drop(slow, drip)

    assert sent > 0
    assert web.cuts("headers") == 1
    assert web.ask("/metrics").status == 200


def drop_by_drop(connection: socket.socket, drip: bytes) -> int:
    """Send until the server ends the connection; return how many got through."""
    connection.settimeout(SHORT / 10)
    for sent in range(1000):
        try:
            connection.sendall(drip)
            if not connection.recv(65536):
                return sent
        except TimeoutError:
            continue
        except OSError:
            return sent
    return 0


def test_headers_that_are_begun_and_not_ended_are_told_so(serve):
    web = serve(limits=Limits(headers_seconds=SHORT))
    slow = web.connect()
    slow.sendall(b"GET /metrics HTTP/1.1\r\nHos")

    assert web.until_closed(slow).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_does_not_come_is_cut(serve):
    web = serve(limits=Limits(body_seconds=SHORT))
    slow = web.connect()
    slow.sendall(
        b"POST /api/v1/jobs/x/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        b"Authorization: Bearer the-token\r\n\r\nabc"
    )

    assert web.until_closed(slow).startswith(b"HTTP/1.1 408 ")
    assert web.cuts("body") == 1
    assert web.seen == []


def test_a_refused_body_that_does_not_end_is_cut(serve):
    web = serve(limits=Limits(body_seconds=SHORT))
    slow = web.connect()
    slow.sendall(
        b"POST /api/v1/jobs/x/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc"
    )

    assert web.until_closed(slow).startswith(b"HTTP/1.1 401 ")
    assert web.cuts("body") == 1


def test_an_answer_that_is_not_taken_is_cut(serve):
    web = serve(limits=Limits(answer_seconds=SHORT))
    deaf = web.connect()
    deaf.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")

    web.wait_for(lambda: web.cuts("answer") == 1)

    assert len(web.until_closed(deaf)) < 50_000_000
    assert web.ask("/metrics").status == 200


def test_an_answer_that_is_not_taken_is_cut_when_the_client_wants_to_close_too(serve):
    web = serve(limits=Limits(answer_seconds=SHORT))
    deaf = web.connect()
    deaf.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    web.wait_for(lambda: web.cuts("answer") == 1)


def test_asking_on_without_reading_does_not_help(serve):
    web = serve(limits=Limits(answer_seconds=SHORT))
    deaf = web.connect()
    deaf.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def ask_on() -> bool:
        with contextlib.suppress(OSError):
            deaf.send(GET)
        return web.cuts("answer") == 1

    web.wait_for(ask_on)


def test_a_connection_rests_between_requests_longer_than_its_headers_may_take(serve):
    web = serve(limits=Limits(headers_seconds=SHORT))
    scraper = web.connect()
    scraper.sendall(GET)
    assert web.status(scraper) == 200

    for _ in range(2):
        web.until_closed(web.connect())  # who came later is cut by now
    scraper.sendall(GET)

    assert web.status(scraper) == 200


def test_a_connection_that_rests_too_long_is_closed(serve):
    web = serve(limits=Limits(idle_seconds=0))
    connection = web.connect()
    connection.sendall(GET)

    assert web.until_closed(connection).startswith(b"HTTP/1.1 200 ")


def test_requests_behind_each_other_are_all_answered(serve):
    web = serve()

    answers = web.say(GET * 3 + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    assert answers.count(b"HTTP/1.1 200 ") == 4


def test_when_it_is_full_new_clients_are_told_and_the_old_ones_go_on(serve):
    web = serve(limits=Limits(connections=2))
    scraper, other = web.connect(), web.connect()
    scraper.sendall(GET)
    assert web.status(scraper) == 200

    refused = web.until_closed(web.connect())

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1\r\n" in refused
    assert web.cuts("connections") == 1
    scraper.sendall(GET)
    assert web.status(scraper) == 200
    other.close()
    web.wait_for(lambda: web.ask("/metrics").status == 200)


def test_one_client_cannot_take_the_places_of_all():
    entrance = door(connections=5, connections_per_client=2)

    mine = [entrance.enter("192.0.2.1") for _ in range(3)]

    assert mine == ["", "", "client_connections"]
    assert [entrance.enter(f"192.0.2.{n}") for n in (2, 3, 4, 5)] == ["", "", "", "connections"]
    entrance.leave("192.0.2.1")
    assert entrance.enter("192.0.2.1") == ""


def test_clients_of_this_machine_share_all_places():
    entrance = door(connections=5, connections_per_client=2)

    assert [entrance.enter("127.0.0.1") for _ in range(6)] == [""] * 5 + ["connections"]


def test_those_who_left_are_not_remembered():
    entrance = door()
    for number in range(300):
        entrance.enter(f"192.0.2.{number}")
        entrance.leave(f"192.0.2.{number}")

    assert len(entrance._inside) == 0


def test_buckets_of_clients_that_were_not_seen_for_long_make_room():
    buckets = TokenBuckets(Rate(per_second=1, burst=1), 10, lambda: 0.0)

    for number in range(100):
        buckets.take(str(number))

    assert len(buckets) == 10
    assert buckets.take("99") == 1
    assert buckets.take("0") == 0


def test_hundreds_of_clients_that_come_and_go_leave_nothing_behind(serve):
    web = serve(limits=Limits(headers_seconds=SHORT))
    before = threading.active_count()

    for _ in range(300):
        connection = socket.create_connection(web.address)
        connection.sendall(b"GET /metr")
        connection.close()

    state = web.server._server.server_state
    web.wait_for(lambda: not state.connections and not state.tasks)
    assert threading.active_count() <= before + 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"GET /metr",
        b"POST /api/v1/jobs/x/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        b"Authorization: Bearer the-token\r\n\r\nabc",
        b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n",
        GET,
    ],
    ids=["silent", "headers", "body", "answer", "resting"],
)
def test_the_server_ends_whatever_its_clients_are_at(serve, request_bytes, caplog):
    web = serve()
    web.connect().sendall(request_bytes)
    web.wait_for(lambda: web.server._server.server_state.connections)

    web.server.__exit__()

    assert "http" not in {thread.name for thread in threading.enumerate()}
    assert caplog.records == []
