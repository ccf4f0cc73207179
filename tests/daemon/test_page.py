"""The status page in a real Chromium: what it shows, to whom, and when the daemon is gone."""

import json
import math
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentmem_observe.daemon.api import daemon_app
from agentmem_observe.telemetry.endpoint import HttpServer

NOW = 1_763_000_000.0  # of the scripted daemon
EVERY = 5.0
POINTS = 360


FLAGS = [
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")),
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
)
"""As strict as it gets: the page must do without inline code, markup from text, and eval."""

FILES = {
    file.name: file.read_text()
    for file in resources.files("agentmem_observe.daemon.page").iterdir()
    if file.name.endswith((".html", ".css", ".js", ".svg"))
}


def live(make, now: float, *, seed: int = 1, gaps: range = range(0), leak: float = 0.0, **figures):
    """Return half an hour of points of a job: what is usual, with a little noise."""
    noise = random.Random(seed)
    usual = {
        "rate": 50.0,
        "failed": 0.0,
        "p50": 0.0004,
        "p99": 0.002,
        "slowest": 0.004,
        "rss": 120 * 2**20,
    } | figures
    points = []
    for index in range(POINTS):
        if index in gaps:
            continue
        wave = 1 + 0.1 * math.sin(index / 25)
        points.append(
            make["point"](
                now - (POINTS - 1 - index) * EVERY,
                ok_per_second=usual["rate"] * noise.uniform(0.97, 1.0),
                failed_per_second=usual["failed"] * max(0.0, noise.gauss(0, 1)),
                latency_p50_seconds=usual["p50"] * wave * noise.lognormvariate(0, 0.05),
                latency_p99_seconds=usual["p99"]
                and usual["p99"] * wave * noise.lognormvariate(0, 0.3),
                latency_max_seconds=usual["slowest"] * wave * noise.lognormvariate(0, 0.4),
                rss_bytes=usual["rss"] + leak * index + noise.uniform(0, 2**18),
            )
        )
    return {"every_seconds": EVERY, "points": points}


def everything(make, now: float) -> Any:
    """Return a status in which all that can go wrong does, and some things go well."""
    soak, benchmark, run = make["soak"], make["benchmark"], make["run"]
    refused = "target redis://10.0.0.7:6379/0: connection refused; start it or correct the address"
    jobs = [
        soak(
            "checkout",
            state_since=now - 3 * 86400 - 4000,
            live=live(make, now, rss=118 * 2**20, leak=11_000),
            leak={
                "verdict": "leak",
                "reasons": [
                    "RSS grew in 30 of 30 windows while stored bytes stood still (p < 0.001)",
                    "at this rate the host's memory lasts 19 more hours; profile the allocations",
                ],
                "bytes_per_operation": 44.2,
                "slope_bytes_per_second": 2210.0,
            },
            drift={"verdict": "slower", "ratio": 1.12, "reasons": ["p99 rose for 9 hours"]},
        ),
        soak(
            "profile_store",
            target="langgraph+sqlite:///var/lib/agents/store.sqlite",
            what="1,200 operations a second",
            live=live(
                make,
                now,
                seed=2,
                rate=1200,
                slowest=0.01,
                failed=9,
                p50=9e-5,
                p99=8e-4,
                gaps=range(150, 190),
            ),
            validity={
                "verdict": "degraded",
                "reasons": ["the worker process waited for a CPU during 7 % of its time"],
            },
            leak={
                "verdict": "unknown",
                "reasons": ["observed for 25 min (limit 35 min): soak longer"],
                "bytes_per_operation": None,
                "slope_bytes_per_second": None,
            },
        ),
        soak(
            "replica",
            target="redis://10.0.0.7:6379/0",
            state="backing_off",
            state_since=now - 312,
            problem=refused,
            failures_in_a_row=4,
            phase="next attempt in 41 s",
            live=live(make, now, seed=3, gaps=range(296, 360), p99=None, slowest=0.4),
            validity={"verdict": "void", "reasons": ["no operation finished: see the errors"]},
            last_run=run(
                38, "replica", status="failed", cause="target down", reason=refused, validity=""
            ),
            leak=None,
            drift=None,
        ),
        benchmark(
            "nightly",
            state="running",
            state_since=now - 93,
            what="scalability/agent_scaling",
            progress=0.42,
            phase="10 agents: measure",
            next_due_at=now + 5 * 3600,
            last_run=run(41, "nightly", category="scalability", benchmark="agent_scaling"),
            live=live(
                make, now, seed=4, gaps=range(342), rate=21000, p50=4e-6, p99=2e-5, slowest=0.1
            ),
        ),
        benchmark("storage", state="waiting", next_due_at=now - 20, phase="after nightly"),
        benchmark(
            "once_only",
            state="finished",
            schedule="once",
            next_due_at=None,
            what="compression/tier_bytes",
            last_run=run(12, "once_only", status="skipped", cause="unsupported", validity=""),
        ),
    ]
    return make["status"](
        *jobs,
        now=now,
        settings={
            "file": "/etc/agentmem-observe/daemon.toml",
            "loaded_at": now - 86400,
            "problem": "daemon.toml: jobs.checkout.rate: -5 is not above 0; give one that is",
        },
        disk={
            "writable": False,
            "problem": "no space left on device",
            "pending": 3,
            "lost": 0,
            "bytes": 2_104_000_000,
            "warnings": ["state.sqlite was damaged and moved aside", "3 rows were lost"],
        },
    )


