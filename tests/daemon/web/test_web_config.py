"""The web configuration: what it says is used, what is wrong in it is said, all at once."""

import shutil
from pathlib import Path

import bcrypt
import pytest

from agentmem_observe.daemon.web.limits import Limits, Rate
from agentmem_observe.daemon.web.web_config import WebConfig, load_web_config
from agentmem_observe.errors import ConfigError

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "deploy" / "web.yml"
HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
TLS = "cert_file: server.crt, key_file: server.key"


def load(directory, text):
    file = directory / "web.yml"
    file.write_text(text)
    return load_web_config(file)


def refused(directory, text) -> list[str]:
    """Return what is said about a configuration, one line per problem, without the directory."""
    with pytest.raises(ConfigError) as caught:
        load(directory, text)
    return str(caught.value).replace(f"{directory}/", "").splitlines()


def test_an_empty_file_wants_nothing(tmp_path):
    config = load(tmp_path, "")

    assert (config.users, config.headers, config.rate, config.tls) == ({}, {}, None, None)
    assert config.files == (tmp_path / "web.yml",)


def test_headings_with_nothing_below_them_want_nothing(tmp_path):
    config = load(tmp_path, "tls_server_config:\nbasic_auth_users:\nhttp_server_config:\n")

    assert (config.users, config.tls) == ({}, None)


def test_users_headers_and_rate_are_what_the_file_says(tmp_path):
    config = load(
        tmp_path,
        f"basic_auth_users: {{alice: '{HASH}'}}\n"
        "http_server_config: {http2: false, headers: {X-Frame-Options: sameorigin}}\n"
        "rate_limit: {interval: 500ms, burst: 20}\n",
    )

    assert config.users == {"alice": HASH}
    assert config.headers == {"X-Frame-Options": "sameorigin"}
    assert config.rate == Rate(per_second=2, burst=20)


def test_hashes_are_not_shown(tmp_path):
    assert "$2y" not in repr(load(tmp_path, f"basic_auth_users: {{alice: '{HASH}'}}"))


@pytest.mark.parametrize("prefix", ["2a", "2b", "2y"])
def test_each_kind_of_bcrypt_is_taken(tmp_path, prefix):
    hashed = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode().replace("$2b", f"${prefix}")

    assert load(tmp_path, f"basic_auth_users: {{a: '{hashed}'}}").users == {"a": hashed}


def test_names_of_files_are_relative_to_the_file(tmp_path, certificates, monkeypatch):
    monkeypatch.chdir("/")

    config = load(tmp_path, f"tls_server_config: {{{TLS}}}")

    assert config.tls is not None
    assert config.files[1:] == (tmp_path / "server.crt", tmp_path / "server.key")


def test_a_file_can_use_all_that_python_can(tmp_path, certificates):
    config = load(
        tmp_path,
        f"""
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
basic_auth_users:
  alice: {HASH}
""",
    )

    old = [suite["name"] for suite in config.tls.get_ciphers() if suite["protocol"] == "TLSv1.2"]
    assert old == ["ECDHE-ECDSA-AES256-GCM-SHA384"]
    assert config.allowed_sans == {"prometheus.example"}


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    lines = refused(
        tmp_path,
        "tls_server_config: {cert_file: none.crt, min_version: TLS10}\n"
        "basic_auth_users: {alice: hunter2}\n"
        "http_server_config: {headers: {Server: x}}\n"
        "rate_limit: {interval: often}\n"
        "basic_auth: {}\n",
    )

    assert [line.split(": ")[1] for line in lines] == [
        "tls_server_config.cert_file",
        "tls_server_config.min_version",
        "http_server_config.headers.Server",
        "basic_auth_users.alice",
        "rate_limit.interval",
        "basic_auth",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "web.yml: expected a mapping of sections"),
        ("a: b: c", "web.yml: line 1, column 5: not valid YAML: mapping values are not allowed"),
        ("x: !!python/name:os.system", "could not determine a constructor"),
        ("rate_limit: {burst: 1, burst: 2}", "line 1, column 24: not valid YAML: the key 'burst'"),
        ("tls: {}", "tls: unknown key; known: basic_auth_users, http_server_config,"),
        ("basic_auth_user: {}", "basic_auth_user: unknown key; did you mean 'basic_auth_users'?"),
        ("rate_limit: {bursts: 3}", "rate_limit.bursts: unknown key; did you mean 'burst'?"),
        ("rate_limit: {burst: 0}", "rate_limit.burst: expected a positive integer, got 0"),
        ("rate_limit: {interval: 5}", "rate_limit.interval: expected a period such as '1s'"),
        ("rate_limit: 5", "rate_limit: expected a mapping, got 5"),
        ("http_server_config: {http2: 1}", "http2: expected true or false, got 1"),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}",
            "headers.X-Frame-Options: expected 'deny' or 'sameorigin', got 'allow'",
        ),
        (
            'http_server_config: {headers: {Content-Security-Policy: "a\\r\\nb"}}',
            "Content-Security-Policy: 'a\\r\\nb' has characters that a header cannot have",
        ),
        ("http_server_config: {headers: {Server: x}}", "headers.Server: cannot be configured"),
        (f"basic_auth_users: {{12: '{HASH}'}}", "expected a name in quotes and without a colon"),
        (f"basic_auth_users: {{a: '{HASH.replace('$10', '$31')}'}}", "cost from 4 to 17, got 31"),
        ("tls_server_config: {min_version: TLS12}", "tls_server_config: cert_file is missing"),
    ],
)
def test_each_mistake_is_named(tmp_path, text, said):
    (line,) = refused(tmp_path, text)

    assert said in line


