"""Numbers as people read them; everything else in the project stays in base units."""


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


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"
