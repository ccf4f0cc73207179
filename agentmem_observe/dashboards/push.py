"""Sends dashboards to a Grafana by its HTTP API."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests

from agentmem_observe.errors import ExportError, UsageError

TIMEOUT_SECONDS: Final = 30.0
"""How long to wait for a connection, and then for an answer."""

_LONGEST_ANSWER = 300
_CURES: Final = {
    400: "this Grafana does not take such a dashboard; see what it says",
    401: "it does not know the token; make one for a service account",
    403: "the token may not write dashboards there; give its service account the role Editor",
    404: "there is no such folder, or no Grafana at this URL; name its base URL",
    412: "somebody else changes it at this moment; try again",
}


def push(
    boards: Mapping[str, Mapping[str, Any]],
    url: str,
    token: str,
    *,
    folder_uid: str = "",
    message: str = "",
) -> Iterator[str]:
    """Send dashboards, in place of what a Grafana has under their uids.

    Args:
        boards: Grafana's JSON by uid.
        url: Base URL of the Grafana, such as ``https://grafana.example/``.
        token: Of a service account; it appears nowhere else.
        folder_uid: The folder to put them into; "" for the top.
        message: What their history says of this version.

    Yields:
        The URL of each, once it is there.

    Raises:
        UsageError: If the URL is none.
        ExportError: If the Grafana cannot be reached or does not take one; those before it are
            there then.
    """
    base = _base(url)
    with requests.Session() as session:
        session.auth = _Bearer(token)
        for uid, board in boards.items():
            # The path is all of it: of a Grafana below /grafana it begins with that.
            yield urljoin(base, _push(session, base, uid, board, folder_uid, message))


class _Bearer(requests.auth.AuthBase):
    """A token that ~/.netrc does not replace, as it would a mere header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _base(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url!r} is no URL of a Grafana; write such as http://127.0.0.1:3000")
    if parts.username or parts.password:
        raise UsageError("the URL has a user in it; put a token into GRAFANA_TOKEN instead")
    return url.rstrip("/")


def _push(
    session: requests.Session,
    base: str,
    uid: str,
    board: Mapping[str, Any],
    folder_uid: str,
    message: str,
) -> str:
    """Send one dashboard, and return its path."""
    body: dict[str, Any] = {
        "dashboard": {**board, "id": None},
        "folderUid": folder_uid,
        "message": message,
        "overwrite": True,
    }
    try:
        answer = session.post(
            f"{base}/api/dashboards/db",
            json=body,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,  # or it would be sent, with the token, to who knows where
        )
    except (requests.RequestException, OSError) as error:
        raise ExportError(f"{base}: cannot be reached for {uid}: {error}") from error
    said = _json(answer)
    if answer.status_code == 200 and isinstance(said.get("url"), str):
        return str(said["url"])
    what = said.get("message") or answer.text[:_LONGEST_ANSWER].strip() or "nothing"
    cure = _CURES.get(answer.status_code, "is it the base URL of a Grafana?")
    raise ExportError(
        f"{base}: did not take {uid}: HTTP {answer.status_code}, it says {what!r}; {cure}"
    )


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except requests.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}
