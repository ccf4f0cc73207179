"""Plain columns of text, for tables that may be very long: rich takes half a millisecond a row."""

from collections.abc import Iterator, Sequence

_GAP = "  "


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield each row as a line in which columns begin one below the other.

    Args:
        rows: At least one, all of the same length.

    Examples:
        >>> list(aligned([("result", "took"), ("a", "1 s")]))
        ['result  took', 'a       1 s']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield _GAP.join(cells).rstrip()
