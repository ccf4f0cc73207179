"""What the variables ask for, and how they are refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from agentmem_observe.errors import ConfigError, UsageError
from agentmem_observe.telemetry.otel_environment import (
    Destination,
    QueueLimits,
    read_settings,
    wants_otlp,
)

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
LOCAL = {ENDPOINT: "http://localhost:4318"}
FILE = Path("telemetry.jsonl")


@pytest.mark.parametrize(
    ("environ", "file", "wanted"),
    [
        ({}, None, False),
        ({}, FILE, True),
        (LOCAL, None, True),
        ({ENDPOINT: "  "}, None, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost"}, None, True),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://localhost"}, None, False),
        (LOCAL | {"OTEL_SDK_DISABLED": "True"}, None, False),
        (LOCAL | {"OTEL_SDK_DISABLED": "false"}, None, True),
        (LOCAL | {"OTEL_TRACES_EXPORTER": "none"}, None, True),
        (
            LOCAL | {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "prometheus"},
            None,
            False,
        ),
        ({"OTEL_TRACES_EXPORTER": "console"}, None, True),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, None, True),
        ({"OTEL_BSP_SCHEDULE_DELAY": "soon", "OTEL_SDK_DISABLED": "1"}, None, False),
    ],
)
def test_opentelemetry_is_loaded_only_for_what_is_asked_for(
    environ: dict[str, str], file: Path | None, wanted: bool
):
    assert wants_otlp(environ, file) is wanted


def test_a_file_with_opentelemetry_switched_off_is_refused():
    with pytest.raises(
        UsageError, match=r"^--otlp-file telemetry\.jsonl with OTEL_SDK_DISABLED='true'"
    ):
        wants_otlp({"OTEL_SDK_DISABLED": "true"}, FILE)


def test_the_defaults_are_those_of_the_standard():
    settings = read_settings(LOCAL)

    assert settings.spans.otlp == Destination(
        "http://localhost:4318/v1/traces", "http://localhost:4318", "http/protobuf", "none", 10.0
    )
    assert settings.metrics.otlp is not None
    assert settings.metrics.otlp.endpoint == "http://localhost:4318/v1/metrics"
    assert settings.queue == QueueLimits(delay_seconds=5.0, spans=2048, batch=512)
    assert (settings.interval_seconds, settings.push_timeout_seconds) == (60.0, 30.0)
    assert (settings.delta, settings.exponential, settings.exemplars) == (False, True, True)


@pytest.mark.parametrize(
    ("environ", "endpoint", "protocol"),
    [
        ({ENDPOINT: "http://a:4318/base/"}, "http://a:4318/base/v1/traces", "http/protobuf"),
        ({ENDPOINT: "http://a:4317"}, "http://a:4317", "grpc"),
        ({ENDPOINT: "localhost:4317"}, "localhost:4317", "grpc"),
        ({ENDPOINT: "http://a:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://a:1", "grpc"),
        (
            LOCAL | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://b/own"},
            "https://b/own",
            "http/protobuf",
        ),
        (
            {
                ENDPOINT: "http://a:1",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
            },
            "http://a:1",
            "grpc",
        ),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4318/v1/traces", "http/protobuf"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "http://localhost:4317",
            "grpc",
        ),
    ],
)
def test_spans_go_where_the_variables_say(environ: dict[str, str], endpoint: str, protocol: str):
    destination = read_settings(environ).spans.otlp

    assert destination is not None
    assert (destination.endpoint, destination.protocol) == (endpoint, protocol)


def test_every_other_variable_is_followed():
    settings = read_settings(
        LOCAL
        | {
            "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
            "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "0.5",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": "deflate",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_BSP_MAX_QUEUE_SIZE": "10",
            "OTEL_METRIC_EXPORT_INTERVAL": "1500",
            "OTEL_METRIC_EXPORT_TIMEOUT": "700",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "DELTA",
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": (
                "explicit_bucket_histogram"
            ),
            "OTEL_METRICS_EXEMPLAR_FILTER": "always_off",
            "OTEL_TRACES_EXPORTER": "otlp, console",
        }
    )

    assert settings.spans.console
    assert not settings.metrics.console
    assert settings.spans.otlp is not None
    assert settings.metrics.otlp is not None
    assert settings.spans.otlp[3:] == ("gzip", 3.0)
    assert settings.metrics.otlp[3:] == ("deflate", 0.5)
    assert settings.queue == QueueLimits(delay_seconds=0.1, spans=10, batch=10)
    assert (settings.interval_seconds, settings.push_timeout_seconds) == (1.5, 0.7)
    assert (settings.delta, settings.exponential, settings.exemplars) == (True, False, False)


REFUSED = [
    (
        {ENDPOINT: "http://me:hunter2@localhost:port"},
        f"{ENDPOINT}: not a URL (not shown, it may hold a secret); write it as "
        "http://localhost:4318 or https://host/path",
    ),
    (
        {ENDPOINT: "https:// hunter2"},
        f"{ENDPOINT}: not a URL (not shown, it may hold a secret); write it as "
        "http://localhost:4318 or https://host/path",
    ),
    (
        {ENDPOINT: "ftp://me:hunter2@localhost/hunter2"},
        f"{ENDPOINT}='ftp://localhost': with http/protobuf it must begin with http:// or https://",
    ),
    (
        {ENDPOINT: "localhost:4318"},
        f"{ENDPOINT}='localhost:4318': with http/protobuf it must begin with http:// or https://",
    ),
    (
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://me:hunter2@[::1]:4317"},
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT='http://[::1]:4317': gRPC takes no user in a URL; use "
        "OTEL_EXPORTER_OTLP_HEADERS",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http"},
        "OTEL_EXPORTER_OTLP_PROTOCOL='http': known: grpc, http/protobuf",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json"},
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL='http/json': JSON is only written to files; use "
        "'http/protobuf'",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_HEADERS": "x=1,hunter2"},
        "OTEL_EXPORTER_OTLP_HEADERS: entry 2 (not shown, it may be a secret) is not name=value in "
        "ASCII; separate entries by commas and percent-encode what is special",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_HEADERS": "cookie=hunter2; path=/"},
        "OTEL_EXPORTER_OTLP_HEADERS: entry 1 (not shown, it may be a secret) is not name=value in "
        "ASCII; separate entries by commas and percent-encode what is special",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=hunter2%0a"},
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS: entry 1 (not shown, it may be a secret) is not "
        "name=value in ASCII; separate entries by commas and percent-encode what is special",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
        "OTEL_EXPORTER_OTLP_TIMEOUT='soon': give a number, 0.001 or more",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "nan"},
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT='nan': give a number, 0.001 or more",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"},
        "OTEL_EXPORTER_OTLP_COMPRESSION='zip': did you mean 'gzip'?",
    ),
    (
        {ENDPOINT: "http://a:4317", "OTEL_EXPORTER_OTLP_COMPRESSION": "deflate"},
        "OTEL_EXPORTER_OTLP_COMPRESSION='deflate': known: gzip, none",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"},
        "OTEL_EXPORTER_OTLP_CERTIFICATE='/nowhere/ca.pem': cannot be read: No such file or "
        "directory; name a PEM file",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_INSECURE": "yes"},
        "OTEL_EXPORTER_OTLP_INSECURE='yes': known: false, true",
    ),
    (
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        "OTEL_TRACES_EXPORTER='zipkin': known: console, none, otlp",
    ),
    (LOCAL | {"OTEL_SDK_DISABLED": "1"}, "OTEL_SDK_DISABLED='1': known: false, true"),
    (
        LOCAL | {"OTEL_BSP_MAX_QUEUE_SIZE": "many"},
        "OTEL_BSP_MAX_QUEUE_SIZE='many': give a whole number, 1 or more",
    ),
    (
        LOCAL | {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "11"},
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE='11': must not exceed OTEL_BSP_MAX_QUEUE_SIZE=10",
    ),
    (
        LOCAL | {"OTEL_METRIC_EXPORT_INTERVAL": "0"},
        "OTEL_METRIC_EXPORT_INTERVAL='0': give a whole number, 1 or more",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "deltas"},
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE='deltas': did you mean 'delta'?",
    ),
    (
        LOCAL | {"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "sum"},
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION='sum': known: "
        "base2_exponential_bucket_histogram, explicit_bucket_histogram",
    ),
    (
        LOCAL | {"OTEL_METRICS_EXEMPLAR_FILTER": "never"},
        "OTEL_METRICS_EXEMPLAR_FILTER='never': known: always_off, always_on, trace_based",
    ),
    (
        LOCAL | {"OTEL_TRACES_SAMPLER": "alwayson"},
        "OTEL_TRACES_SAMPLER='alwayson': did you mean 'always_on'?",
    ),
    (
        LOCAL | {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "5"},
        "OTEL_TRACES_SAMPLER_ARG='5': give a ratio from 0 to 1",
    ),
    (
        LOCAL | {"OTEL_PROPAGATORS": "tracecontext,tracecontxt"},
        "OTEL_PROPAGATORS='tracecontxt': did you mean 'tracecontext'?",
    ),
    (
        LOCAL | {"OTEL_SPAN_LINK_COUNT_LIMIT": "-1"},
        "OTEL_SPAN_LINK_COUNT_LIMIT='-1': give a whole number, 0 or more",
    ),
    (
        LOCAL | {"OTEL_RESOURCE_ATTRIBUTES": "a=1,b"},
        "OTEL_RESOURCE_ATTRIBUTES: entry 2, 'b', is not key=value; separate entries by commas and "
        "percent-encode what is special",
    ),
    (
        LOCAL | {"OTEL_CONFIG_FILE": "otel.yaml"},
        "OTEL_CONFIG_FILE='otel.yaml': configuration files are not read; set variables",
    ),
]


@pytest.mark.parametrize(("environ", "message"), REFUSED)
def test_nonsense_is_refused_by_name_with_the_cure_and_without_secrets(
    environ: dict[str, str], message: str
):
    with pytest.raises(ConfigError) as caught:
        wants_otlp(environ) and read_settings(environ)

    assert str(caught.value) == message
    assert "hunter2" not in message


LOADED = """
import sys
{code}
print(*(name for name in sys.modules if name.startswith(("opentelemetry", "grpc", "requests"))))
"""


@pytest.mark.parametrize(
    "code",
    [
        "import agentmem_observe.cli",
        "import agentmem_observe.cli.run",
        "from agentmem_observe.telemetry.otlp_start import start_otlp\n"
        "from agentmem_observe.telemetry.registry import MetricRegistry\n"
        "assert start_otlp(MetricRegistry()) is None",
    ],
)
def test_opentelemetry_is_not_imported_where_nothing_is_sent(code: str):
    ended = subprocess.run(
        [sys.executable, "-c", LOADED.format(code=code)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout.split() == []
    assert ended.stderr == ""


def test_what_is_asked_for_is_started(
    tmp_path: Path,
):
    code = (
        "from pathlib import Path\n"
        "from agentmem_observe.telemetry.otlp_start import start_otlp\n"
        "from agentmem_observe.telemetry.registry import MetricRegistry\n"
        f"start_otlp(MetricRegistry(), file=Path({str(tmp_path / 'out.jsonl')!r})).close()"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )

    assert (ended.stdout, ended.stderr) == ("", "")
    assert (tmp_path / "out.jsonl").read_text().startswith('{"resourceMetrics":')
