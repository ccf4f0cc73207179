"""Who may read and who may write, and what becomes of those who try too often."""

import asyncio
import threading

import pytest

from agentmem_observe.daemon.web import credentials
from agentmem_observe.daemon.web.limits import Limits, Rate
from agentmem_observe.errors import UsageError
from agentmem_observe.telemetry import catalog

TOKEN, PASSWORD = "the-token", "s3cret"
BEARER = f"Bearer {TOKEN}"
RUN = "/api/v1/jobs/x/run"


def basic(user: str = "alice", password: str = PASSWORD) -> str:
    return credentials_header(f"{user}:{password}".encode())


def credentials_header(pair: bytes) -> str:
    return "Basic " + credentials.base64.b64encode(pair).decode()


@pytest.fixture
def hashed(monkeypatch) -> list[bytes]:
    """Return the passwords that were hashed, in order."""
    seen: list[bytes] = []
    check = credentials.bcrypt.checkpw

    def note(password, hash):
        seen.append(password)
        return check(password, hash)

    monkeypatch.setattr(credentials.bcrypt, "checkpw", note)
    return seen


ALICE = basic()


@pytest.mark.parametrize(
    ("header", "read", "write"),
    [
        (None, 401, 401),
        (ALICE, 200, 401),
        (ALICE.replace("Basic", "bASIC"), 200, 401),
        (BEARER, 200, 200),
        (BEARER.replace("Bearer", "bearer"), 200, 200),
        (basic(password="wrong"), 401, 401),
        (basic(password=""), 401, 401),
        (basic(password=PASSWORD + "\0"), 401, 401),
        (basic(password=PASSWORD + "x" * 100), 401, 401),
        (basic(user="bob"), 401, 401),
        (basic(user=""), 401, 401),
        (credentials_header(b"alice"), 401, 401),
        (credentials_header(b"\xff:\xff"), 401, 401),
        ("Basic !!!", 401, 401),
        ("Basic", 401, 401),
        ("Bearer", 401, 401),
        ("Bearer the-toke", 401, 401),
        ("Bearer the-token2", 401, 401),
        ("Digest username=alice", 401, 401),
        (f"Basic {TOKEN}", 401, 401),
    ],
)
def test_passwords_read_and_the_token_writes_too(serve, users, header, read, write):
    web = serve(config_file=users)
    headers = {"authorization": header} if header else {}

    assert web.ask("/api/v1/jobs", **headers).status == read
    assert web.ask("/metrics", **headers).status == read
    assert web.ask(RUN, "POST", **headers).status == write


@pytest.mark.parametrize(("header", "write"), [(None, 401), (ALICE, 401), (BEARER, 200)])
def test_without_users_all_may_read_and_writing_still_takes_the_token(serve, header, write):
    web = serve()
    headers = {"authorization": header} if header else {}

    assert web.ask("/api/v1/jobs", **headers).status == 200
    assert web.ask(RUN, "POST", b"{}", **headers).status == write
    assert web.seen == [("/api/v1/jobs", b"")] + [(RUN, b"{}")] * (write == 200)


def test_an_empty_token_lets_nobody_write(serve):
    web = serve(token="")

    assert web.ask(RUN, "POST", authorization="Bearer ").status == 401
    assert web.ask(RUN, "POST", authorization="Bearer").status == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told_without_credentials(serve, users, path):
    web = serve(config_file=users)

    assert web.ask(path).status == 200
    assert web.ask(path, "POST").status == 401


def test_who_is_refused_learns_what_is_wanted(serve, users):
    web = serve(config_file=users)

    read, write = web.ask("/metrics"), web.ask(RUN, "POST", authorization=ALICE)

    assert read.headers["www-authenticate"].startswith("Basic realm=")
    assert b"password" in read.body
    assert write.headers["www-authenticate"] == "Bearer"
    assert write.body == b'{"error":"the token is needed"}'
    assert web.seen == []


def test_a_password_is_hashed_once_however_often_it_comes(serve, users, hashed):
    web = serve(config_file=users)

    for password in (PASSWORD, "wrong", PASSWORD, "wrong"):
        web.ask("/metrics", authorization=basic(password=password))

    assert hashed == [PASSWORD.encode(), b"wrong"]


def test_many_who_come_at_once_with_one_password_cost_one_hash(serve, users, hashed):
    web = serve(config_file=users, limits=Limits(failures=Rate(0.001, 100)))
    statuses = []
    clients = [
        threading.Thread(
            target=lambda: statuses.append(web.ask("/metrics", authorization=ALICE).status)
        )
        for _ in range(20)
    ]

    for client in clients:
        client.start()
    for client in clients:
        client.join()

    assert statuses == [200] * 20
    assert len(hashed) == 1


