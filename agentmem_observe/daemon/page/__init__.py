"""The status page: files that are served as they lie here, and the routes that serve them.

There is no build step and nothing from the network: what is in this directory is what browsers
get.
"""

import hashlib
from dataclasses import dataclass
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}

_INDEX = "index.html"
_ICON = "icon-unknown.svg"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    tag: str

    def answer(self, request: Request) -> Response:
        # Asked for again at every load, so that an upgraded daemon and its page never disagree.
        headers = {"Cache-Control": "no-cache", "ETag": self.tag}
        known = request.headers.get("if-none-match", "")
        if self.tag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


def page_routes() -> list[Route]:
    """Return ``/`` and what it loads, below ``/page/``.

    Only the names that are there now are served: no request reaches the file system.
    """
    files = _files()
    index = files.pop(_INDEX)
    routes = [Route(f"/page/{name}", file.answer) for name, file in files.items()]
    # Browsers ask for it beside every answer that is no page of ours, such as a result.
    icon = Route("/favicon.ico", files[_ICON].answer)
    return [Route("/", index.answer), icon, *routes]


def _files() -> dict[str, _File]:
    found: dict[str, _File] = {}
    for path in resources.files(__name__).iterdir():
        media_type = _MEDIA_TYPES.get(path.name[path.name.rfind(".") :])
        if media_type is not None:
            content = path.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
            found[path.name] = _File(content, media_type, tag)
    return found
