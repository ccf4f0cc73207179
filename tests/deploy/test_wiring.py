"""What the files of the deployment say of each other: names, ports, places, uids."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from agentmem_observe.telemetry.catalog import LABELS, METRICS

from .conftest import ROOT, read, services

# Who listens where; what their images, or the configurations here, say.
LISTENING = {
    "daemon": {9464},
    "redis": {6379},
    "prometheus": {9090},
    "alertmanager": {9093},
    "grafana": {3000},
    "tempo": {3200, 4317},
    "pyroscope": {4040},
    "otel-collector": {4317, 4318, 8888},
}

SOURCES = "deploy/grafana/provisioning/datasources/agentmem-observe.yml"
PROVIDER = "deploy/grafana/provisioning/dashboards/agentmem-observe.yml"


def addresses() -> Iterator[tuple[str, str, str]]:
    """Yield who speaks to whom: the service, and ``host:port`` of the other."""
    for scrape in read("prometheus.yml")["scrape_configs"]:
        for target in scrape["static_configs"][0]["targets"]:
            yield "prometheus", *target.split(":")
    for manager in read("prometheus.yml")["alerting"]["alertmanagers"]:
        for target in manager["static_configs"][0]["targets"]:
            yield "prometheus", *target.split(":")
    for source in read(SOURCES)["datasources"]:
        yield "grafana", *source["url"].removeprefix("http://").split(":")
    for exporter in read("deploy/otel-collector/collector.yml")["exporters"].values():
        yield "otel-collector", *exporter["endpoint"].split(":")
    to = services()["daemon"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
    yield "daemon", *to.removeprefix("http://").split(":")
    for job in daemon_settings()["jobs"].values():
        if found := re.fullmatch(r"redis://([\w-]+):(\d+)/\d+", job.get("target", "embedded")):
            yield "daemon", found[1], found[2]


def daemon_settings() -> dict[str, Any]:
    """Return the settings of the daemon in its container."""
    return tomllib.loads((ROOT / "deploy/compose/daemon.toml").read_text(encoding="utf-8"))


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object inside of JSON."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from walk(inner)


@pytest.mark.parametrize(("who", "host", "port"), list(addresses()))
def test_whoever_is_spoken_to_is_there_and_listens(who: str, host: str, port: str) -> None:
    other = who if host == "localhost" else host

    assert int(port) in LISTENING[other]
    assert set(services()[who]["networks"]) & set(services()[other]["networks"])


def test_every_service_that_has_metrics_is_scraped() -> None:
    scraped = {host for who, host, _ in addresses() if who == "prometheus"}

    assert scraped - {"localhost"} == set(services()) - {"prometheus", "redis"}


@pytest.mark.parametrize("name", services())
def test_the_port_that_is_published_is_one_that_it_listens_on(name: str) -> None:
    for port in services()[name].get("ports", ()):
        assert int(port.rpartition(":")[2]) in LISTENING[name]


def test_the_daemon_listens_where_others_reach_it() -> None:
    web = daemon_settings()["web"]
    dockerfile = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")

    assert web == {"listen_address": "0.0.0.0:9464", "insecure": True}
    assert "EXPOSE 9464\n" in dockerfile
    assert "127.0.0.1', 9464" in dockerfile


def test_what_listens_says_so_in_its_configuration() -> None:
    collector = read("deploy/otel-collector/collector.yml")
    protocols = collector["receivers"]["otlp"]["protocols"]
    metrics = collector["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]
    tempo = read("deploy/tempo/tempo.yml")

    assert {
        *(int(one["endpoint"].rpartition(":")[2]) for one in protocols.values()),
        metrics["prometheus"]["port"],
    } == LISTENING["otel-collector"]
    assert {
        tempo["server"]["http_listen_port"],
        int(tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"][-4:]),
    } == LISTENING["tempo"]


@pytest.mark.parametrize(
    ("service", "file"),
    [
        ("prometheus", "/etc/prometheus/prometheus.yml"),
        ("alertmanager", "/etc/alertmanager/alertmanager.yml"),
        ("tempo", "/etc/tempo/tempo.yml"),
        ("pyroscope", "/etc/pyroscope/pyroscope.yml"),
        ("otel-collector", "/etc/otelcol/collector.yml"),
        ("daemon", "/etc/agentmem-observe/daemon.toml"),
        ("grafana", "/etc/grafana/provisioning/datasources/agentmem-observe.yml"),
        ("grafana", "/etc/grafana/provisioning/dashboards/agentmem-observe.yml"),
        ("grafana", "/etc/grafana/dashboards/overview.json"),
    ],
)
def test_files_are_where_programs_look(service: str, file: str) -> None:
    for mount in services()[service]["volumes"]:
        source, place, *_ = mount.split(":")
        if file == place or file.startswith(place + "/"):
            found = ROOT / source / file.removeprefix(place).lstrip("/")
            assert found.is_file()
            break
    else:
        pytest.fail(f"{file} is in no mount of {service}")

    says = f"{services()[service].get('command', '')}{services()[service].get('environment', '')}"
    assert file in says or service in ("daemon", "grafana")


def test_rule_files_resolve_in_the_container_and_in_the_repository() -> None:
    for file in read("prometheus.yml")["rule_files"]:
        assert (ROOT / file).is_file()
        assert (
            "./deploy/prometheus:/etc/prometheus/deploy/prometheus:ro"
            in (services()["prometheus"]["volumes"])
        )


def test_rules_look_for_the_job_that_scrapes_the_daemon() -> None:
    (scrape,) = (
        each
        for each in read("prometheus.yml")["scrape_configs"]
        if each["static_configs"][0]["targets"] == ["daemon:9464"]
    )
    monitor = read("deploy/kubernetes/operator/monitor.yml")["spec"]["endpoints"][0]
    rules = (ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8")

    assert set(re.findall(r'up\{job="([^"]*)"\}', rules)) == {scrape["job_name"]}
    assert monitor["relabelings"] == [{"targetLabel": "job", "replacement": scrape["job_name"]}]
    assert monitor["interval"] == read("prometheus.yml")["global"]["scrape_interval"]


def test_histograms_are_scraped_whole_and_in_buckets_everywhere() -> None:
    (scrape,) = (
        each for each in read("prometheus.yml")["scrape_configs"] if each["job_name"] == "agentmem"
    )
    monitor = read("deploy/kubernetes/operator/monitor.yml")["spec"]

    assert scrape["scrape_native_histograms"] is monitor["scrapeNativeHistograms"] is True
    assert scrape["always_scrape_classic_histograms"] is monitor["scrapeClassicHistograms"] is True
    assert "--enable-feature=exemplar-storage" in services()["prometheus"]["command"]


def test_data_sources_that_are_named_exist() -> None:
    sources = {source["uid"]: source["type"] for source in read(SOURCES)["datasources"]}
    named = {
        each["datasourceUid"]
        for source in read(SOURCES)["datasources"]
        for each in walk(source)
        if "datasourceUid" in each
    }

    assert set(sources) == {"prometheus", "tempo", "pyroscope", "alertmanager"}
    assert named == {"prometheus", "tempo", "pyroscope"}


@pytest.mark.parametrize(
    "file", sorted((ROOT / "dashboards").glob("*.json")), ids=lambda f: f.stem
)
def test_data_sources_of_dashboards_exist(file: Any) -> None:
    sources = {(each["type"], each["uid"]) for each in read(SOURCES)["datasources"]}
    types = {type_ for type_, _ in sources}
    board = json.loads(file.read_text(encoding="utf-8"))
    chosen = {
        f"${{{each['name']}}}": each["query"]
        for each in board["templating"]["list"]
        if each["type"] == "datasource"
    }

    for each in walk(board):
        if isinstance(source := each.get("datasource"), dict) and source["uid"] != "-- Grafana --":
            known = (source["type"], source["uid"]) in sources
            assert known or chosen[source["uid"]] == source["type"] in types, source


def test_what_traces_lead_to_is_in_the_catalog() -> None:
    (tempo,) = (each for each in read(SOURCES)["datasources"] if each["uid"] == "tempo")
    leads = tempo["jsonData"]["tracesToMetrics"]

    for query in leads["queries"]:
        assert set(re.findall(r"agentmem_\w+", query["query"])) <= set(METRICS)
        assert "{$$__tags}" in query["query"]
    for tag in leads["tags"]:
        assert LABELS[tag["value"]].attribute == tag["key"]


def test_dashboards_cannot_be_saved_in_the_browser() -> None:
    (provider,) = read(PROVIDER)["providers"]

    assert provider["allowUiUpdates"] is False
    assert provider["disableDeletion"] is True
    assert all(source["editable"] is False for source in read(SOURCES)["datasources"])


def test_the_interval_that_grafana_assumes_is_that_of_scrapes() -> None:
    (source,) = (each for each in read(SOURCES)["datasources"] if each["uid"] == "prometheus")
    tag = services()["prometheus"]["image"].rpartition(":v")[2]

    assert (
        source["jsonData"]["timeInterval"] == read("prometheus.yml")["global"]["scrape_interval"]
    )
    assert source["jsonData"]["prometheusVersion"] == tag
