"""Numbers as people read and write them; all else in the project stays in base units."""

import re


def format_seconds(seconds: float) -> str:
    """Format a duration with three significant digits and a unit that fits.

    Args:
        seconds: Duration in seconds, >= 0.

    Examples:
        >>> [format_seconds(s) for s in (0, 2.5e-8, 0.00091, 0.9111, 12.3, 83, 7322)]
        ['0 s', '25.0 ns', '910 µs', '911 ms', '12.3 s', '1 min 23 s', '2 h 02 min']
    """
    if seconds == 0:
        return "0 s"
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    if seconds >= 60:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{_three_digits(seconds / factor)} {unit}"
    return f"{_three_digits(seconds * 1e9)} ns"


def format_bytes(count: float) -> str:
    """Format a byte count in binary units.

    Args:
        count: Number of bytes, >= 0.

    Examples:
        >>> [format_bytes(n) for n in (0, 1023, 1536, 3 * 2**30)]
        ['0 B', '1023 B', '1.50 KiB', '3.00 GiB']
    """
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:
            return f"{_three_digits(count)} {unit}"
    return f"{_three_digits(count / 1024)} TiB"


def format_rate(per_second: float) -> str:
    """Format operations per second.

    Examples:
        >>> [format_rate(r) for r in (9.87, 431.4, 61700.0)]
        ['9.87/s', '431/s', '61,700/s']
    """
    return f"{per_second:,.0f}/s" if per_second >= 100 else f"{_three_digits(per_second)}/s"


def format_figure(value: float, unit: str) -> str:
    """Format a number of a result by its unit.

    Args:
        value: The number; it may be below zero.
        unit: One of `results.figures.Figure`; "" for a bare number.

    Examples:
        >>> [format_figure(0.0015, "seconds"), format_figure(-2.5, "milliseconds")]
        ['1.50 ms', '-2.50 ms']
        >>> [format_figure(1536, "bytes"), format_figure(61700.2, "per_second")]
        ['1.50 KiB', '61,700/s']
        >>> [format_figure(7, "count"), format_figure(0.98765, "ratio"), format_figure(3.2, "")]
        ['7', '0.9877', '3.2']
        >>> format_figure(12.34, "percent")
        '12.3 %'
    """
    sign, size = ("-" if value < 0 else ""), abs(value)
    match unit:
        case "seconds" | "milliseconds" | "nanoseconds":
            return sign + format_seconds(size * _IN_SECONDS[unit])
        case "bytes" | "mebibytes":
            return sign + format_bytes(size * (2**20 if unit == "mebibytes" else 1))
        case "per_second":
            return sign + format_rate(size)
        case "percent":
            return f"{value:,.3g} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def format_period(seconds: float) -> str:
    """Format the length of something that was chosen, not measured: to the millisecond.

    Args:
        seconds: The length in seconds, >= 0.

    Examples:
        >>> [format_period(s) for s in (0, 0.5, 45, 90, 21600, 5400, 31 * 86400)]
        ['0 s', '500 ms', '45 s', '1 min 30 s', '6 h', '1 h 30 min', '31 d']
    """
    left = round(seconds * 1000)
    parts = []
    for name, milliseconds in _PERIODS.items():
        count, left = divmod(left, milliseconds)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts) or "0 s"


def parse_period(text: str) -> float:
    """Return the seconds of a length as Prometheus writes it.

    Args:
        text: Whole numbers with units, the larger first: ``y`` (365 days), ``w``, ``d``, ``h``,
            ``m``, ``s``, ``ms``.

    Raises:
        ValueError: If it is not written like this.

    Examples:
        >>> [parse_period(text) for text in ("90s", "1h30m", "2d", "1w", "500ms", "0s")]
        [90.0, 5400.0, 172800.0, 604800.0, 0.5, 0.0]
    """
    found = _WRITTEN_PERIOD.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"no period such as 1h30m: {text!r}")
    counts = zip(found.groups(default="0"), _WRITTEN_MILLISECONDS, strict=True)
    return sum(int(count) * each for count, each in counts) / 1000


def parse_bytes(text: str) -> int:
    """Return the bytes of a size: ``GB`` and the like are powers of ten, ``GiB`` of two.

    Args:
        text: A number, which may have decimals, and a unit: ``B``, ``kB`` or ``KB``, ``MB``,
            ``GB``, ``TB``, ``KiB``, ``MiB``, ``GiB``, ``TiB``.

    Raises:
        ValueError: If it is not written like this.

    Examples:
        >>> [parse_bytes(text) for text in ("512B", "2GB", "1.5 GiB")]
        [512, 2000000000, 1610612736]
    """
    found = _WRITTEN_BYTES.fullmatch(text)
    if found is None:
        raise ValueError(f"no size such as 2GB: {text!r}")
    number, prefix, binary = found.groups()
    unit: int = (1024 if binary else 1000) ** " KMGT".index(prefix.upper() or " ")
    return round(float(number) * unit)


def format_change(ratio: float) -> str:
    """Format a relative change.

    Args:
        ratio: New over old less 1: 0.1 is 10 % more.

    Examples:
        >>> [format_change(change) for change in (0.0123, -0.123, 0.1, 2.5, -1e-9)]
        ['+1.23 %', '-12.3 %', '+10 %', '+250 %', '+0 %']
    """
    percent = 100 * ratio
    decimals = 2 if abs(percent) < 9.995 else 1 if abs(percent) < 99.95 else 0
    text = f"{percent:+,.{decimals}f}"
    if not round(percent, decimals):
        return "+0 %"  # and not -0
    return f"{text.rstrip('0').rstrip('.') if decimals else text} %"


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"


_IN_SECONDS = {"seconds": 1.0, "milliseconds": 1e-3, "nanoseconds": 1e-9}
_PERIODS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1000, "ms": 1}
_WRITTEN_MILLISECONDS = (
    365 * 86_400_000, 7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1000, 1
)  # fmt: skip
_WRITTEN_PERIOD = re.compile(
    "".join(rf"(?:([0-9]{{1,12}}){unit})?" for unit in ("y", "w", "d", "h", "m", "s", "ms"))
)
_WRITTEN_BYTES = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?([kKMGT]?)((?<=[KMGT])i)?B")
