"""What may follow --export, and what is said of what may not."""

from pathlib import Path

import click
import pytest

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
