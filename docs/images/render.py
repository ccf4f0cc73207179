# /// script
# dependencies = ["agentmem-observe", "matplotlib"]
# ///
"""Makes the pictures of the README from real runs: ``python docs/images/render.py``.

The terminal picture is what the command printed on a terminal of 100 columns; the chart is one
minute of load on the real clock per method. Chromium (``--chromium``) turns the first into a PNG.
"""

import argparse
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter
from rich.console import Console
from rich.text import Text

from agentmem_observe.measure.histogram import Histogram
from agentmem_observe.measure.recorder import Aggregate, fold
from agentmem_observe.suite.self import omission
from agentmem_observe.units import format_seconds
from agentmem_observe.workload.driver import open_loop

HERE = Path(__file__).parent
COLUMNS = 100
COMMAND = [
    "agentmem-observe",
    "run",
    "--category",
    "storage",
    "--params",
    "data_complexity_levels=[1]",
]
CASE = omission.Case()


def terminal_output(command: list[str], directory: str) -> str:
    """Return what a command prints on a terminal."""
    leader, follower = pty.openpty()
    environ = os.environ | {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    with subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, env=environ, cwd=directory
    ):
        os.close(follower)
        printed = b""
        try:
            while data := os.read(leader, 65536):
                printed += data
        except OSError:  # the terminal's other end is closed: the command has ended
            pass
    return printed.decode()


def final_screen(printed: str) -> str:
    """Return the text that stays after the live display has rewritten itself."""
    lines: list[str] = [""]
    row = 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", printed):
        if part == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif part == "\r":
            pass  # rich clears the line before it writes it again
        elif match := re.fullmatch(r"\x1b\[(\d*)A", part):
            row = max(0, row - int(match[1] or 1))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif not re.fullmatch(r"\x1b\[\?25[lh]", part):
            lines[row] += part
    return "\n".join(lines).rstrip()


def draw_terminal(chromium: str) -> None:
    """Write ``terminal.png``."""
    with tempfile.TemporaryDirectory() as directory:
        screen = final_screen(terminal_output(COMMAND, directory))
        console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
        console.print(Text(f"$ {' '.join(COMMAND)}", style="bold"))
        console.print(Text.from_ansi(screen))
        svg = Path(directory, "terminal.svg")
        console.save_svg(str(svg), title="agentmem-observe")
        size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg.read_text())
        assert size is not None
        width, height = (round(float(value)) for value in size.groups())
        page = Path(directory, "page.html")
        page.write_text(f'<body style="margin:0"><img src="terminal.svg" width="{width}"></body>')
        subprocess.run(
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--hide-scrollbars",
                "--default-background-color=00000000",
                f"--user-data-dir={directory}/profile",
                f"--window-size={width},{height}",
                f"--screenshot={HERE / 'terminal.png'}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
        )


def measured() -> dict[str, Histogram]:
    """Return the latencies that each method reports, on the real clock."""
    aggregate = Aggregate()
    with omission.frozen_target(CASE) as target:
        script = omission.script(CASE, target)
        open_loop(script, CASE.arrivals, lambda batch: aggregate.merge(fold(batch)))
    with omission.frozen_target(CASE) as target:
        seed = omission.seed_method(CASE, target, lambda work: None)
    return {
        "truth (arithmetic)": omission.truth(CASE),
        "agentmem-observe": aggregate.total().latency,
        "closed loop, as commonly written": seed,
    }


def draw_chart() -> None:
    """Write ``stalls.png``: latency by percentile, on the axis of HdrHistogram."""
    matplotlib.use("Agg")
    nines = [1 / (1 - share / 1000) for share in range(999)] + [1000, 2000, 3000, 6000]
    styles = {"truth (arithmetic)": dict(color="#999", linewidth=5, alpha=0.6)}
    figure, axes = plt.subplots(figsize=(9, 4.2), dpi=120)
    for name, histogram in measured().items():
        latencies = [histogram.percentile(100 * (1 - 1 / n)) for n in nines]
        axes.plot(nines, latencies, label=name, **styles.get(name, dict(linewidth=2)))
    axes.set(xscale="log", yscale="log", xlim=(1, 6000))
    ticks = {1: "0", 2: "p50", 10: "p90", 100: "p99", 1000: "p99.9"}
    axes.set_xticks([*ticks], [*ticks.values()])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_seconds(value)))
    axes.set_title(
        "What a user waits when the memory stalls for 1 s in every 10 s (100 operations/s)",
        fontsize=11,
    )
    axes.set_ylabel("latency")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(HERE / "stalls.png")


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", default="chromium", help="the browser that takes pictures")
    parser.add_argument("only", nargs="?", choices=["terminal", "chart"])
    options = parser.parse_args()
    if options.only != "chart":
        draw_terminal(options.chromium)
    if options.only != "terminal":
        draw_chart()


if __name__ == "__main__":
    sys.exit(main())
