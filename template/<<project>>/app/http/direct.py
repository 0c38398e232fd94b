"""Routes that are answered without FastAPI's detour, which is a third of a small request's CPU.

FastAPI looks for a route through eight layers, and walks the description of its parameters again
for each request. Here that is done once, when the service starts: a plain route's parameters
become one pydantic model, and a request goes from its path to the endpoint. Everything else goes to
FastAPI as ever: routes with dependencies, headers, cookies or a body as parameters, those that are
no `async def`, or do not say that they return a `Response`; and each request that is refused, so
that there is one who words it. Nothing has been done for it by then.

tests/http/test_direct.py compares both ways.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.routing import Route
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.http.calls import Call
from app.http.calls import call_of


class ChosenRoute(APIRoute):
    """A route for some of the requests to its path; the others go on to the next one."""

    def takes(self, scope: Scope, in_path: Mapping[str, str]) -> bool:
        """Whether a request to its path, by its method, is for this route.

        in_path: the texts in the path
        """
        raise NotImplementedError

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As Starlette asks it."""
        match, found = super().matches(scope)
        if match is Match.FULL and self.takes(scope, found["path_params"]):
            return match, found
        return Match.NONE, {}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A route for a path; without a call it is FastAPI's."""

    route: Route
    call: Call | None
    takes: Callable[[Scope, Mapping[str, str]], bool] | None


class DirectRoutes:
    """ASGI application around `api`, which is asked for whatever cannot be answered directly."""

    def __init__(self, api: FastAPI) -> None:
        self._api = api
        # by method, and by a path without parameters or by the first segment of one with them
        self._exact: dict[tuple[str, str], list[_Candidate]] = {}
        self._open: dict[tuple[str, str | None], list[_Candidate]] = {}
        if api.user_middleware or api.root_path or 500 in api.exception_handlers:
            return  # somebody wants to see every request, or answers errors by their status
        every: dict[str, list[_Candidate]] = {}  # by method
        for route in api.routes:
            # what comes after a mount, say, may be meant for it
            if not isinstance(route, Route) or not _knows(type(route)):
                break
            candidate = _candidate_of(route)
            for method in route.methods or ():
                every.setdefault(method, []).append(candidate)
        for method, candidates in every.items():
            varying = [one for one in candidates if "{" in one.route.path]
            for first in {_first_segment(one.route.path) for one in varying} | {None}:
                asked = (first, None)
                self._open[method, first] = [
                    one for one in varying if _first_segment(one.route.path) in asked
                ]
            for path in {one.route.path for one in candidates if "{" not in one.route.path}:
                # those with parameters may take it, too
                matching = [one for one in candidates if one.route.path_regex.match(path)]
                self._exact[method, path] = matching

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not scope.get("root_path"):
            candidate, in_path = self._find(scope)
            if candidate and (call := candidate.call):
                try:
                    values = call.values(scope["query_string"], in_path)
                except ValidationError:
                    pass  # FastAPI tells what is wrong
                else:
                    scope.update(
                        app=self._api,
                        route=candidate.route,
                        endpoint=call.endpoint,
                        path_params=in_path,
                    )
                    return await self._answer(call, values, scope, receive, send)
        await self._api(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[_Candidate | None, dict[str, str]]:
        """The route for a request, and the texts in its path."""
        method, path = scope["method"], scope["path"]
        if path.endswith("\n"):  # which FastAPI's patterns overlook
            return None, {}
        candidates = (
            self._exact.get((method, path))
            or self._open.get((method, _first_segment(path)))
            or self._open.get((method, None))
            or ()
        )
        for candidate in candidates:
            if match := candidate.route.path_regex.match(path):
                in_path = match.groupdict()
                if candidate.takes is None or candidate.takes(scope, in_path):
                    return candidate, in_path
        return None, {}

    async def _answer(
        self, call: Call, values: dict[str, Any], scope: Scope, receive: Receive, send: Send
    ) -> None:
        request = None
        if call.request:
            request = values[call.request] = Request(scope, receive, send)
        try:
            response = await call.endpoint(**values)
            await response(scope, receive, send)
        except Exception as error:
            if "status" in scope:  # it has begun, says the edge
                raise
            handler = self._handler_of(error)
            answers = handler or self._api.exception_handlers.get(Exception)
            if answers:
                response = await _called(answers, request or Request(scope, receive, send), error)
                await response(scope, receive, send)
            if handler is None:
                raise  # for whoever logs it, as Starlette does
            error.__traceback__ = None  # the same error may be raised again

    def _handler_of(self, error: Exception) -> Callable[..., Any] | None:
        """The handler that FastAPI would have for this error; None when it is not expected."""
        handlers = self._api.exception_handlers
        if isinstance(error, HTTPException) and (by_status := handlers.get(error.status_code)):
            return by_status
        kinds = [kind for kind in type(error).__mro__ if issubclass(kind, Exception)]
        return next((handlers[kind] for kind in kinds[:-1] if kind in handlers), None)


async def _called(handler: Callable[..., Any], request: Request, error: Exception) -> Response:
    made: Response
    if inspect.iscoroutinefunction(handler):
        made = await handler(request, error)
    else:
        made = await run_in_threadpool(handler, request, error)
    return made


def _candidate_of(route: Route) -> _Candidate:
    call = call_of(route) if isinstance(route, APIRoute) else None
    return _Candidate(route, call, route.takes if isinstance(route, ChosenRoute) else None)


def _first_segment(path: str) -> str | None:
    """What a path begins with; None if that is a parameter."""
    first = path[1:].partition("/")[0]
    return None if "{" in first else first


def _knows(kind: type[Route]) -> bool:
    """Whether routes of this class do nothing but what FastAPI's do, and decide by nothing but
    path, method and `takes`."""
    if not issubclass(kind, ChosenRoute):
        return kind in (APIRoute, Route)
    asked = ("__init__", "matches", "handle", "get_route_handler")
    return all(getattr(kind, name) is getattr(ChosenRoute, name) for name in asked)
