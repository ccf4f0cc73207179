# /// script
# dependencies = ["agentmem-observe", "playwright", "markdown-it-py", "pillow"]
# ///
"""Makes pictures of the dashboards without Grafana, from a Prometheus that scrapes us.

``python docs/images/boards.py --prometheus http://127.0.0.1:9090 --output docs/images/`` asks it
what the dashboards ask, and draws the answers as the dashboards say; Chromium (``--chromium``)
turns each page into a PNG. What is drawn says that it is not Grafana.
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from drawing.page import WIDTH, Page
from drawing.source import Source
from PIL import Image
from playwright.sync_api import sync_playwright

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
NATIVE, CLASSIC = "seconds", "seconds_bucket"


def pages(options: argparse.Namespace) -> Iterator[Page]:
    """Yield each dashboard that is to be drawn."""
    end = options.end or time.time()
    version = _get(options.prometheus, "status/buildinfo")["version"]
    names = _get(options.prometheus, "label/__name__/values")
    found = NATIVE if "agentmem_operation_latency_seconds" in names else CLASSIC
    given = dict(each.split("=", 1) for each in options.variable)
    for path in sorted(DASHBOARDS.glob("*.json")):
        if options.only and path.stem not in options.only:
            continue
        board = json.loads(path.read_text())
        chosen = {"histograms": found, **given}
        source = Source(
            options.prometheus,
            end - options.minutes * 60,
            end,
            options.scrape_seconds,
            {each["name"]: _value(each, chosen) for each in board["templating"]["list"]},
        )
        yield Page(board, source, version, dict(_shown(board, chosen)))


def _value(variable: Mapping[str, Any], chosen: Mapping[str, str]) -> str:
    return chosen.get(variable["name"], variable.get("allValue", ".*"))


def _shown(board: Mapping[str, Any], chosen: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for variable in board["templating"]["list"]:
        default = "Prometheus" if variable["type"] == "datasource" else "All"
        yield variable["label"], chosen.get(variable["name"], default)


def _get(url: str, what: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1/{what}") as response:
        return json.load(response)["data"]


def main() -> None:
    """Write ``board-NAME.png`` for each dashboard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="names, such as overview; all by default")
    parser.add_argument("--prometheus", required=True, metavar="URL", help="what to ask")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, metavar="DIR")
    parser.add_argument("--minutes", type=float, default=60, help="how far back to look")
    parser.add_argument("--end", type=float, help="until when, in seconds since 1970; now")
    parser.add_argument("--scrape-seconds", type=float, default=2, help="how often it scrapes")
    parser.add_argument("--variable", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--html", action="store_true", help="leave the pages there too")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=options.chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        opened = browser.new_page(viewport={"width": WIDTH, "height": 900})
        for page in pages(options):
            name = f"board-{page.board['uid'].partition('-')[2]}"
            file = Path(options.output if options.html else directory, f"{name}.html")
            file.write_text(page.render())
            opened.goto(file.absolute().as_uri())
            picture = Image.open(BytesIO(opened.screenshot(full_page=True))).convert("RGB")
            # A palette takes a third of the room; this one spares the thin lines' colours.
            method, undithered = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
            small = picture.quantize(255, method, kmeans=3, dither=undithered)
            small.save(options.output / f"{name}.png", optimize=True)
            print(f"Wrote {options.output / name}.png")  # noqa: T201  a script's own output
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
