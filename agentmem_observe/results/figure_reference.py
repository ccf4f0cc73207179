"""docs/figures.md, made from the catalog of figures."""

from collections.abc import Iterator
from typing import Final

from agentmem_observe.results.figures import Figure, figures

_HEAD: Final = """\
# Figures

*Made from `agentmem_observe/results/figures.py`; change it there, then run `make golden`.*

The numbers in [result files](results.md) that are judged when two sets of them are compared:
what unit each has, and which change is an improvement. What they mean is with
[the benchmarks](benchmarks.md). A name stands for the keys that a number's path ends in; `<p>` is
a percentile, any other placeholder whatever stands there.

A direction is never guessed from a name. What is not listed here is not judged: numbers of
benchmarks of your own, unless their names are among these, and those that only describe a run:

- parameters, and counts of what was done;
- the largest and the smallest of many samples, and the ends of intervals;
- what the load generator, the host, or the yardstick beside the target did;
- series over time, and growth that may be zero or below;
- what says the same again as a figure that is judged: each judgement takes some of the evidence
  that there is for all of them.

| figure | unit | better |
|---|---|---|
"""
_UNITS: Final = {"per_second": "per second", "": "none"}


def reference() -> str:
    """Return the page as Markdown."""
    return _HEAD + "".join(_rows())


def _rows() -> Iterator[str]:
    for figure in figures():
        if figure.better:
            yield f"| `{figure.name}` | {_unit(figure)} | {figure.better} |\n"


def _unit(figure: Figure) -> str:
    return _UNITS.get(figure.unit, figure.unit)