def runs(make, now: float) -> list[Any]:
    run = make["run"]
    oom = "the worker was killed by the kernel (out of memory); lower records or workers"
    kept = []
    for id in range(1, 43):
        changes: dict[str, Any] = {"started_at": now - (43 - id) * 1900.0}
        changes["ended_at"] = changes["started_at"] + 30 + 11.7 * (id % 7)
        if id % 9 == 5:
            changes |= {
                "status": "failed",
                "cause": "oom",
                "reason": oom,
                "validity": "",
                "figures": {},
            }
        if id % 8 == 0:
            changes |= {"validity": "degraded"}
        kept.append(run(id, ("nightly", "storage", "replica")[id % 3], **changes))
    return kept


def nothing_yet(make, now: float) -> Any:
    """Return the status of a daemon that has just started."""
    none = {"last_run": None, "validity": None, "live": {"every_seconds": EVERY, "points": []}}
    waiting = make["soak"](state="waiting", leak=None, drift=None, **none)
    counts = {"ok": 0, "failed": 0, "skipped": 0}
    return make["status"](waiting, make["benchmark"](runs=counts, **none), now=now)


def all_well(make, now: float) -> Any:
    return make["status"](make["soak"](live=live(make, now)), make["benchmark"](), now=now)


def without_jobs(make, now: float) -> Any:
    return make["status"](now=now)


SCENES = {scene.__name__: scene for scene in (everything, nothing_yet, all_well, without_jobs)}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def guarded(app: ASGIApp) -> ASGIApp:
    """Return the application with a content security policy on every answer."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"content-security-policy", POLICY.encode()))
            await send(message)

        await app(scope, receive, with_policy)

    return answer


@pytest.fixture
def url(controls, registry) -> Iterator[str]:
    with HttpServer(guarded(daemon_app(controls, registry))) as server:
        yield server.url


Open = Callable[..., Page]


@pytest.fixture
def open_page(chromium, url) -> Iterator[Open]:
    """Return a function that opens the page; afterwards nothing may have been complained about."""
    said: list[str] = []
    contexts = []

    def open_page(
        width: int = 1280, theme: str = "light", *, script: str = "", ready=True
    ) -> Page:
        viewport = {"width": width, "height": 900}
        context = chromium.new_context(viewport=viewport, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        if script:
            page.add_init_script(script)
        page.goto(url)
        if ready:
            expect(page.locator("#footer")).not_to_be_empty()
            expect(
                page.locator("#runs-table:not([hidden]), #no-runs:not([hidden])")
            ).to_be_visible()
        return page

    open_page.said = said  # type: ignore[attr-defined]  # for the test in which it must complain
    yield open_page
    for context in contexts:
        context.close()
    # A daemon that is gone is the one thing that browsers complain about by themselves.
    assert [text for text in said if "ERR_CONNECTION" not in text] == []


@pytest.fixture
def show(controls, make) -> Callable[..., None]:
    """Return a function that puts a scene on."""

    def show(scene: Callable[..., Any]) -> None:
        controls.shown = scene(make, NOW)
        controls.kept = runs(make, NOW) if scene is everything else []

    return show


def serious(page: Page) -> list[str]:
    """Return what axe-core finds serious or critical, with the elements it means."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html']}"
        for one in found
        for node in one["nodes"]
        if one["impact"] in ("serious", "critical")
    ]


def scrolls_sideways(page: Page) -> bool:
    root = "document.documentElement"
    return page.evaluate(f"{root}.scrollWidth > {root}.clientWidth")


@pytest.mark.server
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("reach", ["live", "week"])
def test_everybody_can_read_the_page_on_every_screen(
    open_page, controls, show, make, width, theme, reach
):
    show(everything)
    controls.trends = weeks(make)
    page = open_page(width, theme)
    page.locator("#ranges").get_by_text(reach).click()
    expect(page.locator("article.job").nth(3).locator(".plot .first").first).to_be_visible()

    assert not scrolls_sideways(page)
    assert serious(page) == []

    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")

    assert not scrolls_sideways(page)
    assert serious(page) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 19, 21)"
    assert dark == (theme == "dark")


