"""The text pages, read by prometheus_client's own parsers, and which page a scraper gets."""

import subprocess
from itertools import pairwise

import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.telemetry import catalog
from agentmem_observe.telemetry.buckets import BOUNDS_SECONDS, bucket_of
from agentmem_observe.telemetry.catalog import METRICS, Kind
from agentmem_observe.telemetry.prometheus import (
    Format,
    accepts_gzip,
    choices,
    encode,
    negotiate,
)
from agentmem_observe.telemetry.registry import Exemplar, MetricRegistry

SINCE = 1_700_000_000.25
OPERATION = dict(
    target="fake", category="storage", benchmark="b", operation="o", tier="", outcome="ok"
)
PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)


def recorded(*nanoseconds: int) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(nanoseconds, np.int64))
    return histogram


def full_registry() -> MetricRegistry:
    """Return a registry with a sample of every metric of the catalog."""
    registry = MetricRegistry(now=lambda: SINCE)
    for metric in METRICS.values():
        labels = {name: f"a {name}" for name in metric.labels}
        match metric.kind:
            case Kind.COUNTER:
                registry.add(metric, labels, 3)
            case Kind.GAUGE:
                registry.set(metric, labels, 0.25)
            case Kind.STATE:
                del labels[metric.labels[-1]]
                registry.set_state(metric, labels, metric.states[0])
            case Kind.HISTOGRAM:
                registry.merge(metric, labels, recorded(1_500, 2_000_000, 2 * 10**11))
                exemplar = Exemplar(
                    0.002, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 5
                )
                registry.note(metric, labels, exemplar)
    return registry


@pytest.fixture(scope="module")
def families():
    return full_registry().collect()


both_texts = pytest.mark.parametrize(
    ("read", "format"), [(read_text, Format.TEXT), (read_openmetrics, Format.OPENMETRICS)]
)


def text(families, format: Format) -> str:
    return encode(families, format).decode()


@pytest.mark.parametrize(
    ("format", "name"), [(Format.TEXT, "metrics.txt"), (Format.OPENMETRICS, "metrics.openmetrics")]
)
def test_pages_are_as_they_were_reviewed(families, golden, format, name):
    golden(name, text(families, format))


@pytest.mark.server
def test_promtool_has_nothing_to_say_about_any_metric(families, promtool):
    page = encode(families, Format.TEXT)

    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True)

    assert (checked.stdout + checked.stderr).decode() == ""
    assert checked.returncode == 0


@both_texts
def test_every_metric_is_read_back_with_its_type_help_labels_and_values(families, read, format):
    found = {family.name: family for family in read(text(families, format))}

    for family in families:
        metric = family.metric
        back = found.pop(metric.name.removesuffix("_total"))
        assert back.type == {"state": "gauge"}.get(metric.kind, metric.kind)
        assert back.documentation == metric.help
        if metric.kind is not Kind.HISTOGRAM:
            own = [sample for sample in back.samples if not sample.name.endswith("_created")]
            assert [(tuple(s.labels[n] for n in metric.labels), s.value) for s in own] == [
                (sample.labels, sample.value) for sample in family.samples
            ]
    assert found == {}


def samples_of(families, read, format, metric) -> dict[str, list]:
    (back,) = [f for f in read(text(families, format)) if f.name == metric.name]
    samples = {}
    for sample in back.samples:
        samples.setdefault(sample.name.removeprefix(metric.name), []).append(sample)
    return samples


@both_texts
def test_a_histogram_has_every_bucket_and_its_exact_sum_and_count(families, read, format):
    samples = samples_of(families, read, format, catalog.OPERATION_LATENCY)

    buckets = samples["_bucket"]
    assert [float(each.labels["le"]) for each in buckets] == [*BOUNDS_SECONDS, float("inf")]
    values = [each.value for each in buckets]
    expected = recorded(1_500, 2_000_000, 2 * 10**11)
    assert values == [*expected.cumulative_at(BOUNDS_SECONDS), 3]
    assert all(before <= after for before, after in pairwise(values))
    assert samples["_count"][0].value == 3
    assert samples["_sum"][0].value == expected.sum_seconds


def test_openmetrics_says_which_operation_and_since_when(families):
    samples = samples_of(families, read_openmetrics, Format.OPENMETRICS, catalog.OPERATION_LATENCY)

    (exemplar,) = [sample.exemplar for sample in samples["_bucket"] if sample.exemplar]
    assert exemplar.labels == {
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
    }
    assert (exemplar.value, float(exemplar.timestamp)) == (0.002, 5)
    assert samples["_bucket"][bucket_of(0.002)].exemplar == exemplar
    assert samples["_created"][0].value == SINCE


