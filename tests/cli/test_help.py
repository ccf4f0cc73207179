"""Every command explains itself, and no wrong option of any command is a regression."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from agentmem_observe import __version__
from agentmem_observe.cli import SUMMARIES, VERBS, cli


def commands(
    command: click.Command = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command there is with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


COMMANDS = dict(commands())
every_command = pytest.mark.parametrize("path", COMMANDS, ids=lambda path: "-".join(path) or "-")


@every_command
def test_a_command_has_the_help_that_was_reviewed(path, command, golden):
    ran = command(*path, "--help")

    assert (ran.code, ran.err) == (0, "")
    golden(f"help/{'-'.join(path) or 'agentmem-observe'}.txt", ran.out)


@every_command
def test_a_commands_help_fits_into_80_columns(path, command):
    ran = command(*path, "--help")

    assert max(map(len, ran.out.splitlines())) <= 80


@every_command
def test_every_option_of_a_command_says_what_it_does(path):
    silent = [
        option.name
        for option in COMMANDS[path].params
        if isinstance(option, click.Option) and not option.help
    ]

    assert COMMANDS[path].help
    assert silent == []


@every_command
@pytest.mark.parametrize("wrong", ["--no-such-option", "-%", "--help=yes", "surplus"])
def test_wrong_words_after_any_command_exit_with_1(path, wrong, command):
    ran = command(*path, wrong)

    assert ran.code == 1
    assert "Error: " in ran.err
    assert ran.out == ""


@every_command
def test_an_option_without_its_value_exits_with_1(path, command):
    for option in COMMANDS[path].params:
        if isinstance(option, click.Option) and not option.is_flag:
            ran = command(*path, option.opts[0])

            assert ran.code == 1
            assert option.opts[0] in ran.err


def test_every_verb_is_in_the_summary_of_the_program():
    assert set(SUMMARIES) == set(VERBS)


def test_the_version_is_the_packages(command):
    ran = command("--version")

    assert (ran.code, ran.out) == (0, f"agentmem-observe, version {__version__}\n")


@pytest.mark.parametrize("group", [(), ("results",)])
def test_a_group_alone_shows_its_help_and_exits_with_1(group, command):
    ran = command(*group)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == command(*group, "--help").out


def test_the_process_itself_exits_with_1_for_a_typo():
    ended = subprocess.run(
        [sys.executable, "-m", "agentmem_observe", "run", "--catgory", "storage"],
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "--category" in ended.stderr
