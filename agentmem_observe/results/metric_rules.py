"""Which figures a comparison judges, from what size on, and which way is better."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agentmem_observe.errors import UsageError
from agentmem_observe.results.figures import Better, Figure, figure_of, unit_of

_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(%?)", re.ASCII)
_LARGEST = 10.0  # 1,000 %: 10 written for 10 % is still one, and 20 is none
_DIRECTIONS: dict[str, Better] = {"lower": "lower", "higher": "higher"}


@dataclass(frozen=True, slots=True)
class MetricRule:
    """What somebody says of some figures.

    Attributes:
        text: As it was written.
        pattern: Part of ``category.benchmark.path``; ``*`` stands for anything.
        threshold: From what relative change on it matters; None as for all others.
        better: Which way is better; "" as the catalog says.
    """

    text: str
    pattern: str
    threshold: float | None = None
    better: Better = ""

    def matches(self, name: str) -> bool:
        """Return whether it is about a figure.

        Args:
            name: ``category.benchmark.path`` of the figure.
        """
        return _compiled(self.pattern).search(name) is not None


@dataclass(frozen=True, slots=True)
class Judged:
    """How a figure is to be judged.

    Attributes:
        figure: Its name, unit and direction; the direction is never "".
        threshold: From what relative change on it matters.
    """

    figure: Figure
    threshold: float


def parse_rule(text: str) -> MetricRule:
    """Read a rule as people write it: ``PATTERN[:SIZE][:lower|higher]``.

    Args:
        text: Such as ``p99:5%``.

    Raises:
        UsageError: If it is not written like this.

    Examples:
        >>> parse_rule("p99:5%").threshold
        0.05
        >>> parse_rule("storage.*.mood:higher")
        MetricRule(text='storage.*.mood:higher', pattern='storage.*.mood', threshold=None, better='higher')
    """  # noqa: E501  what it prints is one line
    pattern, *parts = _split(text)
    threshold: float | None = None
    better: Better = ""
    for part in parts:
        if part in _DIRECTIONS:
            better = _DIRECTIONS[part]
        else:
            threshold = parse_size(part, f"--metric {text!r}")
    if not pattern or len(parts) > 2:
        raise UsageError(
            f"--metric {text!r}: write PATTERN, PATTERN:5%, PATTERN:lower or PATTERN:5%:higher"
        )
    return MetricRule(text, pattern, threshold, better)


def parse_size(text: str, option: str) -> float:
    """Read a relative change.

    Args:
        text: Such as ``0.1`` or ``10%``.
        option: Where it was written; begins an error.

    Raises:
        UsageError: If it is no number above 0.

    Examples:
        >>> parse_size("5%", "--threshold"), parse_size("0.1", "--threshold")
        (0.05, 0.1)
    """
    found = _SIZE.fullmatch(text)
    size = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < size <= _LARGEST:
        raise UsageError(
            f"{option}: {text!r} is no size of a change; write 10% or 0.1, above 0 and at most "
            f"{_LARGEST * 100:.0f}%"
        )
    return size


def judged(name: str, path: str, rules: Sequence[MetricRule], threshold: float) -> Judged | None:
    """Return how a figure is to be judged; None if not at all.

    Args:
        name: ``category.benchmark.path`` of the figure.
        path: Its path alone.
        rules: If there are any, only what they are about is judged; of several the last counts.
        threshold: What goes for those without one of their own.
    """
    rule = next((rule for rule in reversed(rules) if rule.matches(name)), None)
    if rules and rule is None:
        return None
    known = figure_of(path) or Figure(path, unit_of(path), "")
    better = (rule.better if rule else "") or known.better
    if not better:
        return None
    own = rule.threshold if rule else None
    return Judged(known._replace(better=better), threshold if own is None else own)


def check_rules(rules: Sequence[MetricRule], names: Sequence[tuple[str, str]]) -> None:
    """Refuse rules that are about nothing that can be judged.

    Args:
        rules: Which.
        names: ``category.benchmark.path``, and path, of all figures that are on both sides.

    Raises:
        UsageError: Naming the rule and the cure.
    """
    for rule in rules:
        matching = [(name, path) for name, path in names if rule.matches(name)]
        if not matching:
            raise UsageError(
                f"--metric {rule.text!r}: none of {len(names):,} figures has this in its name; "
                f"such as {names[0][0]!r}"
                if names
                else f"--metric {rule.text!r}: there are no figures to match"
            )
        if not any(judged(name, path, [rule], 1.0) for name, path in matching):
            raise UsageError(
                f"--metric {rule.text!r}: nothing says which way {matching[0][0]!r} is better; "
                f"write {rule.pattern + ':lower'!r} or {rule.pattern + ':higher'!r}"
            )


def _split(text: str) -> list[str]:
    """Split off what may follow a pattern, which may have colons of its own."""
    parts: list[str] = []
    while True:
        pattern, colon, last = text.rpartition(":")
        if not colon or not (last in _DIRECTIONS or _SIZE.fullmatch(last)):
            return [text, *reversed(parts)]
        parts.append(last)
        text = pattern


@functools.lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))
