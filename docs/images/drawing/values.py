"""How values are shown: units, decimals, words in their place, and colours."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

PALETTE = (
    "#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#c0d8ff",
    "#ff9830", "#96d98d", "#ffa6b0", "#ca95e5",
)  # fmt: skip
COLOURS = {
    "green": "#73bf69",
    "yellow": "#fade2a",
    "orange": "#ff9830",
    "red": "#f2495c",
    "blue": "#5794f2",
    "purple": "#b877d9",
    "text": "#ccccdc",
    "gray": "#8e8e99",
    "white": "#ffffff",
    "black": "#000000",
    "transparent": "transparent",
}
SHADES = {"super-light": 0.55, "light": 0.3, "semi-dark": -0.18, "dark": -0.36}

_SECONDS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
_IEC = tuple((1024**power, f"{prefix}iB") for power, prefix in enumerate("KMGTP", 1))[::-1]
_SI = tuple((1000**power, f"{prefix}B") for power, prefix in enumerate("kMGTP", 1))[::-1]
_SHORT = ((1e12, "T"), (1e9, "Bil"), (1e6, "Mil"), (1e3, "K"))
_RATES = {"ops": "ops/s", "reqps": "req/s", "rps": "reads/s", "wps": "writes/s", "cps": "c/s"}
_WORDS = {"bool": ("False", "True"), "bool_yes_no": ("No", "Yes"), "bool_on_off": ("Off", "On")}
_SCALED = {
    "s": (_SECONDS, 1e-9, "ns", 1),
    "ms": (_SECONDS, 1e-9, "ns", 1e-3),
    "bytes": (_IEC, 1, "B", 1),
    "decbytes": (_SI, 1, "B", 1),
}


def colour(name: str) -> str:
    """Return CSS for a colour as dashboards name it, such as ``semi-dark-orange``."""
    if name in COLOURS or name.startswith(("#", "rgb")):
        return COLOURS.get(name, name)
    shade, _, base = name.rpartition("-")
    return mix(COLOURS[base], "#ffffff" if SHADES[shade] > 0 else "#000000", abs(SHADES[shade]))


def mix(one: str, other: str, share: float) -> str:
    """Return a colour between two, ``share`` of the way to the other; no colour stays none."""
    if one == "transparent":
        return one
    pairs = zip(_rgb(one), _rgb(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _rgb(text: str) -> list[int]:
    return [int(text[i : i + 2], 16) for i in (1, 3, 5)]


def decimals(value: float) -> int:
    """Return how many decimals show about three figures, none for what is whole."""
    if not value or not math.isfinite(value) or value % 1 == 0:
        return 0
    wanted = 1 - math.floor(math.log10(abs(value)))
    return max(0, wanted + (abs(value) * 10**wanted > 22.5))


def fixed(value: float, places: int | None) -> str:
    """Return a number with so many decimals, or as many as it needs."""
    return f"{value:.{decimals(value) if places is None else places}f}"


def with_unit(value: float, unit: str, places: int | None = None) -> str:
    """Return a number in a unit, as Grafana names units; unknown ones raise ``KeyError``."""
    if math.isinf(value) or math.isnan(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    if unit in _SCALED:
        steps, least, least_name, factor = _SCALED[unit]
        return _scaled(value * factor, steps, (least, least_name), places)
    if unit in ("Bps", "binBps"):
        return with_unit(value, "decbytes" if unit == "Bps" else "bytes", places) + "/s"
    if unit in _WORDS:
        return _WORDS[unit][bool(value)]
    if unit in ("percentunit", "percent"):
        return fixed(value * (100 if unit == "percentunit" else 1), places) + "%"
    if unit in ("dateTimeAsIso", "dateTimeAsSystem"):
        return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    if unit == "dateTimeFromNow":
        seconds = value / 1000 - datetime.now(UTC).timestamp()
        words = with_unit(abs(seconds), "s", 0)
        return f"in {words}" if seconds > 0 else f"{words} ago"
    suffix = {"short": "", "none": "", "string": "", **_RATES}[unit]
    if unit in ("none", "string"):
        return fixed(value, places)
    return f"{_scaled(value, _SHORT, (1, ''), places)} {suffix}".strip()


def _scaled(
    value: float,
    steps: tuple[tuple[float, str], ...],
    least: tuple[float, str],
    places: int | None,
) -> str:
    size, name = next((step for step in steps if abs(value) >= step[0]), least)
    if not value:
        size, name = (1.0, "s") if least[1] == "ns" else least
    return f"{fixed(float(f'{value / size:.10g}'), places)} {name}".strip()


def trimmed(words: str) -> str:
    """Return a number with its unit without zeros at the end: ``2.50 K`` is ``2.5 K``."""
    return re.sub(r"(\.\d*?)0+(?=\D|$)", r"\1", words).replace(". ", " ").replace(".%", "%")


def mapped(value: Any, mappings: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the text and the colour that stand for a value; nothing if none do."""
    for mapping in mappings:
        options, kind = mapping["options"], mapping["type"]
        text = f"{value:g}" if isinstance(value, float) else str(value)
        if kind == "value" and text in options:
            return options[text]
        if kind == "range" and isinstance(value, float):
            low, high = options.get("from"), options.get("to")
            if (low is None or value >= low) and (high is None or value <= high):
                return options["result"]
        if kind == "regex" and re.fullmatch(options["pattern"].strip("/"), text):
            return options["result"]
        absent = "null" if value is None else "nan" if value != value else "something"
        if kind == "special" and absent in options["match"].split("+"):
            return options["result"]
    return {}


