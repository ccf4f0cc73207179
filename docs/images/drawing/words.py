"""Panels of figures and words: stats, gauges, tables and texts."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt

from .fields import Table, config_of, reduce
from .source import Series
from .svg import cut, width_of
from .values import mapped, mix, shown, threshold_colour, value_colour

ROW = 33  # pixels of a table's row


def stat(panel: Mapping[str, Any], series: Sequence[Series], size: tuple[float, float]) -> str:
    """Return one large figure for each series."""
    options = panel["options"]
    tiles = []
    for index, each in enumerate(series or [Series("", {}, "")]):
        config = config_of(panel, each.name, each.ref)
        value = reduce(each.values, options["reduceOptions"]["calcs"][0])
        words = shown(value, config) or ("" if value is not None else "No data")
        tone = value_colour(value, config, index)
        named = len(series) > 1 and options["textMode"] in ("auto", "value_and_name", "name")
        wide = size[0] / max(1, len(series)) - 24
        letters = min(46.0, wide / max(1.0, width_of(words)) * 12 * 0.92, size[1] * 0.62)
        ground = ""
        if options["colorMode"].startswith("background"):
            ground, ink = f"background:{mix(tone, '#000000', 0.35)}", "#fff"
        else:
            ink = tone if options["colorMode"] == "value" else "#fff"
        name = f"<small>{escape(cut(each.name, wide))}</small>" if named else ""
        spark = _spark(each, tone) if options["graphMode"] == "area" else ""
        tiles.append(
            f'<div style="{ground};color:{ink}">{spark}{name}'
            f'<b style="font-size:{letters:.0f}px">{escape(words)}</b></div>'
        )
    return f'<div class="stat">{"".join(tiles)}</div>'


def _spark(each: Series, tone: str) -> str:
    pairs = zip(each.times, each.values, strict=True)
    points = [(t, v) for t, v in pairs if isinstance(v, float) and math.isfinite(v)]
    if len(points) < 2:
        return ""
    (start, *_), (end, *_) = points[0], points[-1]
    low, high = min(v for _, v in points), max(v for _, v in points)
    path = " L".join(
        f"{100 * (t - start) / (end - start):.2f},{36 - 30 * (v - low) / ((high - low) or 1):.2f}"
        for t, v in points
    )
    return (
        f'<svg class="spark" viewBox="0 0 100 40" preserveAspectRatio="none">'
        f'<path d="M0,40 L{path} L100,40 Z" fill="{tone}" opacity="0.25"/>'
        f'<path d="M{path}" fill="none" stroke="{tone}" vector-effect="non-scaling-stroke"/></svg>'
    )


def bar_gauge(
    panel: Mapping[str, Any], series: Sequence[Series], size: tuple[float, float]
) -> str:
    """Return one bar for each series."""
    values = [
        reduce(each.values, panel["options"]["reduceOptions"]["calcs"][0]) for each in series
    ]
    highest = max([value for value in values if value is not None], default=1.0)
    most = max(1, int(size[1] / 24))
    rows = []
    for index, (each, value) in enumerate(zip(series[:most], values, strict=False)):
        config = config_of(panel, each.name, each.ref)
        low, high = config.get("min", 0.0), config.get("max", highest)
        share = max(0.0, min(1.0, ((value or 0.0) - low) / ((high - low) or 1.0)))
        tone = value_colour(value, config, index)
        rows.append(
            f"<span>{escape(each.name)}</span><div><i style='width:{share * 100:.1f}%;"
            f"background:linear-gradient(90deg,{mix(tone, '#000000', 0.6)},{tone})'></i></div>"
            f'<b style="color:{tone}">{escape(shown(value, config))}</b>'
        )
    return f'<div class="bars">{"".join(rows)}</div>' if rows else ""


def table(panel: Mapping[str, Any], columns: Table, size: tuple[float, float]) -> str:
    """Return as many rows as there is room for."""
    names = [name for name, column in columns.items() if column]
    if not names:
        return ""
    for sort in panel["options"].get("sortBy", ())[:1]:
        if sort["displayName"] in columns:
            key = columns[sort["displayName"]]
            order = sorted(
                range(len(key)),
                key=lambda row: (key[row] is not None, key[row] or 0),
                reverse=sort.get("desc", False),
            )
            columns = {name: [column[row] for row in order] for name, column in columns.items()}
    configs = {name: config_of(panel, name) for name in names}
    number = {name: any(isinstance(each, float) for each in columns[name]) for name in names}
    heads = "".join(
        f'<th class="{"number" if number[name] else ""}">'
        f"{escape(configs[name].get('displayName', name))}</th>"
        for name in names
    )
    count = len(columns[names[0]])
    room = int((size[1] - ROW) / ROW)
    rows = []
    for row in range(min(count, room)):
        cells = []
        for name in names:
            value, config = columns[name][row], configs[name]
            cell = config["custom"].get("cellOptions", {"type": "auto"})
            tone = mapped(value, config.get("mappings", [])).get("color")
            tone = value_colour(value, config) if tone else threshold_colour(value, config)
            style = {
                "color-text": f"color:{tone}",
                "color-background": f"background:{mix(tone, '#000000', 0.35)};color:#fff",
            }.get(cell["type"], "")
            if config.get("links"):
                style += ";color:#6e9fff"
            kind = "number" if number[name] else ""
            cells.append(f'<td class="{kind}" style="{style}">{escape(shown(value, config))}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    more = f"<p>{count - room} more rows</p>" if count > room else ""
    return f'<div class="rows"><table><tr>{heads}</tr>{"".join(rows)}</table>{more}</div>'


def markdown(panel: Mapping[str, Any]) -> str:
    """Return a text panel's text."""
    options = panel["options"]
    if options["mode"] == "html":
        return str(options["content"])
    return f'<div class="words">{MarkdownIt().enable("table").render(options["content"])}</div>'
