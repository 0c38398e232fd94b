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
from collections.abc import Awaitable
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from datetime import datetime
from types import UnionType
from typing import Any
from typing import Union
from typing import get_args
from typing import get_origin
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic import ValidationError
from pydantic import create_model
from starlette.convertors import PathConvertor
from starlette.convertors import StringConvertor
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.routing import Route
from starlette.types import ASGIApp
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

# FastAPI takes one value of a parameter of these types, the last, as it is done here.
_SCALARS = {str, int, float, bool, date, datetime, UUID, type(None)}

_TEXTS = (StringConvertor, PathConvertor)


class ChosenRoute(APIRoute):
    """A route for some of the requests to its path; the others go on to the next one."""

    def takes(self, scope: Scope) -> bool:
        """Whether a request to its path is for this route."""
        raise NotImplementedError

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As Starlette asks it."""
        return super().matches(scope) if self.takes(scope) else (Match.NONE, {})


@dataclass(frozen=True, slots=True)
class _Call:
    """What an endpoint is called with."""

    endpoint: Callable[..., Awaitable[Response]]
    read: Callable[[dict[str, str]], BaseModel] | None  # its parameters
    request: str | None  # the name of the parameter that takes it


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A route for a path; without a call it is FastAPI's."""

    route: Route
    call: _Call | None
    takes: Callable[[Scope], bool] | None


class DirectRoutes:
    """ASGI application around `api`, which is asked for whatever cannot be answered directly."""

    def __init__(self, api: FastAPI) -> None:
        self._api = api
        handlers = dict(api.exception_handlers)
        self._catch_all = handlers.pop(Exception, None)
        self._handlers = handlers
        # by method and path where a path has no parameters, else by method
        self._exact: dict[tuple[str, str], list[_Candidate]] = {}
        self._open: dict[str, list[_Candidate]] = {}
        if api.user_middleware or 500 in handlers:
            return  # somebody wants to see every request, or answers errors by their status
        for route in api.routes:
            # what comes after a mount, say, may be meant for it
            if not isinstance(route, Route) or not _knows(type(route)):
                break
            self._add(route)

    def _add(self, route: Route) -> None:
        takes = route.takes if isinstance(route, ChosenRoute) else None
        call = _call_of(route) if isinstance(route, APIRoute) else None
        candidate = _Candidate(route, call, takes)
        for method in route.methods or ():
            if "{" in route.path:
                self._open.setdefault(method, []).append(candidate)
            else:
                # those with parameters that came before might take the same path
                before = [
                    other
                    for other in self._open.get(method, ())
                    if other.route.path_regex.match(route.path)
                ]
                self._exact.setdefault((method, route.path), before).append(candidate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not scope.get("root_path"):
            candidate, in_path = self._find(scope)
            if candidate and (call := candidate.call):
                try:
                    values = _values(call.read, scope["query_string"], in_path)
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
        exact = self._exact.get((method, path))
        for candidate in self._open.get(method, ()) if exact is None else exact:
            if (match := candidate.route.path_regex.match(path)) and (
                candidate.takes is None or candidate.takes(scope)
            ):
                return candidate, match.groupdict()
        return None, {}

    async def _answer(
        self, call: _Call, values: dict[str, Any], scope: Scope, receive: Receive, send: Send
    ) -> None:
        if call.request:
            values[call.request] = Request(scope, receive, send)
        try:
            response = await call.endpoint(**values)
        except Exception as error:
            await self._fail(error)(scope, receive, send)
        else:
            await response(scope, receive, send)

    def _fail(self, error: Exception) -> ASGIApp:
        """Answers as FastAPI does when an endpoint raises this."""

        async def raises(scope: Scope, receive: Receive, send: Send) -> None:
            raise error

        handled = ExceptionMiddleware(raises, handlers=self._handlers)
        return ServerErrorMiddleware(handled, handler=self._catch_all)


def _values(
    read: Callable[[dict[str, str]], BaseModel] | None, query: bytes, in_path: dict[str, str]
) -> dict[str, Any]:
    """The endpoint's arguments by name; ValidationError if they are not as it wants them."""
    if read is None:
        return {}
    given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}
    return vars(read(given | in_path if given else in_path))


def _knows(kind: type[Route]) -> bool:
    """Whether routes of this class do nothing but what FastAPI's do, and decide by nothing but
    path, method and `takes`."""
    base = next(one for one in (ChosenRoute, APIRoute, Route) if issubclass(kind, one))
    return all(
        getattr(kind, name, None) is getattr(base, name, None)
        for name in ("matches", "handle", "get_route_handler")
    )


def _call_of(route: APIRoute) -> _Call | None:
    """How to call the endpoint of a route; None when it has what only FastAPI knows."""
    needs = route.dependant
    fields = [*needs.path_params, *needs.query_params]
    others = (
        needs.dependencies,
        needs.header_params,
        needs.cookie_params,
        needs.body_params,
        needs.http_connection_param_name,
        needs.response_param_name,
        needs.background_tasks_param_name,
        needs.security_scopes_param_name,
        needs.own_oauth_scopes,
    )
    if any(others) or not _returns_response(route.endpoint):
        return None
    if not {field.alias for field in needs.path_params} <= set(route.param_convertors):
        return None
    if not all(isinstance(one, _TEXTS) for one in route.param_convertors.values()):
        return None
    if not all(_is_scalar(field.field_info.annotation) for field in fields):
        return None
    wanted: Any = {field.name: (field.field_info.annotation, field.field_info) for field in fields}
    read = None
    if fields:
        # model_validate would call this, for two thirds more
        read = create_model(route.name, **wanted).__pydantic_validator__.validate_python
    return _Call(route.endpoint, read, needs.request_param_name)


def _returns_response(endpoint: Callable[..., Any]) -> bool:
    if not inspect.iscoroutinefunction(endpoint):
        return False
    try:
        returned = inspect.signature(endpoint, eval_str=True).return_annotation
    except NameError:  # it is written with names of the function that it is defined in
        return False
    return isinstance(returned, type) and issubclass(returned, Response)


def _is_scalar(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, UnionType):
        return all(_is_scalar(one) for one in get_args(annotation))
    return annotation in _SCALARS