def test_the_same_password_is_hashed_by_one_while_others_wait(password_hash, hashed):
    passwords = credentials.Passwords()
    given = credentials.credentials_of(ALICE.encode())

    async def all_at_once() -> list[bool]:
        checks = [passwords.check({"alice": password_hash}, given) for _ in range(5)]
        return await asyncio.gather(*checks)

    assert asyncio.run(all_at_once()) == [True] * 5
    assert len(hashed) == 1


def test_a_name_that_nobody_has_is_wrong_whatever_its_password(password_hash, monkeypatch):
    monkeypatch.setattr(credentials.bcrypt, "checkpw", lambda *_: True)
    given = credentials.credentials_of(basic(user="mallory").encode())

    assert not asyncio.run(credentials.Passwords().check({"alice": password_hash}, given))


def test_a_name_that_nobody_has_costs_as_much_as_one_that_somebody_has(serve, users, hashed):
    web = serve(config_file=users)

    web.ask("/metrics", authorization=basic(user="mallory"))

    assert len(hashed) == 1


def test_no_password_stays_in_memory(users, password_hash):
    passwords = credentials.Passwords()
    given = credentials.credentials_of(ALICE.encode())

    kept = passwords._digest({"alice": password_hash}, given)

    assert PASSWORD.encode() not in kept
    assert kept != credentials.Passwords()._digest({"alice": password_hash}, given)
    assert PASSWORD not in repr(given)


def test_wrong_credentials_are_counted_and_missing_ones_are_not(serve, users):
    web = serve(config_file=users)

    web.ask("/metrics")
    web.ask("/metrics", authorization=basic(password="wrong"))
    web.ask("/metrics", authorization="Bearer wrong")

    assert web.count(catalog.HTTP_AUTHENTICATION_FAILURES) == 2
    assert web.answers(401, "/metrics") == 3


def test_guessing_ends_soon_while_known_credentials_go_on(serve, users, hashed):
    now = [0.0]
    limits = Limits(failures=Rate(per_second=0.1, burst=3), refusal_seconds=0)
    web = serve(config_file=users, limits=limits, clock=lambda: now[0])
    web.ask("/metrics", authorization=ALICE)

    guesses = [web.ask("/metrics", authorization=basic(password=str(n))) for n in range(5)]

    assert [guess.status for guess in guesses] == [401, 401, 401, 429, 429]
    assert guesses[-1].headers["retry-after"] == "10"
    assert len(hashed) == 4
    assert web.ask("/metrics", authorization=ALICE).status == 200
    assert web.ask("/metrics", authorization=BEARER).status == 200
    now[0] = 11.0
    assert web.ask("/metrics", authorization=basic(password="6")).status == 401


def test_right_passwords_do_not_count_as_guesses(serve, users, monkeypatch):
    monkeypatch.setattr(credentials.Passwords, "known", lambda *_: credentials.Verdict.UNKNOWN)
    limits = Limits(failures=Rate(per_second=0.001, burst=2), refusal_seconds=0)
    web = serve(config_file=users, limits=limits)

    statuses = [web.ask("/metrics", authorization=ALICE).status for _ in range(5)]

    assert statuses == [200] * 5


def test_guesses_of_all_together_are_limited_too(serve, users):
    limits = Limits(all_failures=Rate(per_second=0.001, burst=2), refusal_seconds=0)
    web = serve(config_file=users, limits=limits)

    guesses = [web.ask("/metrics", authorization=basic(password=str(n))) for n in range(3)]

    assert [guess.status for guess in guesses] == [401, 401, 429]


def test_a_client_is_known_by_its_connection_whatever_its_headers_say(serve, users):
    limits = Limits(failures=Rate(per_second=0.001, burst=2), refusal_seconds=0)
    web = serve(config_file=users, limits=limits)

    guesses = [
        web.ask(
            "/metrics", authorization=basic(password=str(n)), x_forwarded_for=f"192.0.2.{n}"
        ).status
        for n in range(3)
    ]

    assert guesses == [401, 401, 429]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_others_are_not_served_unchecked(serve, host):
    with pytest.raises(UsageError) as caught:
        serve(host=host)

    said = str(caught.value)
    assert said.startswith(f"cannot serve on {host!r}: ")
    for cure in ("tls_server_config", "basic_auth_users", "127.0.0.1", "--web.insecure"):
        assert cure in said


def test_others_are_served_unchecked_if_that_is_wanted(serve):
    web = serve(host="0.0.0.0", insecure=True)

    assert web.server.url.startswith("http://0.0.0.0:")
    assert web.ask("/healthz").status == 200


def test_others_are_served_with_a_password(serve, users):
    web = serve(host="0.0.0.0", config_file=users)

    assert web.ask("/metrics").status == 401
    assert web.ask("/metrics", authorization=ALICE).status == 200
