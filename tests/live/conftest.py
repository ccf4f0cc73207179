"""One daemon for all tests here, scraped by two servers: for native and for classic histograms."""

from collections.abc import Callable, Iterator

import pytest

from tests.daemons import Daemon
from tests.live.scene import playing
from tests.prometheus import Prometheus, start_prometheus

__all__ = ["start_prometheus"]  # a fixture


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Return a daemon in which something of everything happens."""
    with playing(tmp_path_factory.mktemp("scene")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def servers(daemon: Daemon, start_prometheus: Callable[..., Prometheus]) -> dict[str, Prometheus]:
    """Return the servers by the kind of histograms that they keep."""
    config = {
        "job_name": "agentmem-observe",
        "scrape_interval": "2s",
        "scrape_timeout": "2s",
        "static_configs": [{"targets": [daemon.url.removeprefix("http://")]}],
    }
    servers = {
        "native": start_prometheus(config, features=["exemplar-storage", "native-histograms"]),
        "classic": start_prometheus(config, features=["exemplar-storage"]),
    }
    for server in servers.values():
        server.scraped("agentmem-observe")
    daemon.until("the leak", lambda: daemon.metrics()("leak", benchmark="leaking", verdict="leak"))
    return servers


@pytest.fixture(params=["native", "classic"])
def server(request: pytest.FixtureRequest, servers: dict[str, Prometheus]) -> Prometheus:
    """Return each of them."""
    return servers[request.param]
