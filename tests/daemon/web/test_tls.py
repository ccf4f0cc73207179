"""Connections are encrypted, clients show certificates, and what is renewed takes effect."""

import http.client
import os
import shutil
import socket
import ssl
import struct
from pathlib import Path

import pytest

from agentmem_observe.daemon.web.limits import Limits
from agentmem_observe.errors import ConfigError

TLS = "cert_file: server.crt, key_file: server.key"
MUTUAL = f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt"


@pytest.fixture
def served(serve, certificates, tmp_path):
    """Return what starts a server with TLS; its configuration and clock can be changed."""

    def start(section=TLS, more="", client="", **options):
        configure(tmp_path, section, more)
        return serve(config_file=tmp_path / "web.yml", tls=certificates.client(client), **options)

    return start


def configure(directory: Path, section: str, more: str = "") -> None:
    """Write the configuration as a new file, as people's editors do."""
    replace(directory / "web.yml", f"tls_server_config: {{{section}}}\n{more}".encode())


def replace(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, file)


def shown(web) -> dict:
    """Return the certificate that the server shows a new client."""
    with (
        socket.create_connection(web.address, timeout=20) as plain,
        web.tls.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        return connection.getpeercert()


def subject(certificate: dict) -> str:
    return dict(part[0] for part in certificate["subject"])["commonName"]


def test_pages_come_encrypted(served):
    web = served()

    assert web.server.url.startswith("https://127.0.0.1:")
    assert web.ask("/metrics").status == 200


def test_a_large_answer_comes_whole(served):
    assert len(served().ask("/large").body) == 50_000_000


def test_a_request_that_comes_with_the_handshake_is_answered(served):
    web = served()
    with (
        socket.create_connection(web.address, timeout=20) as plain,
        web.tls.wrap_socket(
            plain, server_hostname="localhost", do_handshake_on_connect=False
        ) as connection,
    ):
        connection.sendall(
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )

        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_who_does_not_encrypt_is_cut(served):
    web = served()

    assert b"HTTP" not in web.say(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    web.wait_for(lambda: web.cuts("handshake") == 1)
    assert web.ask("/metrics").status == 200


def test_who_does_not_shake_hands_is_cut(served):
    web = served(limits=Limits(handshake_seconds=0.1))

    web.say(b"")
    web.say(b"\x16\x03\x01")
    web.wait_for(lambda: web.cuts("handshake") == 2)
    assert web.ask("/metrics").status == 200


def test_who_leaves_during_the_handshake_leaves_nothing_behind(served):
    web = served()

    for _ in range(20):
        socket.create_connection(web.address).close()

    state = web.server._server.server_state
    web.wait_for(lambda: web.cuts("handshake") == 20)
    assert not state.connections


def test_who_breaks_off_the_handshake_leaves_nothing_behind(served):
    web = served(limits=Limits(connections=1))
    state = web.server._server.server_state
    connection = web.connect()
    connection.sendall(b"\x16\x03\x01")
    web.wait_for(lambda: state.connections)

    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()  # with a reset

    web.wait_for(lambda: not state.connections)
    assert web.ask("/metrics").status == 200


def test_who_shakes_no_hands_takes_a_place_too(served):
    web = served(limits=Limits(connections=1))
    web.connect()

    assert web.say(b"") in (b"", b"[reset]")
    assert web.cuts("connections") == 1


def test_an_encrypted_client_that_sends_nothing_is_cut(served):
    web = served(limits=Limits(headers_seconds=0.1))
    with (
        socket.create_connection(web.address, timeout=20) as plain,
        web.tls.wrap_socket(plain, server_hostname="localhost"),
    ):
        web.wait_for(lambda: web.cuts("headers") == 1)


def test_an_encrypted_answer_that_is_not_taken_is_cut(served):
    web = served(limits=Limits(answer_seconds=0.1))
    with (
        socket.create_connection(web.address, timeout=20) as plain,
        web.tls.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        web.wait_for(lambda: web.cuts("answer") == 1)


def test_old_versions_are_refused_and_new_ones_used(served):
    web = served(f"{TLS}, min_version: TLS13")
    web.tls.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises(ssl.SSLError):
        web.ask("/metrics")

    web.tls.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    assert web.ask("/metrics").status == 200


def test_only_configured_suites_are_used(served):
    web = served(
        f"{TLS}, max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"
    )
    with (
        socket.create_connection(web.address, timeout=20) as plain,
        web.tls.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        assert connection.cipher()[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"


@pytest.mark.parametrize(
    ("section", "client", "welcome"),
    [
        (MUTUAL, "", False),
        (MUTUAL, "client", True),
        (MUTUAL, "other", True),
        (MUTUAL, "stranger", False),
        (f"{MUTUAL}, client_allowed_sans: [prometheus.example]", "client", True),
        (f"{MUTUAL}, client_allowed_sans: [prometheus.example]", "other", False),
        (MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"), "", True),
        (
            MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"),
            "stranger",
            False,
        ),
    ],
)
def test_clients_show_certificates(served, certificates, section, client, welcome):
    certificates.sign_itself("stranger")
    web = served(section, client=client)

    if welcome:
        assert web.ask("/metrics").status == 200
    else:
        with pytest.raises((OSError, http.client.HTTPException)):
            web.ask("/metrics")
        web.wait_for(lambda: web.cuts("handshake") == 1)


def test_a_renewed_certificate_is_shown_to_new_clients_and_the_old_ones_stay(
    served, certificates, tmp_path
):
    now = [0.0]
    web = served(clock=lambda: now[0])
    old = http.client.HTTPSConnection(*web.address, context=web.tls, timeout=20)
    old.request("GET", "/metrics")
    old.getresponse().read()
    certificates.sign("renewed")

    for kind in ("crt", "key"):
        shutil.copy(tmp_path / f"renewed.{kind}", tmp_path / f"server.{kind}")
    now[0] = 2.0

    assert subject(shown(web)) == "renewed"
    old.request("GET", "/metrics")
    assert old.getresponse().status == 200
    old.close()


def test_half_a_renewal_changes_nothing_until_it_is_whole(served, certificates, tmp_path, caplog):
    now = [0.0]
    web = served(clock=lambda: now[0])
    certificates.sign("renewed")

    shutil.copy(tmp_path / "renewed.crt", tmp_path / "server.crt")
    now[0] = 2.0
    halfway = subject(shown(web)), web.server.problem
    now[0] = 3.0
    shown(web)
    shutil.copy(tmp_path / "renewed.key", tmp_path / "server.key")
    now[0] = 4.0

    assert halfway[0] == "server"
    assert "belong together" in halfway[1]
    assert subject(shown(web)) == "renewed"
    assert web.server.problem == ""
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_new_user_is_known_at_once(serve, users, password_hash):
    now = [0.0]
    web = serve(config_file=users, clock=lambda: now[0])
    bob = "Basic Ym9iOnMzY3JldA=="  # bob:s3cret
    before = web.ask("/metrics", authorization=bob).status

    replace(users, f"basic_auth_users: {{bob: '{password_hash}'}}".encode())
    now[0] = 2.0

    assert (before, web.ask("/metrics", authorization=bob).status) == (401, 200)
    assert web.ask("/metrics", authorization="Basic YWxpY2U6czNjcmV0").status == 401


def test_the_files_are_not_looked_at_more_than_once_a_second(serve, users, password_hash):
    now = [0.0]
    web = serve(config_file=users, clock=lambda: now[0])
    users.unlink()

    now[0] = 0.9
    before = web.ask("/metrics").status, web.server.problem
    now[0] = 1.0
    after = web.ask("/metrics").status, web.server.problem

    assert before == (401, "")
    assert after[0] == 401
    assert "No such file" in after[1]


def test_a_file_that_is_back_as_it_was_is_no_problem_any_more(serve, users):
    now = [0.0]
    web = serve(config_file=users, clock=lambda: now[0])
    users.rename(users.with_suffix(".away"))
    now[0] = 2.0
    web.ask("/metrics")
    before = web.server.problem

    users.with_suffix(".away").rename(users)
    now[0] = 4.0
    web.ask("/metrics")

    assert "No such file" in before
    assert web.server.problem == ""


def test_what_a_wrong_file_named_may_come_later(served, certificates, tmp_path):
    now = [0.0]
    web = served(clock=lambda: now[0])
    configure(tmp_path, "cert_file: renewed.crt, key_file: renewed.key")
    now[0] = 2.0
    before = subject(shown(web))

    certificates.sign("renewed")
    now[0] = 4.0

    assert (before, subject(shown(web))) == ("server", "renewed")


def test_a_reload_takes_effect_at_once_and_says_what_is_wrong(serve, users, password_hash):
    web = serve(config_file=users, clock=lambda: 0.0)

    users.write_text("basic_auth_users: {alice: secret}")
    with pytest.raises(ConfigError, match=r"web\.yml: basic_auth_users\.alice: expected a hash"):
        web.server.reload()
    kept = web.ask("/metrics").status
    users.write_text("")
    web.server.reload()

    assert kept == 401
    assert web.server.problem == ""
    assert web.ask("/metrics").status == 200


def test_a_reload_does_not_open_what_others_can_reach(serve, users):
    web = serve(host="0.0.0.0", config_file=users)
    users.write_text("")

    with pytest.raises(ConfigError, match=r"cannot serve on '0\.0\.0\.0': anybody could read"):
        web.server.reload()

    assert web.ask("/metrics").status == 401


def test_encryption_does_not_come_or_go_with_a_reload(served, tmp_path):
    web = served()
    (tmp_path / "web.yml").write_text("")

    with pytest.raises(ConfigError, match="tls_server_config: cannot come or go"):
        web.server.reload()

    assert web.ask("/metrics").status == 200


def test_without_a_file_there_is_nothing_to_reload(serve):
    web = serve()

    web.server.reload()

    assert web.server.problem == ""


def test_others_are_served_encrypted(served):
    assert served(host="0.0.0.0").server.url.startswith("https://0.0.0.0:")
