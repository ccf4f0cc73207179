"""What the daemon answers over HTTP: requests become calls of `Controls`, their answers JSON.

Who may ask, how often and over which connection is decided in front of these routes.
"""

import math
import re
import reprlib

import msgspec
import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agentmem_observe.daemon.controls import Asked, Controls
from agentmem_observe.daemon.page import page_routes
from agentmem_observe.daemon.web.refusals import refusal_of
from agentmem_observe.errors import did_you_mean
from agentmem_observe.telemetry.endpoint import metrics_routes
from agentmem_observe.telemetry.registry import MetricRegistry

RUNS_AT_ONCE = 50
"""How many runs an answer has unless ``limit`` says otherwise."""

MOST_RUNS = 1000
"""The largest ``limit``; some 400 kB of JSON."""

TREND_SECONDS = 86_400
"""How far back a trend goes unless ``seconds`` says otherwise."""

MOST_TREND_SECONDS = 366 * 86_400
"""The largest ``seconds``; what it costs is bounded by the rows that are kept."""

_LARGEST_ID = 2**63 - 1  # SQLite's
_WHOLE = re.compile(r"[0-9]{1,19}")
_NO_STORE = {"Cache-Control": "no-store"}


def daemon_app(controls: Controls, registry: MetricRegistry) -> Starlette:
    """Return the application of `daemon_routes`, whose errors are JSON where scripts ask.

    Args:
        controls: The daemon.
        registry: What ``/metrics`` shows.
    """
    handlers = {HTTPException: _refused, Exception: _broken}
    return Starlette(routes=daemon_routes(controls, registry), exception_handlers=handlers)


def daemon_routes(controls: Controls, registry: MetricRegistry) -> list[Route]:
    """Return the API, the health checks, ``/metrics`` and the status page ``/``.

    Args:
        controls: The daemon; called from several threads.
        registry: What ``/metrics`` shows.
    """
    api = _Api(controls)
    return [
        Route("/api/v1/status", api.status),
        Route("/api/v1/jobs", api.jobs),
        Route("/api/v1/jobs/{name}", api.job),
        Route("/api/v1/jobs/{name}/trend", api.trend),
        Route("/api/v1/jobs/{name}/run", api.run_now, methods=["POST"]),
        Route("/api/v1/runs", api.runs),
        Route("/api/v1/runs/{id}", api.run),
        Route("/-/reload", api.reload, methods=["POST"]),
        Route("/healthz", _healthz),
        Route("/readyz", api.readyz),
        *metrics_routes(registry),
        *page_routes(),
    ]


class _Api:
    """One method per route; not async, so that each call of the daemon has a thread."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def status(self, request: Request) -> Response:
        since = _seconds(_parameters(request, "since").get("since", "0"), "since")
        return _json(self._controls.status(since))

    def jobs(self, request: Request) -> Response:
        _parameters(request)
        return _json({"jobs": self._controls.status()["jobs"]})

    def job(self, request: Request) -> Response:
        _parameters(request)
        name = request.path_params["name"]
        job = self._controls.job(name)
        if job is None:
            raise HTTPException(404, self._no_job(name))
        return _json(job)

    def trend(self, request: Request) -> Response:
        text = _parameters(request, "seconds").get("seconds", str(TREND_SECONDS))
        seconds = _whole(text, "seconds", MOST_TREND_SECONDS)
        name = request.path_params["name"]
        trend = self._controls.trend(name, seconds)
        if trend is None:
            raise HTTPException(404, self._no_job(name))
        return _json(trend)

    def runs(self, request: Request) -> Response:
        given = _parameters(request, "job", "limit", "before")
        limit = _whole(given.get("limit", str(RUNS_AT_ONCE)), "limit", MOST_RUNS)
        before = _whole(given["before"], "before", _LARGEST_ID) if "before" in given else None
        job = given.get("job")
        runs = self._controls.runs(job, limit, before)
        # A job that is no longer in the settings is known by its runs.
        if job is not None and not runs and before is None and job not in self._names():
            raise HTTPException(400, self._no_job(job))
        return _json({"runs": runs})

    def run(self, request: Request) -> Response:
        _parameters(request)
        id = _whole(request.path_params["id"], "the id of a run", _LARGEST_ID)
        run = self._controls.run(id)
        if run is None:
            raise HTTPException(
                404, f"no run {id}: there was none, or it was too old to keep; see /api/v1/runs"
            )
        return _json(run, indent=2)  # people open it from the status page

    def run_now(self, request: Request) -> Response:
        _parameters(request)
        name = request.path_params["name"]
        asked = self._controls.run_now(name)
        if asked is Asked.QUEUED:
            return _json({"job": name, "asked": asked.value}, status=202)
        if asked is Asked.UNKNOWN:
            raise HTTPException(404, self._no_job(name))
        if asked is Asked.ENDING:
            raise HTTPException(409, f"job {name!r} is about to end; ask again when it is back")
        if asked is Asked.ALREADY:
            raise HTTPException(
                409, f"job {name!r} runs already, or waits for the host; ask again when it is idle"
            )
        raise HTTPException(409, f"job {name!r} is a soak: it always runs")

    def reload(self, request: Request) -> Response:
        _parameters(request)
        problem = self._controls.reload()
        if problem:
            raise HTTPException(400, problem)
        return _json({"reloaded": True})

    def readyz(self, request: Request) -> Response:
        missing = self._controls.ready()
        status = 503 if missing else 200
        return PlainTextResponse(f"{missing or 'ready'}\n", status, _NO_STORE)

    def _names(self) -> list[str]:
        return [job["name"] for job in self._controls.status(math.inf)["jobs"]]

    def _no_job(self, name: str) -> str:
        return f"no job {_short(name)}; {did_you_mean(name, self._names())}"


async def _healthz(request: Request) -> Response:
    # Async on purpose: answered by the server's loop itself, it shows that this turns.
    return PlainTextResponse("ok\n", headers=_NO_STORE)


def _parameters(request: Request, *known: str) -> dict[str, str]:
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise HTTPException(400, f"no parameter {_short(name)} here; {hint}")
        if names.count(name) > 1:
            raise HTTPException(400, f"{name} is given {names.count(name)} times; give it once")
    return dict(given)


def _whole(text: str, what: str, most: int) -> int:
    if _WHOLE.fullmatch(text) and 1 <= int(text) <= most:
        return int(text)
    raise HTTPException(400, f"{what} is {_short(text)}; give a whole number from 1 to {most}")


def _seconds(text: str, what: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise HTTPException(
            400, f"{what} is {_short(text)}; give seconds since 1970, such as 1.7e9"
        )
    return seconds


def _short(text: str) -> str:
    return reprlib.repr(text)


def _json(answer: object, *, status: int = 200, indent: int = 0) -> Response:
    # msgspec writes null for nan: one such figure must not take the whole page with it.
    body = msgspec.json.encode(answer, enc_hook=_plain)
    if indent:
        body = msgspec.json.format(body, indent=indent)
    return Response(body, status, _NO_STORE, media_type="application/json")


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"no JSON for {value!r}")


def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(f"not an error of HTTP: {error!r}") from error
    return refusal_of(request.url.path, error.status_code, error.detail, error.headers)


def _broken(request: Request, error: Exception) -> Response:
    # The exception itself goes on to the server, which logs it; callers learn no internals.
    return refusal_of(request.url.path, 500, "the daemon failed to answer; see its log")