@pytest.mark.server
@pytest.mark.parametrize(
    ("scene", "headline"),
    [
        (everything, "3 problems, 3 warnings"),
        (nothing_yet, "Nothing measured yet"),
        (all_well, "All well"),
        (without_jobs, "Nothing to watch"),
    ],
)
def test_the_first_line_says_how_things_are(open_page, show, scene, headline):
    show(scene)
    page = open_page()

    expect(page.locator("#headline")).to_have_text(headline)
    expect(page.locator("#findings li")).to_have_count(sum(map(int, re.findall(r"\d", headline))))
    assert headline in page.title()
    assert serious(page) == []


@pytest.mark.server
@pytest.mark.parametrize(
    ("changes", "headline", "level"),
    [
        ({"failures_in_a_row": 1, "problem": "it died"}, "checkout failed", "warn"),
        (
            {"failures_in_a_row": 3, "problem": "it died"},
            "checkout failed 3 times in a row",
            "bad",
        ),
        ({"leak": {"verdict": "leak"}}, "checkout leaks", "bad"),
        ({"leak": {"verdict": "suspected"}}, "checkout may leak", "warn"),
        ({"leak": {"verdict": "unknown"}}, "All well", "good"),
        ({"drift": {"verdict": "slower", "ratio": 1.5}}, "checkout became 50 % slower", "warn"),
        ({"drift": {"verdict": "faster", "ratio": 0.5}}, "All well", "good"),
        ({"regression": {"verdict": "worse", "ratio": 1.3}}, "checkout became 30 % worse", "warn"),
        ({"regression": {"verdict": "better", "ratio": 0.5}}, "All well", "good"),
        ({"validity": {"verdict": "void"}}, "checkout cannot be trusted", "warn"),
        ({"validity": {"verdict": "degraded"}}, "All well", "good"),
    ],
)
def test_one_finding_is_the_first_line_itself(open_page, controls, make, changes, headline, level):
    empty = {"reasons": [], "bytes_per_operation": None, "slope_bytes_per_second": None}
    filled = {
        name: empty | {"ratio": None} | value if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    controls.shown = make["status"](make["soak"](**filled))

    page = open_page()

    expect(page.locator("#headline")).to_have_text(headline)
    expect(page.locator("#verdict")).to_have_attribute("data-level", level)
    assert f"icon-{level}.svg" in page.locator("link[rel=icon]").get_attribute("href")


@pytest.mark.server
def test_what_changes_is_shown_and_what_was_in_hand_stays_there(open_page, controls, show, make):
    show(all_well)
    page = open_page(script=COUNT_SHIFTS)
    card = page.locator("article.job").first
    card.get_by_text("Leak").click()
    page.locator("#runs-job").focus()
    page.evaluate("window.shifted = 0")

    points = controls.shown["jobs"][0]["live"]["points"]
    points.append(make["point"](NOW + EVERY, ok_per_second=77.0))
    controls.shown["now"] = NOW + EVERY
    expect(card.locator("figcaption").nth(1)).to_contain_text("77.0/s")

    assert card.locator("details.pill[open]").count() == 1
    assert page.evaluate("document.activeElement.id") == "runs-job"
    assert page.evaluate("window.shifted") == 0


COUNT_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  // What moves within half a second of a click was moved by the click.
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift" });
"""


@pytest.mark.server
def test_a_poll_asks_for_new_points_only_and_forgets_none_of_the_old(open_page, controls, show):
    show(all_well)
    asked: list[str] = []
    page = open_page()
    page.on("request", lambda request: asked.append(urlsplit(request.url).query))
    path = page.locator("article.job .plot .line.first").first
    before = path.get_attribute("d")

    controls.shown["now"] += 60.0
    expect(path).not_to_have_attribute("d", before)

    assert asked[0] == f"since={NOW - 30:.0f}"
    # Half an hour is shown: of 360 points the oldest eleven left it.
    assert (before.count("L"), path.get_attribute("d").count("L")) == (359, 348)


@pytest.mark.server
def test_where_nothing_ran_there_is_no_line(open_page, controls, make):
    points = live(make, NOW, gaps=[*range(100, 200), *range(250, 300), *range(301, 310)])
    controls.shown = make["status"](make["soak"](live=points))

    page = open_page()
    drawn = page.locator("article.job .plot .line.first").nth(1).get_attribute("d")
    dots = page.locator("article.job .plot .dot.first").nth(1)

    assert drawn.count("M") == 4
    assert dots.get_attribute("d").count("M") == 1  # the point that stands alone is a dot
    assert dots.evaluate("dot => parseFloat(getComputedStyle(dot).strokeWidth)") >= 4


@pytest.mark.server
def test_a_pause_is_a_gap_and_a_target_that_hangs_is_at_zero(open_page, controls, make):
    points = live(make, NOW)
    for point in points["points"][100:150]:
        point |= {"ok_per_second": None, "failed_per_second": None}
    for point in points["points"][200:250]:
        point |= {"ok_per_second": 0.0, "failed_per_second": 0.0}
    controls.shown = make["status"](make["soak"](live=points))

    page = open_page()
    plot = page.locator("article.job .plot").nth(1)
    drawn = plot.locator(".line.first").get_attribute("d")
    bottom = plot.bounding_box()["height"] - 18

    assert drawn.count("M") == 2
    assert drawn.count("L") == POINTS - 50 - 2
    assert [float(y) for y in re.findall(r" ([\d.]+)", drawn)].count(bottom) == 50


@pytest.mark.server
@pytest.mark.parametrize(
    ("known", "legend"), [(360, "p99 2.00 ms"), (180, "p99 2.00 ms"), (179, "slowest 4.00 ms")]
)
def test_a_p99_of_too_few_operations_is_called_what_it_is(
    open_page, controls, make, known, legend
):
    points = live(make, NOW)
    for index, point in enumerate(points["points"]):
        p99 = 0.002 if index >= POINTS - known else None
        point |= {"latency_p99_seconds": p99, "latency_max_seconds": 0.004}
    controls.shown = make["status"](make["soak"](live=points))

    page = open_page()

    expect(page.locator("figcaption").first).to_contain_text(legend)
    slider = page.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(legend))


@pytest.mark.server
@pytest.mark.parametrize("reach", ["live", "week"])
def test_no_caption_is_cut(open_page, controls, make, reach):
    odd = {"ok_per_second": 12345.0, "failed_per_second": 12345.0, "rss_bytes": 1023 * 2**20}
    odd |= {"latency_p50_seconds": 0.000999, "latency_p99_seconds": None}
    odd |= {"latency_max_seconds": 0.999}
    points = {"every_seconds": EVERY, "points": [make["point"](NOW, **odd)]}
    controls.shown = make["status"](make["soak"](live=points))
    controls.trends["checkout"] = [make["trend_point"](NOW, **odd)]
    page = open_page()
    page.locator("#ranges").get_by_text(reach).click()
    expect(page.locator("figcaption").first).to_contain_text("slowest 999 ms")

    for width in (375, 768, 1024, 1200, 1280, 1600):
        page.set_viewport_size({"width": width, "height": 900})

        assert not scrolls_sideways(page)
        for chart in page.locator("figure:visible").all():
            outside = chart.evaluate(
                """(chart) => {
                  const end = (node) => node.getBoundingClientRect().right;
                  const keys = [...chart.querySelectorAll(".key")];
                  return keys.filter((key) => end(key) > end(chart)).map((key) => key.textContent);
                }"""
            )
            assert (width, outside) == (width, [])


WEEK = 604_800


def scripted_week(make, *, p99: float | None = 0.002, gaps: range = range(0), **changes: Any):
    """Return the trend of a week: what `Trend` makes of windows of a minute."""
    every = WEEK / 500
    last = NOW // (2 * every)
    noise = random.Random(1)
    return [
        make["trend_point"](
            (last - 249 + index // 2 + (0.25, 0.75)[index % 2]) * 2 * every,
            **{
                "ok_per_second": noise.uniform(49, 50),
                "latency_p50_seconds": noise.uniform(0.0003, 0.0005),
                "latency_p99_seconds": p99 and p99 * noise.lognormvariate(0, 0.3),
            }
            | changes,
        )
        for index in range(500)
        if index // 2 not in gaps
    ]


def weeks(make) -> dict[str, Any]:
    """Return what the jobs of `everything` did in a week."""
    runs = {"ok_per_second": None, "failed_per_second": None, "took_seconds": 43.5}
    rare = range(0, 250, 5)
    not_then = [number for number in range(250) if number not in rare]
    return {
        "checkout": scripted_week(make, rss_bytes=1e8),
        "profile_store": scripted_week(make, gaps=range(100, 120)),
        "replica": scripted_week(make, p99=None, failed_per_second=3.0, gaps=range(240, 250)),
        "nightly": scripted_week(make, gaps=not_then, **runs),
    }


@pytest.mark.server
def test_a_choice_shows_days_of_all_jobs_and_asks_for_each_once(open_page, controls, show, make):
    show(everything)
    controls.trends = weeks(make)
    page = open_page()
    page.get_by_role("radio", name="live").focus()
    controls.asked.clear()

    for words in ("6 hours", "24 hours", "7 days"):
        page.keyboard.press("ArrowRight")
        expect(page.locator("#cursor-hint")).to_have_text(f"last {words}")
    expect(page.get_by_role("radio", name="week")).to_be_checked()

    cards = page.locator("article.job")
    first = cards.first.locator(".plot .line.first").first
    expect(first).to_have_attribute("d", re.compile("^M[^M]*L[^M]*$"))
    assert first.get_attribute("d").count("L") == 499
    gap = cards.nth(1).locator(".plot .line.first").first.get_attribute("d")
    assert (gap.count("M"), gap.count("L")) == (2, 458)
    expect(cards.nth(2).locator("figcaption").first).to_contain_text("slowest")
    expect(cards.nth(3).locator("figcaption:visible .title")).to_have_text(
        ["Latency", "Length of runs", "RSS"]
    )
    expect(cards.nth(3).locator("figcaption").nth(2)).to_contain_text("took 43.5 s")
    dots = cards.nth(3).locator(".plot .dot.first").nth(2)
    assert dots.get_attribute("d").count("M") == 100
    expect(cards.nth(4).locator(".nothing")).to_have_text("nothing ended in the last 7 days")

    for _ in range(2):
        with page.expect_response(re.compile("api/v1/status")):
            pass
    trends = [asked for asked in controls.asked if asked[1] == WEEK]
    assert trends == [(job["name"], WEEK) for job in controls.shown["jobs"]]

    page.reload()

    expect(page.locator("#cursor-hint")).to_have_text("last 7 days")
    expect(first).to_have_attribute("d", re.compile("L"))


@pytest.mark.server
def test_a_trend_is_asked_for_again_when_it_has_a_new_point(open_page, controls, show, make):
    show(all_well)
    controls.trends = weeks(make)
    page = open_page()
    page.clock.install()
    page.locator("#ranges").get_by_text("week").click()
    expect(page.locator(".plot .line.first").first).to_have_attribute("d", re.compile("L"))
    controls.asked.clear()

    page.clock.fast_forward(1_200_000)
    with page.expect_response(re.compile("api/v1/status")):
        pass
    assert ("checkout", WEEK) not in controls.asked

    with page.expect_response(re.compile("checkout/trend")):
        page.clock.fast_forward(10_000)


@pytest.mark.server
def test_a_trend_that_does_not_come_is_told_of_until_it_does(
    open_page, controls, show, make, monkeypatch
):
    show(all_well)
    controls.trends = weeks(make)
    page = open_page()
    hint = page.locator("#cursor-hint")

    with monkeypatch.context() as broken:
        broken.setattr(controls, "trend", lambda name, seconds: 1 / 0)
        page.locator("#ranges").get_by_text("week").click()
        expect(hint).to_have_text("last 7 days, not loaded: it answers 500")
        expect(page.locator(".nothing").first).to_have_text("asking …")
    expect(hint).to_have_text("last 7 days")
    expect(page.locator("#away")).to_be_hidden()

    assert {text for text in open_page.said if "500" in text}
    open_page.said.clear()


@pytest.mark.server
def test_a_run_of_days_ago_is_read_with_a_mouse_that_is_near(open_page, controls, make):
    took = {"ok_per_second": None, "failed_per_second": None, "took_seconds": 43.5}
    at = NOW - WEEK / 2
    points = [make["trend_point"](at, **took, latency_p50_seconds=0.007)]
    controls.trends["nightly"] = points
    controls.shown = make["status"](make["benchmark"]())
    page = open_page()
    page.locator("#ranges").get_by_text("week").click()
    plot = page.locator("article.job .plot").first
    expect(plot.locator(".dot.first")).to_have_attribute("d", re.compile("M"))
    box = plot.bounding_box()

    page.mouse.move(box["x"] + 52 + (box["width"] - 60) / 2 + 4, box["y"] + 40)

    expect(page.locator("figcaption").first).to_contain_text("p50 7.00 ms")
    expect(page.locator("#cursor-hint")).to_have_text(re.compile(r"at 2025-11-\d\d \d\d:\d\d$"))


@pytest.mark.server
@pytest.mark.parametrize(
    ("age", "hint", "nothing"),
    [
        (300, "last 6 minutes, live", "nothing ran since the daemon started"),
        (800, "last 15 minutes, live", "nothing ran since the daemon started"),
        (1800, "last 30 minutes, live", "nothing ran in the last 30 minutes"),
        (7200, "last 6 minutes, live", "nothing ran in the last 30 minutes"),
    ],
)
def test_charts_look_back_no_farther_than_there_is_something(
    open_page, controls, make, age, hint, nothing
):
    points = {"every_seconds": EVERY, "points": [make["point"](NOW - age), make["point"](NOW)]}
    jobs = [make["soak"](live=points), make["benchmark"]()]
    controls.shown = make["status"](*jobs, started_at=NOW - age)

    page = open_page()

    expect(page.locator("#cursor-hint")).to_have_text(hint)
    expect(page.locator("article.job").nth(1).locator(".nothing")).to_have_text(nothing)


@pytest.mark.server
def test_a_run_shows_its_headline_and_its_warnings(open_page, controls, make):
    figures = {
        "operations": 7800,
        "failed_operations": 0,
        "warnings": ["void: too late", "noisy host"],
        "latency_p99_seconds": 0.00957,
        "throughput_ops_per_second": 1300.0,
    }
    controls.kept = [make["run"](1, figures=figures)]
    page = open_page()
    cell = page.locator("#runs .outcome details")

    cell.click()

    expect(cell.locator("summary")).to_have_text("ok, 2 warnings")
    expect(cell.locator("p")).to_have_text("void: too late\nnoisy host")
    expect(page.locator("#runs .figures")).to_have_text(
        "throughput 1,300/s · latency p99 9.57 ms · operations 7,800"
    )


@pytest.mark.server
def test_hostile_texts_are_shown_as_texts(open_page, controls, make):
    hostile = "<img src=x onerror=alert(1)>"
    last = make["run"](7, hostile, status="failed", cause=hostile, reason=hostile, target=hostile)
    job = make["benchmark"](
        hostile,
        target=hostile,
        what=hostile,
        phase=hostile,
        problem=hostile,
        schedule=hostile,
        failures_in_a_row=2,
        last_run=last,
        validity={"verdict": "void", "reasons": [hostile]},
    )
    controls.shown = make["status"](job, host=hostile, version=hostile)
    controls.shown["settings"]["problem"] = hostile
    controls.kept = [last | {"figures": {hostile: hostile}}]

    page = open_page()

    expect(page.locator("article.job h3")).to_have_text(hostile)
    expect(page.locator("#host")).to_have_text(hostile)
    expect(page.locator("#runs .figures")).to_contain_text(hostile)
    expect(page.locator("#runs-job option").nth(1)).to_have_text(hostile)
    assert page.locator("img").count() == 0
    assert not scrolls_sideways(page)


@contextmanager
def serving(controls, registry, port: int = 0) -> Iterator[str]:
    with HttpServer(guarded(daemon_app(controls, registry)), port=port) as server:
        yield server.url


@pytest.mark.server
def test_a_daemon_that_is_gone_is_told_of_until_it_is_back(
    open_page, chromium, controls, registry, show
):
    show(all_well)
    page = open_page(ready=False)
    away = page.locator("#away")

    with serving(controls, registry) as url:
        page.goto(url)
        expect(page.locator("#headline")).to_have_text("All well")
        expect(away).to_be_hidden()

    expect(away).to_contain_text("The daemon has not answered since")
    expect(page.locator("#daemon")).to_contain_text("silent for")
    expect(away).to_contain_text("no connection")
    expect(page.locator("#cursor-hint")).to_contain_text("last 30 minutes, until")
    assert "No answer" in page.title()
    assert serious(page) == []

    with serving(controls, registry, urlsplit(url).port or 0):
        expect(away).to_be_hidden(timeout=10_000)
        expect(page.locator("#daemon")).to_contain_text("version 0.1.0")
        assert "All well" in page.title()


@pytest.mark.server
def test_a_daemon_that_fails_is_told_of_as_well(open_page, controls, show, monkeypatch):
    show(all_well)
    page = open_page()

    with monkeypatch.context() as broken:
        broken.setattr(controls, "status", lambda since: 1 / 0)
        expect(page.locator("#away")).to_contain_text("it answers 500")
    expect(page.locator("#away")).to_be_hidden()

    assert {text for text in open_page.said if "500" in text}
    open_page.said.clear()


@pytest.mark.server
def test_a_hidden_page_asks_nothing_and_catches_up_when_it_is_seen(open_page, show):
    show(all_well)
    asked: list[str] = []
    page = open_page(
        script="""
            window.hide = (hidden) => {
              Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
              document.dispatchEvent(new Event("visibilitychange"));
            };
        """
    )
    page.locator("#ranges").get_by_text("day").click()
    expect(page.locator(".plot .line.first").first).to_have_attribute("d", re.compile("M.*M"))
    page.clock.install()
    page.evaluate("hide(true)")
    page.on("request", lambda request: asked.append(request.url))

    page.clock.run_for(60_000)
    assert asked == []

    with page.expect_response(re.compile("api/v1/status")):
        page.evaluate("hide(false)")
    assert len(asked) == 1


@pytest.mark.server
def test_the_chosen_theme_is_remembered(open_page):
    page = open_page(theme="light")
    button = page.locator("#theme")
    expect(button).to_have_text("Theme: auto")

    button.click()
    button.click()
    page.reload()

    expect(button).to_have_text("Theme: dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 19, 21)"


@pytest.mark.server
def test_charts_are_read_with_the_keyboard_and_all_of_them_at_one_time(open_page, controls, make):
    points = [make["point"](NOW - 5, ok_per_second=41.0), make["point"](NOW, ok_per_second=42.0)]
    jobs = [make["soak"](name, live={"every_seconds": 5.0, "points": points}) for name in "ab"]
    controls.shown = make["status"](*jobs)
    page = open_page()
    slider = page.get_by_role("slider", name="Charts of a: time")
    others = page.locator("article.job").nth(1).locator("figcaption").nth(1)
    expect(slider).to_have_attribute("aria-valuetext", re.compile("p50 412 µs, .*ok 42.0/s"))

    slider.press("ArrowLeft")

    expect(slider).to_have_attribute("aria-valuetext", re.compile("ok 41.0/s"))
    expect(others).to_contain_text("41.0/s")
    expect(page.locator("#cursor-hint")).to_have_text(re.compile(r"at \d\d:\d\d:15"))

    slider.press("Escape")

    expect(others).to_contain_text("42.0/s")
    expect(page.locator("#cursor-hint")).to_have_text("last 6 minutes, live")


@pytest.mark.server
def test_charts_are_read_with_the_mouse(open_page, controls, show):
    show(all_well)
    page = open_page()
    plot = page.locator("article.job .plot").first
    points = controls.shown["jobs"][0]["live"]["points"]
    box = plot.bounding_box()

    page.mouse.move(box["x"] + 52 + (box["width"] - 60) * 0.5, box["y"] + 40)

    middle = points[-181]["latency_p50_seconds"] * 1e6
    expect(page.locator("figcaption").first).to_contain_text(f"{middle:.0f} µs")

    page.mouse.move(5, 5)

    expect(page.locator("#cursor-hint")).to_have_text("last 30 minutes, live")


@pytest.mark.server
def test_runs_are_filtered_by_job_paged_and_linked_to_their_results(open_page, controls, show):
    show(everything)
    page = open_page()
    rows = page.locator("#runs tr")
    expect(rows).to_have_count(20)

    page.get_by_role("button", name="Show older runs").click()
    expect(rows).to_have_count(40)

    page.locator("#runs-job").select_option("storage")
    expect(rows).to_have_count(14)
    assert set(page.locator("#runs .of").all_text_contents()) == {"storage"}
    expect(page.locator("#more-runs")).to_be_hidden()

    rows.first.get_by_role("link").click()
    assert (
        json.loads(page.locator("pre").text_content())["result"]["benchmark"] == "write_throughput"
    )


@pytest.mark.server
def test_a_run_that_ends_appears_and_an_open_reason_stays_open(open_page, controls, show, make):
    show(everything)
    page = open_page()
    reason = page.locator("#runs details:visible").first
    reason.click()

    controls.kept.append(make["run"](43, "storage"))
    controls.shown["jobs"][4]["runs"]["ok"] += 1
    expect(page.locator("#runs .result a").first).to_have_attribute("href", "api/v1/runs/43")

    assert page.locator("#runs details[open]").count() == 1


@pytest.mark.server
def test_a_tab_that_stays_open_holds_no_more_than_at_first(open_page, controls, show, make):
    show(everything)
    page = open_page()
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")

    def after(*rates: int) -> dict[str, float]:
        for rate in rates:
            controls.shown["now"] += 5.0
            for number, job in enumerate(controls.shown["jobs"][:3]):
                at, rss_bytes = controls.shown["now"], 1e8 + number
                newest = make["point"](at, ok_per_second=rate, rss_bytes=rss_bytes)
                job["live"]["points"] = [*job["live"]["points"], newest][-POINTS:]
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            expect(page.locator("figcaption").nth(1)).to_contain_text(f"ok {rate}/s")
        client.send("HeapProfiler.collectGarbage")
        found = client.send("Performance.getMetrics")["metrics"]
        kept = {one["name"]: one["value"] for one in found}
        return {name: kept[name] for name in ("Nodes", "JSEventListeners")}

    after(*range(100, 110))
    first = after(*range(110, 120))
    last = after(*range(120, 160))

    assert last["Nodes"] <= first["Nodes"]
    assert last["JSEventListeners"] <= first["JSEventListeners"]


@pytest.mark.server
def test_a_job_that_left_the_settings_leaves_the_page(open_page, controls, show, make):
    show(everything)
    page = open_page()

    controls.shown = make["status"](make["benchmark"]("nightly"))

    expect(page.locator("article.job")).to_have_count(1)
    expect(page.locator("#runs-job option")).to_have_text(["all jobs", "nightly"])
    expect(page.locator("#headline")).to_have_text("All well")


@pytest.mark.server
def test_the_page_of_another_version_is_loaded_anew(open_page, controls, show):
    show(all_well)
    page = open_page()

    with page.expect_navigation():
        controls.shown["version"] = "0.2.0"

    expect(page.locator("#daemon")).to_contain_text("version 0.2.0")


@pytest.mark.server
@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("seconds(0.000412)", "412 µs"),
        ("seconds(0.00187)", "1.87 ms"),
        ("seconds(0.9999)", "1.00 s"),
        ("seconds(2.5e-8)", "25.0 ns"),
        ("seconds(0)", "0 s"),
        ("seconds(null)", "\N{EN DASH}"),
        ("bytes(125829120)", "120 MiB"),
        ("bytes(1023)", "1023 B"),
        ("bytes(-2048)", "\N{MINUS SIGN}2.00 KiB"),
        ("rate(1234.4)", "1,234/s"),
        ("rate(12.34)", "12.3/s"),
        ("shortRate(30000)", "30.0k/s"),
        ("round(seconds)(0.005)", "5 ms"),
        ("round(seconds)(0.2)", "200 ms"),
        ("round(rate)(1500)", "1,500/s"),
        ("percent(0.0031)", "0.31 %"),
        ("percent(0.12)", "12 %"),
        ("span(8040)", "2 h 14 min"),
        ("span(86400)", "1 d"),
        ("span(59.6)", "1 min"),
        ("took(43.5)", "43.5 s"),
        ("took(null)", "\N{EN DASH}"),
        ("ago(100, 385)", "4 min ago"),
        ("until(385, 100)", "in 4 min 45 s"),
        ("until(99, 100)", "due now"),
        ("figure('latency_p99_seconds', 0.0002).join(' ')", "latency p99 200 µs"),
        ("figure('throughput_ops_per_second', 18250).join(' ')", "throughput 18,250/s"),
        ("figure('recall', 0.981).join(' ')", "recall 0.981"),
    ],
)
def test_numbers_have_units_that_people_read(helper_page, call, text):
    assert (
        helper_page.evaluate(f"import('/page/units.js').then((units) => units.{nested(call)})")
        == text
    )


def nested(call: str) -> str:
    return re.sub(r"\((seconds|rate)\)", r"(units.\1)", call)


@pytest.fixture(scope="module")
def helper_page(chromium) -> Iterator[Page]:
    """A page of the same origin as the modules, for those that are pure."""
    page = chromium.new_page()
    page.route(
        "http://modules.test/**",
        lambda route: route.fulfill(
            body=FILES.get(route.request.url.rpartition("/")[2], "<!doctype html>"),
            content_type="text/javascript" if route.request.url.endswith(".js") else "text/html",
        ),
    )
    page.goto("http://modules.test/")
    yield page
    page.close()


@pytest.mark.server
@pytest.mark.parametrize(
    ("call", "marks"),
    [
        ("logarithmic([0.0004, 0.002])", [0.0002, 0.001, 0.002]),
        ("logarithmic([0.00009, 0.4])", [0.0001, 0.001, 0.01, 0.1]),
        ("logarithmic([0, 0.5])", [0.5, 1, 5]),
        ("logarithmic([])", []),
        ("fromZero([48, 50])", [0, 20, 40, 60]),
        ("fromZero([0, 0])", [0, 0.5, 1]),
        ("fromZero([20999])", [0, 10000, 20000, 30000]),
        ("around([118 * 2 ** 20, 122 * 2 ** 20])", [112, 120, 128]),
        ("around([0, 0])", [0, 2**-20]),
    ],
)
def test_axes_begin_and_end_on_marks(helper_page, call, marks):
    shown = helper_page.evaluate(f"import('/page/scales.js').then((s) => s.{call}.marks)")

    scale = 2**20 if call.startswith("around") else 1
    assert [mark / scale for mark in shown] == pytest.approx(marks)


def test_every_file_of_the_page_is_served_as_what_it_is(ask):
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

    for name, text in FILES.items():
        kind = kinds.get(name.rpartition(".")[2], "text/html")
        answer = ask("/" if name == "index.html" else f"/page/{name}")

        assert (answer.status, answer.body) == (200, text)
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert ask("/favicon.ico").body == FILES["icon-unknown.svg"]


def test_a_file_that_the_browser_has_is_not_sent_again(ask):
    first = ask("/page/page.css")

    again = ask("/page/page.css", If_None_Match=f'"other", W/{first.headers["etag"]}')

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status, again.body) == (304, "")


@pytest.mark.parametrize(
    "path", ["/page/__init__.py", "/page/../api.py", "/page/%2e%2e/api.py", "/page/", "/page"]
)
def test_nothing_but_the_files_of_the_page_is_served(ask, path):
    assert ask(path).status == 404


def test_the_page_has_no_inline_code_and_nothing_from_the_network():
    html = FILES["index.html"]

    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html) == []
    for text in FILES.values():
        urls = set(re.findall(r"https?://[^\s\"']+", text)) - {"http://www.w3.org/2000/svg"}
        assert urls == set()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text
        )


def test_every_file_that_a_file_names_is_there():
    text = "\n".join(FILES.values())
    named = set(re.findall(r"page/([\w-]+\.\w+)", text))
    named |= set(re.findall(r'from "\./([\w-]+\.js)"', text))

    assert named <= set(FILES)
