"""A real Redis for the tests that want one, alive for one session."""

import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def redis_location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start redis-server on a free loopback port, without persistence; yield its location."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on this machine; Debian's package is redis-server")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    directory = tmp_path_factory.mktemp("redis")
    arguments = f"--port {port} --bind 127.0.0.1 --appendonly no --dir {directory} --save".split()
    with subprocess.Popen(
        [program, *arguments, ""], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        assert server.stdout is not None
        log = []
        for line in server.stdout:  # ends with the server, if that does not get so far
            log.append(line)
            if "Ready to accept connections" in line:
                break
        else:
            pytest.fail("redis-server did not start:\n" + "".join(log))
        try:
            yield f"127.0.0.1:{port}/0"
        finally:
            server.terminate()
