"""What an answer says that is none: JSON where scripts ask, a line of text elsewhere."""

from collections.abc import Mapping

from starlette.responses import JSONResponse, PlainTextResponse, Response

_FOR_SCRIPTS = ("/api/", "/-/")


def refusal_of(
    path: str, status: int, text: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the answer to a request that gets no other; nobody is to keep it.

    Args:
        path: What was asked for.
        status: Of HTTP, from 400 to 599.
        text: A sentence, with the cure.
        headers: Further ones.

    Examples:
        >>> refusal_of("/api/v1/runs/9", 404, "no run 9").body
        b'{"error":"no run 9"}'
    """
    headers = {**(headers or {}), "Cache-Control": "no-store"}
    if path.startswith(_FOR_SCRIPTS):
        return JSONResponse({"error": text}, status, headers)
    return PlainTextResponse(f"{text}\n", status, headers)
