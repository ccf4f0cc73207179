"""One daemon for all tests here, scraped by two servers: for native and for classic histograms."""

from collections.abc import Callable, Iterator

import pytest

from agentmem_observe.alerts.build import RULE_FILES, build_files
from agentmem_observe.alerts.thresholds import Thresholds
from tests.daemons import Daemon
from tests.live.scene import playing
from tests.prometheus import Prometheus, start_prometheus

__all__ = ["start_prometheus"]  # a fixture

JOB = "agentmem"
"""What the rules expect the daemons to be scraped as."""

QUICK = Thresholds(evaluation_interval="2s", judged_within="2s")  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Return a daemon in which something of everything happens."""
    with playing(tmp_path_factory.mktemp("scene")) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def rules(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return where our rules are.

    They do not know void runs: all may be void where the host is busy, and that they are left out
    is tested elsewhere.
    """
    directory, files = tmp_path_factory.mktemp("rules"), build_files(QUICK)
    paths = [directory / file.name for file in RULE_FILES]
    for file, path in zip(RULE_FILES, paths, strict=True):
        path.write_text(files[file].replace('verdict="void"', 'verdict="none such"'))
    return [str(path) for path in paths]


@pytest.fixture(scope="module")
def servers(
    daemon: Daemon, rules: list[str], start_prometheus: Callable[..., Prometheus]
) -> dict[str, Prometheus]:
    """Return the servers by the kind of histograms that they keep; both have our rules."""
    config = {
        "job_name": JOB,
        "scrape_interval": "2s",
        "scrape_timeout": "2s",
        "static_configs": [{"targets": [daemon.url.removeprefix("http://")]}],
    }
    kinds = {"native": ["native-histograms"], "classic": []}
    servers = {
        kind: start_prometheus(config, features=["exemplar-storage", *more], rule_files=rules)
        for kind, more in kinds.items()
    }
    for server in servers.values():
        server.scraped(JOB)
    daemon.until("the leak", lambda: daemon.metrics()("leak", benchmark="leaking", verdict="leak"))
    return servers


@pytest.fixture(params=["native", "classic"])
def server(request: pytest.FixtureRequest, servers: dict[str, Prometheus]) -> Prometheus:
    """Return each of them."""
    return servers[request.param]
