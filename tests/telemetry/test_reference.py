import re

from agentmem_observe.telemetry.catalog import LABELS, METRICS, Kind
from agentmem_observe.telemetry.reference import reference

BASE_UNITS = {"s": "_seconds", "By": "_bytes"}


def test_the_page_of_metrics_is_what_the_catalog_says(golden) -> None:
    golden("../../docs/metrics.md", reference())


def test_names_follow_the_conventions() -> None:
    for metric in METRICS.values():
        assert re.fullmatch(r"agentmem(_[a-z0-9]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        if suffix := BASE_UNITS.get(metric.unit):
            assert metric.name.removesuffix("_total").endswith(suffix)
        assert metric.help.endswith(".")


def test_names_stay_different_in_opentelemetry() -> None:
    assert len({metric.otel_name for metric in METRICS.values()}) == len(METRICS)
    assert len({label.attribute for label in LABELS.values()}) == len(LABELS)


def test_labels_are_explained_and_only_states_have_states() -> None:
    used = {label for metric in METRICS.values() for label in metric.labels}

    assert used == set(LABELS)
    assert all(bool(m.states) == (m.kind is Kind.STATE) for m in METRICS.values())
