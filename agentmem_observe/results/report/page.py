"""The page: its head, its sections in the order in which people ask, and its bounds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources as package
from typing import Any

from agentmem_observe import __version__
from agentmem_observe.results.comparison import Comparison
from agentmem_observe.results.report.changes import changes
from agentmem_observe.results.report.gathered import Gathered, Run, mapping, number, text
from agentmem_observe.results.report.latency import latency, over_time
from agentmem_observe.results.report.listing import listing
from agentmem_observe.results.report.markup import Element, el, markup
from agentmem_observe.results.report.parts import Section, count_of
from agentmem_observe.results.report.quality import compression, recall
from agentmem_observe.results.report.resources import resources
from agentmem_observe.results.report.scaling import agents, volumes
from agentmem_observe.results.report.summary import findings, problems, runs, summary
from agentmem_observe.units import format_bytes

MOST_BYTES = 2_000_000
"""Of a page: it is to be mailed, and opened on a phone."""

_SECTIONS: tuple[Callable[[Gathered], Section], ...] = (
    latency,
    over_time,
    agents,
    volumes,
    resources,
    recall,
    compression,
    runs,
    problems,
    listing,
)
_MOST_HOSTS = 3


@dataclass(frozen=True, slots=True)
class Heading:
    """What a page is called.

    Attributes:
        source: Where the results are.
        category: If it is about one category only; "" if not.
        made_at: When it is made.
    """

    source: str
    category: str
    made_at: datetime


def page(gathered: Gathered, heading: Heading, comparison: Comparison | None = None) -> str:
    """Return the whole page as HTML that needs nothing else: no network, no script.

    Args:
        gathered: What it is about.
        heading: What it is called.
        comparison: With a baseline, if there is one.
    """
    title = f"Memory performance, {heading.category}" if heading.category else "Memory performance"
    first = summary(gathered, comparison, findings(gathered, comparison))
    compared = [changes(comparison)] if comparison else []
    sections, left_out = _bounded([*compared, *(make(gathered) for make in _SECTIONS)])
    body = el(
        "body",
        el("header", el("h1", title), _facts(gathered, heading), class_="top"),
        el("main", first, _contents(sections), sections_of(sections), _left_out(left_out)),
        el(
            "footer",
            f"Made by agentmem-observe {__version__}, {heading.made_at:%Y-%m-%d %H:%M}",
        ),
    )
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{title}: {heading.source}"),
        el("style", _style()),
    )
    return f"<!DOCTYPE html>\n{markup(el('html', head, body, lang='en'))}\n"


def sections_of(sections: Sequence[Section]) -> list[Element]:
    """Return sections as elements, each with its heading."""
    return [
        el("section", el("h2", one.title), one.content, id=one.anchor, class_="part")
        for one in sections
    ]


@cache
def _style() -> str:
    return package.files("agentmem_observe.results.report").joinpath("page.css").read_text("utf-8")


def _bounded(sections: Sequence[Section]) -> tuple[list[Section], list[Section]]:
    """Return the sections that there is room for, in their order, and those left out."""
    left = MOST_BYTES - 100_000  # for style, head and summary
    kept: list[Section] = []
    left_out: list[Section] = []
    for section in sections:
        if not section.content:
            continue
        size = sum(len(markup(one).encode()) for one in section.content)
        if size <= left:
            left -= size
            kept.append(section)
        else:
            left_out.append(section)
    return kept, left_out


def _left_out(sections: Sequence[Section]) -> Element | None:
    if not sections:
        return None
    names = ", ".join(section.title for section in sections)
    said = f"Left out, to keep the page below {format_bytes(MOST_BYTES)}: {names}. "
    return el("p", said, "Report fewer results at a time.", class_="note")


def _contents(sections: Sequence[Section]) -> Element | None:
    links = [el("a", section.title, href=f"#{section.anchor}") for section in sections]
    return el("nav", links, aria_label="Sections") if links else None


def _facts(gathered: Gathered, heading: Heading) -> Element:
    stamps = [_day(run) for run in gathered.runs]
    facts = [
        ("results", heading.source),
        ("measured", _span(stamps)),
        ("target", _several([_target(run) for run in gathered.shown])),
        (
            "host",
            _several([_host(mapping(run.result.metadata.get("host"))) for run in gathered.runs]),
        ),
        ("version", _several([_version(run) for run in gathered.runs])),
    ]
    return el("dl", [el("div", el("dt", name), el("dd", said)) for name, said in facts if said])


def _span(stamps: Sequence[str]) -> str:
    if not stamps:
        return ""
    first, last = min(stamps), max(stamps)
    return first if first == last else f"{first} to {last}"


def _day(run: Run) -> str:
    stamp = run.result.timestamp
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]} {stamp[9:11]}:{stamp[11:13]}"


def _target(run: Run) -> str:
    version = text(mapping(run.result.metadata.get("target")).get("version"))
    return f"{run.target} {version}".strip()


def _host(host: Mapping[str, Any]) -> str:
    cores, memory = number(host.get("usable_cores")), number(host.get("memory_bytes"))
    python = mapping(host.get("python"))
    parts = [
        text(host.get("hostname")),
        text(host.get("cpu_model")),
        "" if cores is None else count_of(int(cores), "core"),
        "" if memory is None or memory < 0 else format_bytes(memory),
        text(host.get("kernel")),
        f"{text(python.get('implementation'))} {text(python.get('version'))}".strip(),
    ]
    return ", ".join(part for part in parts if part)


def _version(run: Run) -> str:
    version = text(mapping(run.result.metadata.get("versions")).get("agentmem-observe"))
    commit = text(mapping(run.result.metadata.get("vcs")).get("commit"))[:12]
    return " at ".join(
        part for part in (version and f"agentmem-observe {version}", commit) if part
    )


def _several(names: Sequence[str]) -> str:
    distinct = [name for name in dict.fromkeys(names) if name]
    shown = "; ".join(distinct[:_MOST_HOSTS])
    rest = len(distinct) - _MOST_HOSTS
    return f"{shown}; and {rest:,} more" if rest > 0 else shown
