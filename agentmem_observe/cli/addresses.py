"""``HOST:PORT`` as an option's value."""

import click

from agentmem_observe.addresses import parse_listen_address


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
    try:
        return parse_listen_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
