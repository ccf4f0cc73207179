"""A comparison as people read it in a terminal: what got worse first of all."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from agentmem_observe.results.comparison import Alone, Change, Comparison
from agentmem_observe.results.formats.wording import (
    between,
    closing,
    line,
    plural,
    warnings,
)
from agentmem_observe.results.identity import RunIdentity
from agentmem_observe.results.judging import NOT_COMPARABLE

_MOST_BETTER: Final = 20
_MOST_LINES: Final = 10
_MOST_WARNINGS: Final = 25
_STYLES: Final = {"worse": "bold red", "better": "green", "inconclusive": "yellow"}


def print_comparison(comparison: Comparison) -> None:
    """Print a comparison on standard output.

    Args:
        comparison: What was found.
    """
    _Screen(comparison).show()


def printable(text: str) -> str:
    """Return text that can be written: JSON may have halves of characters, which UTF-8 has not."""
    return text.encode("utf-8", "replace").decode()


class _Screen:
    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._console = Console()

    def show(self) -> None:
        comparison = self._comparison
        self._changes("Worse", comparison.of("worse"), len(comparison.changes))
        self._notes("Errors", comparison.errors, "red", len(comparison.errors))
        self._notes("Warnings", warnings(comparison), "yellow", _MOST_WARNINGS)
        self._changes("Better", comparison.of("better"), _MOST_BETTER)
        self._inconclusive(comparison.of("inconclusive"))
        self._alone("Missing, only in the baseline", comparison.missing)
        self._alone("New, not in the baseline", comparison.new)
        self._figures("Figures only in the baseline", comparison.missing_figures)
        self._figures("Figures not in the baseline", comparison.new_figures)
        self._left_out()
        if same := comparison.counts["same"]:
            self._line(Text(f"Same: {plural(same, 'figure')}"))
        if known := comparison.described:
            self._line(Text(f"Not judged: {plural(known, 'figure')}", style="dim"))
        self._unknown(comparison.unknown)
        style = {0: "green", 2: "bold red"}.get(comparison.exit_code, "red")
        self._line(Text(closing(comparison), style=style))

    def _line(self, text: Text, indent: int = 0) -> None:
        """Print a line; what is not on a terminal is searched by line, so there it stays one."""
        text.plain = printable(text.plain)
        if self._console.is_terminal:
            self._console.print(Padding(text, (0, 0, 0, indent)))
        else:
            self._console.print(Text(" " * indent) + text, soft_wrap=True)

    def _changes(self, title: str, changes: Sequence[Change], most: int) -> None:
        if not changes:
            return
        style = _STYLES[changes[0].verdict]
        total = plural(len(self._comparison.changes), "figure")
        self._line(Text(f"{title}: {len(changes):,} of {total}", style=style))
        for change in changes[:most]:
            label = self._comparison.labels[change.identity]
            self._line(Text.assemble((label, "bold"), " ", (change.path, style)), 2)
            self._line(Text(line(change)), 4)
        self._rest(len(changes) - most)
        self._console.print()

    def _inconclusive(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        title = (
            f"Inconclusive: {plural(len(changes), 'figure')}; what their changes may be, at 95 %"
        )
        self._line(Text(title, style="yellow"))
        by_label: dict[str, list[Change]] = {}
        for change in changes:
            by_label.setdefault(self._comparison.labels[change.identity], []).append(change)
        for label, ones in by_label.items():
            self._line(Text(f"{label}: {plural(len(ones), 'figure')}{_reach(ones)}"), 2)
        self._console.print()

    def _notes(self, title: str, notes: Iterable[str], style: str, most: int) -> None:
        shown = list(notes)
        if not shown:
            return
        self._line(Text(title, style=style))
        for note in shown[:most]:
            for part in note.splitlines():
                self._line(Text(part), 2)
        self._rest(len(shown) - most)
        self._console.print()

    def _unknown(self, unknown: Counter[str]) -> None:
        if unknown:
            names = ", ".join(list(unknown)[:_MOST_LINES])
            more = ", …" if len(unknown) > _MOST_LINES else ""
            self._line(
                Text(
                    f"Not judged, as nothing says which way is better: {names}{more}; say it with "
                    f"--metric {next(iter(unknown))}:lower, or :higher",
                    style="dim",
                )
            )

    def _alone(self, title: str, alone: Sequence[Alone]) -> None:
        labels = self._comparison.labels
        notes = [labels[one.identity] + (f": {one.reason}" if one.reason else "") for one in alone]
        self._notes(title, notes, "yellow", _MOST_LINES)

    def _figures(self, title: str, paths: Iterable[tuple[RunIdentity, str]]) -> None:
        notes = [f"{self._comparison.labels[identity]} {path}" for identity, path in paths]
        self._notes(title, notes, "yellow", _MOST_LINES)

    def _left_out(self) -> None:
        sides = (self._comparison.current, self._comparison.baseline)
        notes = [
            f"{one.cause}: {one.path}: {one.reason}"
            for side in sides
            for one in side.left_out
            if one.cause != "damaged"  # those are errors, and told already
        ]
        self._notes("Results left out", notes, "yellow", _MOST_LINES)

    def _rest(self, count: int) -> None:
        if count > 0:
            self._line(Text(f"and {count:,} more; --format json has all", style="dim"), 2)


def _reach(changes: Sequence[Change]) -> str:
    """Return what the changes of some figures may be, and how many rounds would tell."""
    if all(one.judgement.reasons == (NOT_COMPARABLE,) for one in changes):
        return f", {NOT_COMPARABLE}"
    intervals = [one.judgement.interval for one in changes if one.judgement.interval]
    needed = [one.judgement.rounds_needed for one in changes if one.judgement.rounds_needed]
    parts = []
    if intervals:
        lows, highs = zip(*intervals, strict=True)
        parts.append(between(min(lows), max(highs)))
    if needed:
        upto = "up to " if len(needed) > 1 else ""
        parts.append(f"{upto}{max(needed):,} rounds a side would tell")
    return "".join(f", {part}" for part in parts)
