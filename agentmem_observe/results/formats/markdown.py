"""A comparison as Markdown that is ready to be a comment on a pull request."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from agentmem_observe.analysis.verdicts import Verdict
from agentmem_observe.results.comparison import Change, Comparison
from agentmem_observe.results.formats.wording import (
    closing,
    evidence,
    heading,
    plural,
    size,
    values,
    warnings,
)
from agentmem_observe.results.sides import LeftOut

LONGEST: Final = 65_536
"""Characters that GitHub takes as a comment."""

_ROOM_FOR_THE_END: Final = 600
_TITLES: Final[dict[Verdict, str]] = {
    "worse": "Worse",
    "better": "Better",
    "inconclusive": "Inconclusive",
    "same": "Same",
}
_HEAD: Final = (
    "| benchmark | figure | baseline → current | change (95 % interval) | evidence |\n"
    "|---|---|---|---|---|\n"
)
_MARKUP: Final = str.maketrans({"|": "\\|", "<": "&lt;", ">": "&gt;", "\n": " ", "\r": " "})


def render(comparison: Comparison) -> str:
    """Return it as Markdown, never longer than a comment may be."""
    page = _Page()
    page.add(f"### Performance: {heading(comparison)}\n\n")
    page.rows(comparison, comparison.of("worse"), "Worse")
    for text in comparison.errors:
        page.add(f"- **error:** {_plain(text)}\n")
    for text in warnings(comparison):
        page.add(f"- {_plain(text)}\n")
    page.add("\n")
    page.rows(comparison, comparison.of("better"), "Better")
    page.folded(
        "Benchmarks that only one side has, and files that are left out", _others(comparison)
    )
    for verdict in ("inconclusive", "same"):
        changes = comparison.of(verdict)
        if changes:
            page.folded(
                f"{_TITLES[verdict]}: {len(changes):,}", _by_benchmark(comparison, changes)
            )
    page.close(f"{_plain(closing(comparison))}\n")
    return page.text


class _Page:
    """Text that stays within its limit and says what it left out."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._dropped = 0

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def add(self, part: str) -> bool:
        """Add a part if there is room; return whether there was."""
        fits = self._length + len(part) <= LONGEST - _ROOM_FOR_THE_END
        if fits:
            self._parts.append(part)
            self._length += len(part)
        else:
            self._dropped += 1
        return fits

    def rows(self, comparison: Comparison, changes: Sequence[Change], title: str) -> None:
        if not changes:
            return
        self.add(f"**{title}**\n\n{_HEAD}")
        for change in changes:
            self.add(_row(comparison, change))
        self.add("\n")

    def folded(self, title: str, lines: Iterable[str]) -> None:
        """Add lines that are shown when somebody unfolds them, all or none of them."""
        if text := "".join(lines):
            self.add(f"<details><summary>{title}</summary>\n\n{text}\n</details>\n\n")

    def close(self, last: str) -> None:
        if self._dropped:
            self._parts.append(
                f"{plural(self._dropped, 'part')} did not fit into a comment; "
                "`--format json` has all.\n\n"
            )
        self._parts.append(last)


def _row(comparison: Comparison, change: Change) -> str:
    cells = (
        _plain(comparison.labels[change.identity]),
        f"`{_code(change.path)}`",
        values(change),
        size(change),
        _plain(evidence(change)),
    )
    return f"| {' | '.join(cells)} |\n"


def _by_benchmark(comparison: Comparison, changes: Iterable[Change]) -> Iterator[str]:
    counts = Counter(comparison.labels[change.identity] for change in changes)
    for label, count in counts.items():
        yield f"- {_plain(label)}: {plural(count, 'figure')}\n"


def _others(comparison: Comparison) -> Iterator[str]:
    for title, alone in (("missing", comparison.missing), ("new", comparison.new)):
        for one in alone:
            reason = f": {one.reason}" if one.reason else ""
            yield f"- {title}: {_plain(comparison.labels[one.identity] + reason)}\n"
    for title, paths in (
        ("figures that are missing", comparison.missing_figures),
        ("figures that are new", comparison.new_figures),
    ):
        if paths:
            counts = Counter(comparison.labels[identity] for identity, _ in paths)
            said = ", ".join(f"{count:,} of {label}" for label, count in counts.items())
            yield f"- {title}: {_plain(said)}\n"
    left_out = [*comparison.current.left_out, *comparison.baseline.left_out]
    # Those that are damaged are errors, and told already.
    yield from (_left_out(one) for one in left_out if one.cause != "damaged")


def _left_out(one: LeftOut) -> str:
    where = "" if one.reason.startswith(one.path) else f"{one.path}: "
    return f"- {one.cause}: {_plain(where + one.reason)}\n"


def _plain(text: str) -> str:
    return text.translate(_MARKUP)


def _code(text: str) -> str:
    """Return text for between backticks, where nothing but a table's own mark is special."""
    return text.replace("|", "\\|").replace("`", "'")
