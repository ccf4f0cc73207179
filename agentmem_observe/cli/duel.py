"""``agentmem-observe duel``: its options. What it does is in `cli.duelling`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from agentmem_observe.cli.lazy import load
from agentmem_observe.cli.options import as_json, log_format, number_of_seconds, seed

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _both(name: str, *, multiple: bool = False, metavar: str, text: str) -> _Decorator:
    """Return an option that each side has of its own."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for side in "ba":
            command = click.option(
                f"--{name}-{side}",
                multiple=multiple,
                metavar=metavar,
                help=text if side == "a" else "The same for B.",
            )(command)
        return command

    return add


def _share(context: click.Context, option: click.Parameter, text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise click.BadParameter(f"{text!r} is no change; write 1% or 0.01")
    return share


@click.command()
@click.argument("a")
@click.argument("b", required=False)
@_both(
    "commit",
    metavar="REV",
    text="Take A's code from this commit of the repository that is here.",
)
@_both(
    "pythonpath",
    multiple=True,
    metavar="DIR",
    text="Import A's code from DIR before anything else, such as another checkout. Repeatable.",
)
@_both(
    "python",
    metavar="PATH",
    text="Run A with this interpreter, or that of this virtual environment.",
)
@_both(
    "env",
    multiple=True,
    metavar="NAME=VALUE",
    text="Set a variable of A's process. Repeatable.",
)
@click.option(
    "--threshold",
    default="1%",
    show_default=True,
    metavar="SHARE",
    callback=_share,
    help="A change that is surely smaller is as good as none.",
)
@click.option(
    "--rounds",
    default=25,
    show_default=True,
    type=click.IntRange(3, 200),
    metavar="N",
    help="The most rounds; fewer if the verdict is sure before.",
)
@click.option(
    "--seconds",
    default=10.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    callback=number_of_seconds,
    metavar="S",
    help="Begin no round after so much time of measuring; starting processes is not in it.",
)
@click.option(
    "--mix",
    multiple=True,
    metavar="NAME=WEIGHT",
    help="How often an operation comes: create_memory, retrieve_memory, search_memory. All three "
    "alike by default. Repeatable.",
)
@click.option(
    "--records",
    default=500,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Records that each side holds before the first operation.",
)
@seed
@click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    callback=number_of_seconds,
    metavar="S",
    help="A side that does not answer for so long has failed.",
)
@as_json
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the same JSON to FILE.",
)
@click.option("--force", is_flag=True, help="Replace FILE.")
@log_format
def duel(**options: Any) -> int:
    """Say whether B is slower than A, as far as this machine lets anybody know.

    A and B are targets, as for run --target. They take turns on one CPU, in a fresh pair of
    processes each round, until the verdict is sure or hopeless. B may be left out if something
    else makes it differ from A.

    \b
    Examples:
      agentmem-observe duel embedded 'embedded?codes=linear'
      agentmem-observe duel my_memory:make --commit-a main
      agentmem-observe duel my_memory:make --pythonpath-a ../main
      agentmem-observe duel my_memory:make --python-a ../old/.venv

    Exit code 2 if B is slower, 1 if a side fails, else 0.
    """
    code: int = load("agentmem_observe.cli.duelling:execute")(**options)
    return code
