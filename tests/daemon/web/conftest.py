"""A real server on a free port, what it is asked with, and certificates made for the test."""

import http.client
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bcrypt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from agentmem_observe.daemon.web.server import WebOptions, WebServer
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.catalog import Metric
from agentmem_observe.telemetry.endpoint import metrics_routes
from agentmem_observe.telemetry.registry import MetricRegistry

TOKEN = "the-token"
PASSWORD = "s3cret"
LONGEST_WAIT_SECONDS = 20  # of a test for the server; passes at once unless something is broken


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass
class Web:
    """A server with its registry, and a client for it.

    Attributes:
        server: What is tested.
        registry: What it counts in.
        seen: Paths and bodies that got through to the application.
        tls: What the client trusts, None for no TLS.
    """

    server: WebServer
    registry: MetricRegistry
    seen: list[tuple[str, bytes]]
    tls: ssl.SSLContext | None = None
    open_sockets: ExitStack = field(default_factory=ExitStack)

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.server.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def ask(
        self, path: str = "/", method: str = "GET", body: Any = None, **headers: str
    ) -> Answer:
        connection: http.client.HTTPConnection
        if self.tls:
            connection = http.client.HTTPSConnection(
                *self.address, timeout=LONGEST_WAIT_SECONDS, context=self.tls
            )
        else:
            connection = http.client.HTTPConnection(*self.address, timeout=LONGEST_WAIT_SECONDS)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(self.address, timeout=LONGEST_WAIT_SECONDS)
        return self.open_sockets.enter_context(connection)

    def say(self, request: bytes) -> bytes:
        """Send bytes; return all that comes until the server closes."""
        with socket.create_connection(self.address, timeout=LONGEST_WAIT_SECONDS) as connection:
            connection.sendall(request)
            return self.until_closed(connection)

    @staticmethod
    def until_closed(connection: socket.socket) -> bytes:
        """Return what comes until the server closes."""
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            parts.append(b"[reset]")
        return b"".join(parts)

    @staticmethod
    def status(connection: socket.socket) -> int:
        """Read one whole answer; return its status."""
        response = http.client.HTTPResponse(connection)
        response.begin()
        response.read()
        return response.status

    @staticmethod
    def wait_for(happens: Callable[[], object]) -> None:
        """Return when it happened; fail if it never does."""
        given_up = time.monotonic() + LONGEST_WAIT_SECONDS
        pause = threading.Event()
        while not happens():
            assert time.monotonic() < given_up, "it did not happen"
            pause.wait(0.01)

    def count(self, metric: Metric, **labels: str) -> float:
        family = [each for each in self.registry.collect() if each.metric is metric]
        wanted = tuple(labels[name] for name in metric.labels)
        values = [s.value for f in family for s in f.samples if tuple(s.labels) == wanted]
        return values[0] if values else 0.0

    def cuts(self, limit: str) -> float:
        return self.count(catalog.HTTP_CUT_CONNECTIONS, limit=limit)

    def answers(self, code: int, handler: str) -> float:
        return self.count(catalog.HTTP_REQUESTS, code=str(code), handler=handler)


def application(registry: MetricRegistry, seen: list[tuple[str, bytes]]) -> Starlette:
    async def note(request: Request) -> Response:
        seen.append((request.url.path, await request.body()))
        return JSONResponse({"ok": True})

    def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def large(request: Request) -> Response:
        return Response(b"x" * 50_000_000)

    def kept(request: Request) -> Response:
        return Response("kept", headers={"Cache-Control": "max-age=60", "X-Frame-Options": "x"})

    return Starlette(
        routes=[
            Route("/api/v1/jobs", note),
            Route("/api/v1/jobs/{name}", note),
            Route("/api/v1/jobs/{name}/run", note, methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", healthz),
            Route("/large", large),
            Route("/page.css", kept),
            *metrics_routes(registry),
        ]
    )


@pytest.fixture
def serve() -> Iterator[Callable[..., Web]]:
    """Return what starts a server with options; it ends with the test."""
    with ExitStack() as stack:

        def start(
            *,
            tls: ssl.SSLContext | None = None,
            clock: Callable[[], float] | None = None,
            **options: Any,
        ) -> Web:
            registry, seen = MetricRegistry(), []
            more = {"clock": clock} if clock else {}
            server = WebServer(
                application(registry, seen),
                registry,
                WebOptions(**{"token": TOKEN} | options),
                **more,
            )
            web = Web(stack.enter_context(server), registry, seen, tls)
            stack.enter_context(web.open_sockets)
            return web

        yield start


@pytest.fixture(scope="session")
def password_hash() -> str:
    """Return the hash of `PASSWORD`, as cheap as there is."""
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


@pytest.fixture
def users(tmp_path: Path, password_hash: str) -> Path:
    """Return a web configuration with the user alice."""
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{alice: '{password_hash}'}}\n")
    return file


@dataclass(frozen=True)
class Authority:
    """Signs certificates.

    Attributes:
        directory: Holds ``ca.crt`` and, by name, ``*.crt`` and ``*.key``.
    """

    directory: Path

    def sign(self, name: str, alternative: str = "IP:127.0.0.1,DNS:localhost") -> None:
        # Python 3.13 is strict: it wants to see who signed.
        (self.directory / "signed.cnf").write_text("authorityKeyIdentifier=keyid\n")
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName={alternative}"),
        )
        self._openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-out", f"{name}.crt", "-days", "2", "-copy_extensions", "copy"),
            *("-extfile", "signed.cnf"),
        )

    def sign_itself(self, name: str) -> None:
        """Make a certificate that no other has signed."""
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}"),
            *("-days", "2", "-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
        )

    def lock(self, name: str, locked: str) -> None:
        """Encrypt a key."""
        self._openssl("ec", "-in", name, "-out", locked, "-aes128", "-passout", "pass:secret")

    def client(self, name: str = "") -> ssl.SSLContext:
        """Return what trusts this authority, and shows a certificate if one is named."""
        context = ssl.create_default_context(cafile=self.directory / "ca.crt")
        if name:
            context.load_cert_chain(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments], cwd=self.directory, check=True, capture_output=True
        )


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority that has signed ``server`` and ``client``."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificates and is not installed")
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.sign_itself("ca")
    authority.sign("server")
    authority.sign("client", "DNS:prometheus.example")
    authority.sign("other", "DNS:other.example")
    return authority


@pytest.fixture
def certificates(tmp_path: Path, authority: Authority) -> Authority:
    """Return a copy of the authority that a test may change, where its web.yml is."""
    shutil.copytree(authority.directory, tmp_path, dirs_exist_ok=True)
    return Authority(tmp_path)
