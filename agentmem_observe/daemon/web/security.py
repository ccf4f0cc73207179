"""What a request must look like, and what headers an answer has."""

import re
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import MutableHeaders

from agentmem_observe.telemetry.endpoint import is_loopback

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

METHODS: Final = READING | {"POST"}
"""Methods that any route may have."""

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::[0-9]*)?")

_PAGE_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_HEADERS: Final = {
    "Content-Security-Policy": _PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
}


def protect(headers: MutableHeaders, configured: Mapping[str, str]) -> None:
    """Add what protects whoever opens an answer in a browser.

    Args:
        headers: Of the answer; what the application set for caching stays.
        configured: What to send in place of ours; "" for not sending it.
    """
    headers.setdefault("Cache-Control", "no-store")
    for name, value in {**_HEADERS, **configured}.items():
        if value:
            headers[name] = value


def names_this_machine(host: str) -> bool:
    """Return whether a header ``Host`` names loopback, with any port.

    A page of a stranger whose name was made to lead here, so that its scripts may read our
    answers, still has that name in the header.

    Args:
        host: The header.

    Examples:
        >>> names_this_machine("localhost:9464"), names_this_machine("[::1]")
        (True, True)
        >>> names_this_machine("evil.example"), names_this_machine("127.0.0.1.example")
        (False, False)
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    return is_loopback((match[1] or match[2]).lower())


def is_plain_path(path: str) -> bool:
    r"""Return whether a decoded path means what it says, wherever it is looked up.

    Examples:
        >>> is_plain_path("/api/v1/runs"), is_plain_path("/..page/x..y")
        (True, True)
        >>> [is_plain_path(path) for path in ("/a/../b", "//a/./b", "http://a/", "/a%00", "/a\0")]
        [False, False, False, True, False]
    """
    if not path.startswith("/") or not path.isprintable() or "\\" in path:
        return False
    return not {".", ".."} & set(path.split("/"))