def test_openmetrics_names_the_unit_where_the_name_ends_in_it(families):
    units = {
        family.name: family.unit for family in read_openmetrics(text(families, Format.OPENMETRICS))
    }

    assert units["agentmem_process_cpu_seconds"] == "seconds"
    assert units["agentmem_noise_steal_ratio"] == "ratio"
    assert units["agentmem_leak_bytes_per_operation"] == ""


def test_the_text_has_no_series_that_only_openmetrics_knows(families):
    page = text(families, Format.TEXT)

    assert "_created" not in page
    assert "trace_id" not in page


def series(families, name: str) -> dict[tuple[str, ...], float]:
    """Return the value of each series of a name by its labels, sorted; fail on two alike."""
    found = [
        (tuple(value for _, value in sorted(sample.labels.items())), sample.value)
        for family in families
        for sample in family.samples
        if sample.name == name
    ]
    assert len(dict(found)) == len(found)
    return dict(found)


@both_texts
def test_hostile_labels_are_read_back_as_they_were_kept(hostile_families, read, format):
    families = list(read(text(hostile_families, format)))

    found = series(families, "agentmem_operations_total")

    kept = {sample.labels: sample.value for sample in hostile_families[1].samples}
    assert hostile_families[1].metric is catalog.OPERATIONS
    assert found == kept
    assert all(family.name.startswith("agentmem_") for family in families)


@both_texts
def test_a_bomb_leaves_a_page_of_bounded_size_that_says_what_was_refused(bomb, read, format):
    page = text(bomb.collect(), format)

    families = list(read(page))

    assert len(page) < 3_000_000
    counts = series(families, "agentmem_operations_total")
    assert len(counts) == 301
    assert counts[("overflow",) * 6] == 99_700
    assert sum(series(families, "agentmem_operation_latency_seconds_count").values()) == 100_000
    assert series(families, "agentmem_exporter_refused_samples_total") == {
        ("agentmem_operations_total",): 99_700,
        ("agentmem_operation_latency_seconds",): 99_700,
    }


@pytest.mark.server
def test_promtool_reads_hostile_labels_and_a_bombs_page(hostile_families, bomb, promtool):
    for families in (hostile_families, bomb.collect()):
        page = encode(families, Format.TEXT)

        checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True)

        assert (checked.stdout + checked.stderr).decode() == ""
        assert checked.returncode == 0


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        # Prometheus 2.42 without and with --enable-feature=native-histograms
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
            "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format.OPENMETRICS,
        ),
        (
            f"{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,"
            "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,"
            "*/*;q=0.1",
            Format.PROTOBUF,
        ),
        # Prometheus 3.5 without and with it
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            Format.OPENMETRICS,
        ),
        (
            f"{PROTOBUF};q=0.6,"
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
            "application/openmetrics-text;version=0.0.1;q=0.4,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
            "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            Format.PROTOBUF,
        ),
        (f"{PROTOBUF};escaping=allow-utf-8;q=0.2,*/*;q=0.1", Format.PROTOBUF),
        # VictoriaMetrics, curl, a browser, nothing
        (
            "text/plain;version=0.0.4;q=1,*/*;q=0.1",
            Format.TEXT,
        ),
        ("*/*", Format.TEXT),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format.TEXT),
        ("", Format.TEXT),
        # weights decide, then the order
        (f"{PROTOBUF};q=0.3,application/openmetrics-text;q=0.4", Format.OPENMETRICS),
        (f"text/plain,{PROTOBUF}", Format.TEXT),
        (f"{PROTOBUF},text/plain", Format.PROTOBUF),
        ("application/openmetrics-text; version=0.0.1", Format.OPENMETRICS),
        (f"{PROTOBUF};q=0,application/openmetrics-text;q=0.1", Format.OPENMETRICS),
        # other protobuf, later versions, nonsense
        ("application/vnd.google.protobuf;q=1,text/plain;q=0.1", Format.TEXT),
        (PROTOBUF.replace("delimited", "text"), Format.TEXT),
        ('Application/OpenMetrics-Text; Version="1.0.0"; Q=1', Format.OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0", Format.TEXT),
        ("application/openmetrics-text;q=nan", Format.TEXT),
        ("application/openmetrics-text;q=1e9", Format.TEXT),
        ("application/openmetrics-text;q=, ;;q=1, =;=, ,", Format.TEXT),
    ],
)
def test_a_scraper_gets_the_format_it_wants_most(accept, format):
    assert negotiate(accept) is format


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("identity", False),
        ("", False),
        ("xgzip", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(accept_encoding, accepted):
    assert accepts_gzip(accept_encoding) is accepted


def test_what_is_not_wanted_is_no_choice():
    assert [choice.value for choice in choices("a;q=0.1, b;q=0, c;q=2, d")] == ["d", "a"]
