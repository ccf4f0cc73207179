"""What may follow --export, and what is said of what may not."""

import json
import re
import socket
from pathlib import Path

import click
import pytest

from agentmem_observe.bench.runner import BenchmarkRunner
from agentmem_observe.cli.exports import METAVAR, Export, parse_export


@click.command()
@click.option(
    "--export", "exports", multiple=True, type=parse_export, metavar=METAVAR, help="Export."
)
def export(exports: tuple[Export, ...]) -> tuple[Export, ...]:
    return exports


def parse(*values: str) -> tuple[Export, ...]:
    arguments = [word for value in values for word in ("--export", value)]
    return export.main(arguments, standalone_mode=False)


def test_json_goes_to_standard_output_and_metrics_to_a_file():
    found = parse("json", "prometheus=a/b=c.prom")

    assert found == (Export("json"), Export("prometheus", Path("a/b=c.prom")))


def test_nothing_is_exported_unless_asked_for():
    assert parse() == ()


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("prometheus", "'prometheus' needs a file: prometheus=FILE"),
        ("prometheus=", "'prometheus=' needs a file: prometheus=FILE"),
        ("json=out.json", "'json=out.json': json goes to standard output; write --export json > "),
        ("json=", "'json=': json goes to standard output; write --export json"),
        ("promtheus=x.prom", "'promtheus=x.prom' cannot be exported; did you mean 'prometheus'?"),
        ("jsno", "'jsno' cannot be exported; did you mean 'json'?"),
        ("csv", "'csv' cannot be exported; known: json, prometheus"),
        ("", "'' cannot be exported; known: json, prometheus"),
        ("JSON", "'JSON' cannot be exported; known: json, prometheus"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_the_cure(value, complaint):
    with pytest.raises(click.BadParameter) as caught:
        parse(value)

    assert caught.value.message.startswith(complaint)
    assert "'--export'" in caught.value.format_message()


def test_the_help_says_what_may_be_written():
    with click.Context(export) as context:
        assert "json|prometheus=FILE" in export.get_help(context)


def test_metrics_go_to_a_file_and_results_to_standard_output(command, suite, tmp_path):
    file = tmp_path / "metrics.prom"

    ran = command("run", "--suite", suite, "--category", "mine", "--benchmark", "fine",
                  "--output-dir", tmp_path / "r", "--export", "json",
                  "--export", f"prometheus={file}")  # fmt: skip

    (result,) = json.loads(ran.out)
    assert ran.code == 0
    assert ran.err.endswith(f"Wrote {file}\n")
    took = result["metadata"]["execution_time"]
    assert re.search(
        rf'^agentmem_benchmark_duration_seconds{{.*benchmark="fine".*}} {took!r}$',
        file.read_text(),
        re.MULTILINE,
    )


def test_a_gateway_that_is_down_costs_the_exit_code_and_nothing_else(command, suite, tmp_path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]

        ran = command("run", "--suite", suite, "--category", "mine", "--benchmark", "fine",
                      "--output-dir", tmp_path / "r", "--export", "json",
                      "--push-gateway", f"http://me:secret@127.0.0.1:{port}")  # fmt: skip

    assert ran.code == 1
    assert [result["benchmark"] for result in json.loads(ran.out)] == ["fine"]
    *_, last = ran.err.splitlines()
    assert last.startswith(f"Error: Pushgateway 127.0.0.1:{port} did not take the metrics: ")
    assert "secret" not in ran.err
    assert len(list((tmp_path / "r" / "mine").iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--export", "prometheus=metrics.txt"], "name it metrics.txt.prom"),
        (["--export", "prometheus=no/such/a.prom"], "there is no directory no/such"),
        (["--export", "prometheus=a.prom", "--export", "prometheus=b.prom"], "name one file"),
        (["--push-gateway", "ftp://me:secret@host"], "only http and https"),
    ],
)
def test_what_could_not_be_exported_is_refused_before_anything_runs(
    options, complaint, command, suite, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    began: list[object] = []
    monkeypatch.setattr(BenchmarkRunner, "run", lambda *_, **__: began.append("it runs") or [])

    ran = command("run", "--suite", suite, "--output-dir", "r", *options)

    assert ran.code == 1
    assert complaint in ran.err
    assert "secret" not in ran.err
    assert began == []
