"""Several results side by side, as a table."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from agentmem_observe.results.flatten import leaves
from agentmem_observe.results.schema import Result


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """One row for every number of every result.

    It has what is needed of a data frame, without pandas: iterate over it, take ``columns`` and
    ``rows``, or print it.

    Attributes:
        rows: One dict per number, with ``columns`` as keys.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "benchmark",
        "category",
        "timestamp",
        "parameter",
        "metric",
        "value",
        "path",
    )
    rows: tuple[dict[str, Any], ...]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return columns and rows as plain JSON values."""
        return {"columns": list(self.columns), "rows": [dict(row) for row in self.rows]}

    def __str__(self) -> str:
        lines = [self.columns, *(self._texts(row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(_aligned(line, widths, self.columns.index("value")) for line in lines)

    def _texts(self, row: dict[str, Any]) -> tuple[str, ...]:
        return tuple(
            f"{row[column]:,.6g}" if column == "value" else row[column] for column in self.columns
        )


def tabulate(results: Iterable[tuple[str, Result]]) -> ComparisonTable:
    """Put results side by side.

    Args:
        results: Path and content of each, in the order in which they are to appear.
    """
    rows = (
        {
            "benchmark": result.benchmark,
            "category": result.category,
            "timestamp": result.timestamp,
            **leaf._asdict(),
            "path": path,
        }
        for path, result in results
        for leaf in leaves(result.results)
    )
    return ComparisonTable(tuple(rows))


def _aligned(texts: Iterable[str], widths: Iterable[int], right: int) -> str:
    cells = (
        text.rjust(width) if index == right else text.ljust(width)
        for index, (text, width) in enumerate(zip(texts, widths, strict=True))
    )
    return "  ".join(cells).rstrip()
