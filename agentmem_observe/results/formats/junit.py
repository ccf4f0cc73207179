"""A comparison as JUnit XML, for the pages of tests that CI servers have.

A figure is a test case, and fails only if it got worse; one that is inconclusive is skipped.
"""

import re
import time
from collections.abc import Iterable
from xml.etree import ElementTree

from agentmem_observe.results.comparison import Change, Comparison
from agentmem_observe.results.formats.wording import line
from agentmem_observe.results.identity import RunIdentity
from agentmem_observe.results.schema import TIMESTAMP_FORMAT
from agentmem_observe.results.sides import LeftOut

_UNWRITABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot have, not even escaped."""

_FILES = "result files"


def render(comparison: Comparison) -> str:
    """Return it as a JUnit report: a suite for each benchmark."""
    root = ElementTree.Element("testsuites", name="agentmem-observe compare")
    by_identity: dict[RunIdentity, list[Change]] = {one: [] for one in comparison.matched}
    for change in comparison.changes:
        by_identity[change.identity].append(change)
    for identity, changes in by_identity.items():
        _suite(root, comparison, identity, changes)
    for one in comparison.missing:
        label = comparison.labels[one.identity]
        suite = ElementTree.SubElement(root, "testsuite", name=_text(label))
        kind = "error" if one.failed else "skipped"
        reason = f"only in the baseline. {one.reason}".removesuffix(". ")
        _case(suite, label, "all figures", kind, reason)
    if damaged := [*comparison.current.damaged, *comparison.baseline.damaged]:
        _files(root, damaged)
    for suite in root:
        _count(suite, list(suite))
    _count(root, [case for suite in root for case in suite])
    root.set("time", f"{sum(float(suite.get('time', 0)) for suite in root):.3f}")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )


def _suite(
    root: ElementTree.Element,
    comparison: Comparison,
    identity: RunIdentity,
    changes: Iterable[Change],
) -> None:
    label = comparison.labels[identity]
    rounds = comparison.current.rounds[identity]
    suite = ElementTree.SubElement(root, "testsuite", name=_text(label))
    took = sum(one.metadata.get("execution_time") or 0.0 for one in rounds)
    suite.set("time", f"{took:.3f}")
    ended = time.strptime(rounds[-1].timestamp, TIMESTAMP_FORMAT)
    suite.set("timestamp", time.strftime("%Y-%m-%dT%H:%M:%S", ended))
    if hostname := (rounds[-1].metadata.get("host") or {}).get("hostname"):
        suite.set("hostname", _text(str(hostname)))
    for change in changes:
        kind = {"worse": "failure", "inconclusive": "skipped"}.get(change.verdict, "system-out")
        _case(suite, label, change.path, kind, f"{change.verdict}: {line(change)}")


def _files(root: ElementTree.Element, damaged: Iterable[LeftOut]) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name=_FILES)
    for one in damaged:
        _case(suite, _FILES, one.path, "error", one.reason)


def _case(suite: ElementTree.Element, label: str, name: str, kind: str, text: str) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", classname=_text(label), name=_text(name), time="0"
    )
    outcome = ElementTree.SubElement(case, kind)
    if kind == "system-out":
        outcome.text = _text(text)
        return
    outcome.set("message", _text(text))
    if kind == "failure":
        outcome.set("type", "regression")
    if kind == "error":
        outcome.set("type", "error")


def _count(element: ElementTree.Element, cases: list[ElementTree.Element]) -> None:
    element.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    if element.get("time") is None:
        element.set("time", "0")


def _text(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
