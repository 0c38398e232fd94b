"""`/profile/cpu` and `/profile/memory` on the internal port, for who is on the same machine."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.responses import Response
from starlette.routing import Route

from app.http.errors import problem_response
from app.http.responses import JSONBytes
from app.profiling.profiles import AnotherRuns
from app.profiling.profiles import Profiles
from app.service import Service

USUAL_S, LONGEST_S = 10.0, 60.0
HERE = {"127.0.0.1", "::1", "localhost"}


def internal_routes(service: Service) -> list[Route]:
    """The routes."""
    profiles = service.get(Profiles)

    async def cpu(request: Request) -> Response:
        wanted = request.query_params.get("format", "speedscope")
        if wanted not in ("speedscope", "collapsed"):
            raise HTTPException(422, "format is speedscope or collapsed.")
        profile = await profiles.cpu(_seconds(request), request.is_disconnected)
        if wanted == "collapsed":
            return PlainTextResponse(profile.collapsed())
        return JSONBytes(msgspec.json.encode(profile.speedscope()))

    async def memory(request: Request) -> Response:
        growth = await profiles.memory(_seconds(request), request.is_disconnected)
        return JSONBytes(msgspec.json.encode(growth))

    return [Route("/profile/cpu", _guarded(cpu)), Route("/profile/memory", _guarded(memory))]


def _guarded(
    answer: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Only from this machine: a profile shows code and costs time, and Prometheus needs none.

    A port that is forwarded into a container comes from there, and so may what a mesh's proxy
    delivers, or a web page that has its name resolve to 127.0.0.1: these name another host.
    """

    async def guarded(request: Request) -> Response:
        if request.client is None or not {request.client.host, request.url.hostname} <= HERE:
            return problem_response(403, "Profiles are for who is on the same machine.")
        try:
            return await answer(request)
        except HTTPException as error:
            return problem_response(error.status_code, error.detail)
        except AnotherRuns:
            return problem_response(409, "There is a profile under way.")

    return guarded


def _seconds(request: Request) -> float:
    try:
        seconds = float(request.query_params.get("seconds", USUAL_S))
    except ValueError:
        seconds = 0
    if not 0.1 <= seconds <= LONGEST_S:
        raise HTTPException(422, f"seconds is a number from 0.1 to {LONGEST_S:g}.")
    return seconds
