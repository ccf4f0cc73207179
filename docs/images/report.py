# /// script
# dependencies = ["agentmem-observe", "playwright"]
# ///
"""Makes the picture of the report from real results: ``python docs/images/report.py DIR``.

DIR has results of ``agentmem-observe run``; ``--baseline-dir`` names others. Chromium
(``--chromium``) opens the page.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from agentmem_observe.results.store import BenchmarkResults

HERE = Path(__file__).parent
WIDTH, HEIGHT = 1240, 1200
SCALE = 1.2


def main() -> None:
    """Write ``report.png``: the beginning of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", help="of results")
    parser.add_argument("--baseline-dir", help="of results to compare them with")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        page = Path(directory, "report.html")
        html = BenchmarkResults(options.directory).render_report(baseline_dir=options.baseline_dir)
        page.write_text(html)
        browser = playwright.chromium.launch(
            executable_path=options.chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        opened = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="light",
            device_scale_factor=SCALE,
        )
        opened.goto(page.as_uri())
        opened.screenshot(path=HERE / "report.png")
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
