"""The command line: one file per verb; parse, call, print, exit code.

Standard output is data, standard error is talk. Exit codes: 0 fine, 1 failed or wrong usage, 2 a
performance regression and nothing else.
"""

import errno
import logging
import os
import sys
from collections.abc import Sequence

import click
from click.exceptions import NoArgsIsHelpError

from agentmem_observe import __version__
from agentmem_observe.cli.lazy import load
from agentmem_observe.cli.logs import Log
from agentmem_observe.cli.mistakes import explain
from agentmem_observe.errors import AgentMemObserveError

VERBS = {
    "alerts": "agentmem_observe.cli.alerts:alerts",
    "backfill": "agentmem_observe.cli.backfill:backfill",
    "compare": "agentmem_observe.cli.compare:compare",
    "daemon": "agentmem_observe.cli.daemon:daemon",
    "dashboards": "agentmem_observe.cli.dashboards:dashboards",
    "duel": "agentmem_observe.cli.duel:duel",
    "list": "agentmem_observe.cli.list:list_benchmarks",
    "results": "agentmem_observe.cli.results:results",
    "run": "agentmem_observe.cli.run:run",
}
"""Each verb's options; what it does is loaded when it runs, not for its ``--help``."""

_OUTPUT_FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

SUMMARIES = {
    "alerts": "Make rules for Prometheus and routing for Alertmanager.",
    "backfill": "Turn result files into blocks of Prometheus.",
    "compare": "Compare two directories of results, and say what got worse.",
    "daemon": "Soak memories and run benchmarks on schedule, for months.",
    "dashboards": "Make Grafana dashboards, check them, or send them to a Grafana.",
    "duel": "Say whether one memory is slower than another, or its older self.",
    "list": "List the benchmarks, their parameters and defaults.",
    "results": "Look at result files.",
    "run": "Run benchmarks and save a result file for each.",
}


class _Verbs(click.Group):
    """Loads a verb's module when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command: click.Command | None = load(VERBS[cmd_name]) if cmd_name in VERBS else None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(SUMMARIES.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="agentmem-observe")
def cli() -> None:
    """Benchmark the memory of AI agents, with numbers that say whether they can be trusted.

    \b
    Examples:
      agentmem-observe run --category storage
      agentmem-observe run --export json | jq '.[].metadata.validity'
      agentmem-observe daemon
      agentmem-observe list
      agentmem-observe results list
      agentmem-observe compare --current-dir new --baseline-dir old
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the program's name; the process's own if None.

    Returns:
        The exit code.
    """
    log = Log()
    try:
        return _main(arguments, log)
    finally:
        log.close()


def _main(arguments: Sequence[str] | None, log: Log) -> int:
    try:
        code = cli.main(arguments, prog_name="agentmem-observe", standalone_mode=False, obj=log)
        return code if isinstance(code, int) else 0
    except NoArgsIsHelpError as error:
        error.show()
        return 1
    except click.ClickException as error:  # click exits with 2 here: that is taken
        log.fail(explain(error), type(error).__name__)
        return 1
    except click.Abort:
        log.say("command_interrupted", "Interrupted.", level=logging.WARNING)
        return 1
    except AgentMemObserveError as error:
        log.fail(str(error), type(error).__name__)
        return error.exit_code
    except BrokenPipeError:  # whoever read our output has had enough, as `head` does
        _forget_standard_output()
        return 1
    except OSError as error:  # one about a file has its name; files of ours are handled below
        if error.errno not in _OUTPUT_FAILURES or error.filename is not None:
            raise
        _forget_standard_output()
        log.fail(f"standard output cannot be written: {error.strerror}", type(error).__name__)
        return 1


def _forget_standard_output() -> None:
    """Send what is still buffered nowhere; else Python tries again, and complains, at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
