"""Keys of Grafana's and the collector's files: these programs are not here to be asked.

What is known was read in their documentation and source, at the versions of docker-compose.yml.
"""

from typing import Any

import pytest

from .conftest import read

SOURCES = "deploy/grafana/provisioning/datasources/agentmem-observe.yml"
PROVIDER = "deploy/grafana/provisioning/dashboards/agentmem-observe.yml"
COLLECTOR = "deploy/otel-collector/collector.yml"

SOURCE_KEYS = {"name", "uid", "type", "access", "url", "isDefault", "editable", "jsonData"}
JSON_DATA = {
    "prometheus": {
        "exemplarTraceIdDestinations",
        "httpMethod",
        "manageAlerts",
        "prometheusType",
        "prometheusVersion",
        "timeInterval",
    },
    "tempo": {"httpMethod", "nodeGraph", "traceQuery", "tracesToMetrics", "tracesToProfiles"},
    "grafana-pyroscope-datasource": {"minStep"},
    "alertmanager": {"handleGrafanaManagedAlerts", "implementation"},
}
TRACES_TO = {
    "tracesToMetrics": {
        "datasourceUid",
        "spanEndTimeShift",
        "spanStartTimeShift",
        "tags",
        "queries",
    },
    "tracesToProfiles": {"datasourceUid", "tags", "profileTypeId", "customQuery"},
    "traceQuery": {"timeShiftEnabled", "spanStartTimeShift", "spanEndTimeShift"},
    "nodeGraph": {"enabled"},
}
PROVIDER_KEYS = {
    *("name", "orgId", "folder", "folderUid", "type", "disableDeletion", "allowUiUpdates"),
    *("updateIntervalSeconds", "options"),
}
COMPONENTS = {  # of the distribution otelcol, which the image has
    "receivers": {"otlp": {"protocols"}},
    "processors": {
        "memory_limiter": {"check_interval", "limit_percentage", "spike_limit_percentage"},
        "batch": {"timeout"},
    },
    "exporters": {"otlp_grpc": {"endpoint", "tls"}},
}


def test_data_sources_have_only_known_keys() -> None:
    content = read(SOURCES)

    assert set(content) == {"apiVersion", "prune", "datasources"}
    assert content["apiVersion"] == 1
    for source in content["datasources"]:
        assert set(source) <= SOURCE_KEYS
        assert set(source["jsonData"]) <= JSON_DATA[source["type"]]
    assert [each["uid"] for each in content["datasources"] if each.get("isDefault")] == [
        "prometheus"
    ]


@pytest.mark.parametrize("key", TRACES_TO)
def test_ways_from_traces_have_only_known_keys(key: str) -> None:
    (tempo,) = (each for each in read(SOURCES)["datasources"] if each["type"] == "tempo")

    assert set(tempo["jsonData"][key]) <= TRACES_TO[key]


def test_exemplars_lead_to_traces_by_the_label_that_the_daemon_writes() -> None:
    (source,) = (each for each in read(SOURCES)["datasources"] if each["type"] == "prometheus")

    assert source["jsonData"]["exemplarTraceIdDestinations"] == [
        {"name": "trace_id", "datasourceUid": "tempo"}
    ]


def test_the_provider_of_dashboards_has_only_known_keys() -> None:
    content = read(PROVIDER)

    assert set(content) == {"apiVersion", "providers"}
    for provider in content["providers"]:
        assert set(provider) <= PROVIDER_KEYS
        assert provider["type"] == "file"


@pytest.mark.parametrize("section", COMPONENTS)
def test_the_collector_has_only_components_that_its_image_has(section: str) -> None:
    content: dict[str, dict[str, Any]] = read(COLLECTOR)[section]

    assert set(content) <= set(COMPONENTS[section])
    for name, settings in content.items():
        assert set(settings) <= COMPONENTS[section][name]


def test_every_component_of_the_collector_is_in_the_pipeline_and_the_limit_comes_first() -> None:
    content = read(COLLECTOR)
    (pipeline,) = content["service"]["pipelines"].values()

    for section in COMPONENTS:
        assert set(pipeline[section]) == set(content[section])
    assert pipeline["processors"][0] == "memory_limiter"
