"""What ``agentmem-observe alerts`` does, once its options are read."""

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import click

from agentmem_observe.alerts.build import build_files, check_rules
from agentmem_observe.alerts.thresholds import load_thresholds
from agentmem_observe.cli.generating import tell_drift, write_and_tell


def build(*, thresholds_file: Path | None, output_dir: Path) -> None:
    """Write the files that are not as they should be, and say which.

    Raises:
        AgentMemObserveError: If the thresholds are refused, or a file cannot be written.
    """
    files = _files(thresholds_file, output_dir)
    write_and_tell(files, f"All {len(files)} files in {output_dir} are as they should be")


def check(*, thresholds_file: Path | None, output_dir: Path) -> int:
    """Compare the files with what would be made now, and have promtool look at the rules.

    Returns:
        The exit code: 1 if something is wrong.

    Raises:
        AgentMemObserveError: If the thresholds are refused, or a file cannot be read.
    """
    files = _files(thresholds_file, output_dir)
    if tell_drift(files, _command(thresholds_file, output_dir)):
        return 1
    promtool = shutil.which("promtool")
    if promtool is not None and (wrong := check_rules(promtool, output_dir)):
        click.echo(wrong)
        return 1
    looked = "promtool takes the rules" if promtool else "promtool is not on the PATH"
    click.echo(f"All {len(files)} files in {output_dir} are as they should be; {looked}", err=True)
    return 0


def _files(thresholds_file: Path | None, output_dir: Path) -> Mapping[Path, str]:
    made = build_files(load_thresholds(thresholds_file))
    return {output_dir / path: text for path, text in made.items()}


def _command(thresholds_file: Path | None, output_dir: Path) -> str:
    words = ["agentmem-observe", "alerts", "build"]
    if thresholds_file is not None:
        words += ["--thresholds", str(thresholds_file)]
    if output_dir != Path("deploy"):
        words += ["--output-dir", str(output_dir)]
    return shlex.join(words)
