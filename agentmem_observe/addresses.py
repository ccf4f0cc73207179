"""``HOST:PORT``, as people write where a server is to listen."""

_MOST = 65_535


def parse_listen_address(text: str) -> tuple[str, int]:
    """Return host and port of ``127.0.0.1:9464`` or ``[::1]:9464``.

    Whether others may reach the host is not judged here.

    Args:
        text: What was written; port 0 asks for a free one.

    Raises:
        ValueError: If host or port is missing or strange; it says so, and what to write.

    Examples:
        >>> parse_listen_address("[::1]:9464")
        ('::1', 9464)
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"{text!r} is not HOST:PORT; try 127.0.0.1:9464")
    if not (port.isascii() and port.isdecimal()) or int(port) > _MOST:
        raise ValueError(f"{text!r}: {port!r} is no port from 0 to {_MOST}")
    if not host:
        raise ValueError(f"{text!r} would serve everybody; try 127.0.0.1:{port}")
    return host.removeprefix("[").removesuffix("]"), int(port)
