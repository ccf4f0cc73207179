"""HTML and SVG as a tree of elements: what comes from a result file can only ever be text."""

import re
from collections.abc import Iterable
from typing import TypeAlias
from xml.etree import ElementTree

Element: TypeAlias = ElementTree.Element
Child: TypeAlias = "Element | str | Iterable[Child] | None"

_NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What HTML may not have, or UTF-8 cannot: a name in a result file may have any of it."""
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Would turn around what stands beside a name."""


def el(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """Return an element.

    Args:
        tag: Its name, such as ``td`` or ``path``.
        children: Elements, texts, None (nothing), and iterables of these.
        attributes: Its attributes; ``class_`` is ``class``, ``data_level`` is ``data-level``, and
            those that are None are left out. Numbers have one decimal.

    Examples:
        >>> markup(el("td", "a < b", el("b", "!"), class_="number", x=1.25, id=None))
        '<td class="number" x="1.2">a &lt; b<b>!</b></td>'
    """
    element = ElementTree.Element(tag)
    for name, value in attributes.items():
        if value is not None:
            text = plain(value) if isinstance(value, str) else short(value)
            element.set(name.rstrip("_").replace("_", "-"), text)
    _append(element, children)
    return element


def breakable(path: str) -> list[Child]:
    """Return a path that a line may end in, after each of its dots.

    Examples:
        >>> markup(el("td", breakable("batch_10.p99_seconds")))
        '<td>batch_10.<wbr>p99_seconds</td>'
    """
    first, *others = path.split(".")
    return [first, *((".", el("wbr"), other) for other in others)]


def plain(text: str) -> str:
    """Return text with a replacement for every character that a page cannot have."""
    return _DIRECTIONS.sub("\ufffd", _NOT_TEXT.sub("\ufffd", text))


def short(number: float) -> str:
    """Return a coordinate with one decimal at the most.

    Examples:
        >>> short(2.0), short(12.345), short(-0.01)
        ('2', '12.3', '0')
    """
    text = f"{number:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def markup(element: Element) -> str:
    """Return an element as HTML."""
    return ElementTree.tostring(element, encoding="unicode", method="html")


def _append(element: Element, children: Iterable[Child]) -> None:
    for child in children:
        if isinstance(child, str):
            text = plain(child)
            if len(element):
                element[-1].tail = (element[-1].tail or "") + text
            else:
                element.text = (element.text or "") + text
        elif isinstance(child, ElementTree.Element):
            element.append(child)
        elif child is not None:
            _append(element, child)
