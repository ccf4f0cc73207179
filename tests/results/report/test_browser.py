"""The page in a real Chromium: nothing overlaps or is cut, light, dark, on a phone, in print."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = pytest.mark.server

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
WIDTHS = (1280, 768, 375)
OVERLAPS = """() => {
  const hits = [];
  for (const plot of document.querySelectorAll("svg.plot")) {
    const texts = [...plot.querySelectorAll("text")]
      .map(t => [t.textContent, t.getBoundingClientRect()]);
    const frame = plot.getBoundingClientRect();
    texts.forEach(([a, p], i) => {
      if (p.left < frame.left - 1 || p.right > frame.right + 1 || p.bottom > frame.bottom + 1)
        hits.push(`${a} leaves its chart ${plot.getAttribute("aria-label")}`);
      texts.slice(i + 1).forEach(([b, q]) => {
        if (p.left < q.right && q.left < p.right && p.top + 2 < q.bottom && q.top + 2 < p.bottom)
          hits.push(`${a} on ${b}`);
      });
    });
  }
  return hits;
}"""
"""Each label that touches another of its chart, or leaves the chart."""

CUT = """() => [...document.querySelectorAll("h1, h2, h3, p, dd, li, figcaption, .badge, .card")]
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => e.textContent.slice(0, 60))"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def open_page(chromium, everything, results, tmp_path) -> Iterator[Open]:
    """Return a function that opens a page of everything; it may fetch and complain of nothing."""
    file = Path(tmp_path, "report.html")
    file.write_text(results.render_report())
    contexts, asked, said = [], [], []

    def open_page(width: int = 1280, theme: str = "light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, java_script_enabled=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert set(asked) <= {file.as_uri()}
    assert said == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_label_touches_another_or_leaves_its_chart(open_page, width):
    page = open_page(width)

    assert page.locator("svg.plot").count() > 10
    assert page.evaluate(OVERLAPS) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_page(open_page, width):
    page = open_page(width)

    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT) == []


def test_a_wide_table_scrolls_inside_of_itself(open_page):
    page = open_page(375)

    wider = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
        ".map(e => [getComputedStyle(e).overflowX, e.tabIndex])"
    )

    assert wider
    assert all(one == ["auto", 0] for one in wider)


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (375, "dark")])
def test_the_page_is_accessible(open_page, width, theme):
    page = open_page(width, theme)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")

    found = Axe().run(page)

    assert [(one["id"], one["impact"]) for one in found.response["violations"]] == []


def test_charts_follow_the_theme(open_page):
    colour = "getComputedStyle(document.querySelector('svg.plot text')).fill"

    assert open_page(theme="light").evaluate(colour) != open_page(theme="dark").evaluate(colour)


def test_words_in_charts_can_be_read_on_a_phone(open_page):
    page = open_page(375)

    sizes = page.evaluate(
        "[...document.querySelectorAll('svg.plot')].map(p => 12 * p.getBoundingClientRect().width"
        " / p.viewBox.baseVal.width)"
    )

    assert min(sizes) >= 9


def test_print_has_everything_in_light_colours(open_page, tmp_path):
    page = open_page(theme="dark")
    page.emulate_media(media="print")

    card = "getComputedStyle(document.querySelector('.card'))"
    background = page.evaluate(f"{card}.backgroundColor")
    unfolded = page.evaluate(
        "[...document.querySelectorAll('.figures .scroll')]"
        ".map(e => e.getBoundingClientRect().height)"
    )

    assert background == "rgb(255, 255, 255)"
    assert unfolded
    assert min(unfolded) > 0
    assert len(page.pdf(format="A4")) > 10_000


def test_no_table_is_cut_off_on_paper(open_page):
    page = open_page(702)  # between the margins of A4; the widest tables lie across
    page.emulate_media(media="print")

    cut = page.evaluate(
        "[...document.querySelectorAll('section:not(#resources, #runs, #figures) table')]"
        ".filter(e => e.getBoundingClientRect().right > 703)"
        ".map(e => e.parentElement.getAttribute('aria-label'))"
    )

    assert cut == []
