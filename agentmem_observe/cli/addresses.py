"""``HOST:PORT`` as an option's value."""

import click

_MOST = 65_535


def listen_address(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[str, int] | None:
    """Return host and port of ``127.0.0.1:9464`` or ``[::1]:9464``; a click callback.

    Whether others may reach the host is not judged here.

    Raises:
        click.BadParameter: If host or port is missing or strange.
    """
    if value is None:
        return None
    host, colon, port = value.rpartition(":")
    if not colon:
        raise click.BadParameter(f"{value!r} is not HOST:PORT; try 127.0.0.1:9464")
    if not (port.isascii() and port.isdecimal()) or int(port) > _MOST:
        raise click.BadParameter(f"{value!r}: {port!r} is no port from 0 to {_MOST}")
    if not host:
        raise click.BadParameter(f"{value!r} would serve everybody; try 127.0.0.1:{port}")
    return host.removeprefix("[").removesuffix("]"), int(port)