@pytest.mark.parametrize("password", ["hunter2", "12345", "[hunter2]", "{hunter2: 1}", "''", "~"])
def test_a_password_that_is_not_hashed_is_refused_with_the_cure_and_not_shown(tmp_path, password):
    (line,) = refused(tmp_path, f"basic_auth_users: {{alice: {password}}}")

    assert line.startswith("web.yml: basic_auth_users.alice: expected a hash of bcrypt")
    assert "htpasswd -nBC 10" in line
    assert "hunter2" not in line
    assert "12345" not in line


def test_a_password_in_place_of_users_is_not_shown(tmp_path):
    (line,) = refused(tmp_path, "basic_auth_users: hunter2")

    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("cert_file: server.crt", "key_file is missing"),
        ("key_file: server.key", "cert_file is missing"),
        ("cert: 'PEM', key_file: server.key", "cert: cannot be given as text, Python reads"),
        (f"{TLS}, curve_preferences: [X25519]", "curve_preferences: Python cannot choose"),
        (f"{TLS}, min_version: TLS10", "min_version: 'TLS10' is no longer secure; use 'TLS12'"),
        (f"{TLS}, max_version: SSL3", "max_version: expected 'TLS12' or 'TLS13', got 'SSL3'"),
        (f"{TLS}, min_version: TLS13, max_version: TLS12", "min_version is newer than max"),
        (f"{TLS}, client_auth_type: RequestClientCert", "without verifying them, which Python"),
        (f"{TLS}, client_auth_type: RequireAnyClientCert", "without verifying them, which Python"),
        (f"{TLS}, client_auth_type: Yes please", "unknown policy 'Yes please'; known: NoClient"),
        (f"{TLS}, client_auth_type: RequireAndVerifyClientCert", "client_ca_file is missing"),
        (f"{TLS}, client_ca_file: ca.crt", "no effect without client_auth_type"),
        (f"{TLS}, client_allowed_sans: [a]", "client_allowed_sans needs client_auth_type"),
        (f"{TLS}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]", "unknown suite 'TLS_RSA_WITH_RC4"),
        (f"{TLS}, cipher_suites: [TLS_AES_128_GCM_SHA256]", "names no suite of TLS 1.2"),
        (f"{TLS}, cipher_suites: all", "cipher_suites: expected a list, got 'all'"),
        ("cert_file: client.crt, key_file: server.key", "client.crt' and key_file"),
        ("cert_file: server.key, key_file: server.key", "both must be PEM"),
        ("cert_file: server.crt, key_file: locked.key", "locked.key' cannot be used"),
        ("cert_file: none.crt, key_file: server.key", "none.crt': No such file or directory"),
        (
            f"{TLS}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: web.yml",
            "web.yml' cannot be used",
        ),
    ],
)
def test_each_mistake_in_tls_is_named(tmp_path, certificates, section, said):
    certificates.lock("server.key", "locked.key")

    (line,) = refused(tmp_path, f"tls_server_config: {{{section}}}")

    assert line.startswith("web.yml: tls_server_config")
    assert said in line


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yml: No such file or directory; give"):
        load_web_config(tmp_path / "none.yml")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / "web.yml"
    file.write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match="is not text"):
        load_web_config(file)


def test_without_a_file_nothing_is_wanted():
    assert WebConfig().tls is None


def test_the_example_works_once_there_is_a_certificate(tmp_path, certificates):
    file = shutil.copy(EXAMPLE, tmp_path)

    config = load_web_config(Path(file))

    assert config.tls is not None
    assert list(config.users) == ["prometheus"]


def test_the_page_names_each_limit_as_it_is():
    page = (ROOT / "docs" / "security.md").read_text()
    limits = Limits()

    for words in (
        f"| {limits.connections}; {limits.connections_per_client} of one address",
        f"| {limits.header_bytes // 1024} KiB, {limits.header_count} of them",
        f"all within {limits.headers_seconds} s",
        f"| {limits.body_bytes // 1024} KiB within {limits.body_seconds} s",
        f"| TLS handshake | {limits.handshake_seconds} s",
        f"| taken within {limits.answer_seconds} s",
        f"| rest between requests | {limits.idle_seconds} s",
        f"| {limits.requests.per_second} a second, {limits.requests.burst} at once",
        f"| one in {1 / limits.failures.per_second:.0f} s, {limits.failures.burst} at once",
        f"{limits.all_failures.per_second} a second, {limits.all_failures.burst} at once |",
    ):
        assert words in page
