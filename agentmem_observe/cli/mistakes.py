"""What is wrong with a command line, said as our own errors say it: what, the value, the cure."""

import re

import click

from agentmem_observe.errors import did_you_mean

_SURPLUS = re.compile(r"Got unexpected extra arguments? \((.*)\)")


def explain(error: click.ClickException) -> str:
    """Return what click refused, in our words.

    Args:
        error: What it raised.
    """
    match error:
        case click.NoSuchCommand(ctx=click.Context(command=click.Group() as group) as context):
            hint = did_you_mean(error.command_name, group.list_commands(context))
            return f"no such command {error.command_name!r}; {hint}"
        case click.NoSuchOption():
            near = error.possibilities
            cure = f"did you mean {near[0]!r}?" if near else _see_help(error)
            return f"no such option {error.option_name!r}; {cure}"
        case click.MissingParameter(param=click.Parameter() as missing, ctx=click.Context() as at):
            usage = " ".join([at.command_path, *at.command.collect_usage_pieces(at)])
            return f"no {missing.make_metavar(at)} is given; write {usage}"
        case click.BadParameter(param=click.Parameter() as parameter):
            return f"{parameter.opts[0]}: {_bad_value(error, parameter.type)}"
    message = error.message.removesuffix(".")
    if surplus := _SURPLUS.fullmatch(message):
        message = f"unexpected argument {surplus[1]!r}"
    return f"{message[:1].lower()}{message[1:]}; {_see_help(error)}"


def _bad_value(error: click.BadParameter, kind: object) -> str:
    message = error.message.removesuffix(".")
    value, is_not, _ = message.partition(" is not ")
    if not is_not or not isinstance(kind, click.IntRange | click.FloatRange):
        return message
    noun = "a whole number" if isinstance(kind, click.IntRange) else "a number"
    limits = ((">", kind.min, kind.min_open), ("<", kind.max, kind.max_open))
    bounds = [f"{sign}{'=' * (not open)} {at}" for sign, at, open in limits if at is not None]
    return f"{value} is not {noun} {' and '.join(bounds)}".rstrip()


def _see_help(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"see {context.command_path} --help" if context else "see --help"