def shown(value: Any, config: Mapping[str, Any]) -> str:
    """Return what a field's configuration makes of a value."""
    mapping = mapped(value, config.get("mappings", []))
    if "text" in mapping:
        return mapping["text"]
    if value is None or value == "":
        return config.get("noValue", "")
    if isinstance(value, str):
        return value
    return with_unit(value, config.get("unit", "none"), config.get("decimals"))


def threshold_colour(value: Any, config: Mapping[str, Any]) -> str:
    """Return the colour of the highest threshold that a value reaches; nothing reaches the first.

    So Grafana paints the absence of a value as if it were the least of all.
    """
    thresholds = config.get("thresholds", {"mode": "absolute", "steps": []})
    low, high = config.get("min", 0), config.get("max", 100)
    percent = thresholds["mode"] == "percentage"
    found = "text"
    for step in thresholds["steps"]:
        at = step["value"]
        if at is not None and percent:
            at = low + (high - low) * at / 100
        if at is None or (isinstance(value, float) and value >= at):
            found = step["color"]
    return colour(found)


def value_colour(value: Any, config: Mapping[str, Any], index: int = 0) -> str:
    """Return the colour of a value: its mapping's, else by the field's colour mode."""
    mapping = mapped(value, config.get("mappings", []))
    if "color" in mapping:
        return colour(mapping["color"])
    how = config.get("color", {"mode": "thresholds"})
    if how["mode"] in ("fixed", "shades"):
        return colour(how["fixedColor"])
    if how["mode"].startswith("palette"):
        return PALETTE[index % len(PALETTE)]
    if how["mode"].startswith("continuous"):
        low, high = config.get("min", 0), config.get("max", 1)
        share = min(1.0, max(0.0, ((value or 0) - low) / ((high - low) or 1)))
        names = {"Gr": "green", "Yl": "yellow", "Rd": "red", "Bl": "blue", "Pu": "purple"}
        stops = [names[each] for each in re.findall("Gr|Yl|Rd|Bl|Pu", how["mode"])]
        at = share * (len(stops) - 1)
        left = min(int(at), len(stops) - 2)
        return mix(COLOURS[stops[left]], COLOURS[stops[left + 1]], at - left)
    return threshold_colour(value, config)
