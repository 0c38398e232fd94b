"""The parameter `fields`, and routes that only those requests take which have it."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
from functools import wraps
from inspect import signature
from typing import Any

from fastapi import APIRouter
from fastapi import Query
from fastapi import Request
from fastapi import Response
from fastapi.routing import APIRoute
from starlette.types import Scope

from app.fields.parse import BadFields
from app.fields.shape import Shape
from app.http.direct import ChosenRoute


def fields_of(shape: Shape) -> Any:
    """The parameter of a route: `fields: Annotated[str, fields_of(ITEM)]`."""
    return Query(
        description=f"Show only these fields, as `id,name`. There are: {shape}.",
        json_schema_extra={"pattern": r"^[A-Za-z0-9_]+([,()]+[A-Za-z0-9_]+)*\)*$"},
    )


class FieldsRoute(ChosenRoute):
    """A route for the requests that have `fields`; the others go on to the next of its path."""

    def takes(self, scope: Scope, _: Mapping[str, str]) -> bool:
        """Whether the request has `fields`."""
        query: bytes = scope["query_string"]
        return query.startswith(b"fields=") or b"&fields=" in query


def add_fields_route(
    api: APIRouter, path: str, endpoint: Callable[..., Awaitable[Response]], **options: Any
) -> None:
    """Add a route just before the one that shows everything, which stays as quick as it is, and
    document both as one: as this. `options` are those of `api.get`.

    So what comes before that one, as `/items/owned` before `/items/{item_id}`, comes before this
    one, too. LookupError when there is none yet; TypeError when the endpoint does not take the
    `request: Request`.
    """
    if "request" not in signature(endpoint).parameters:
        raise TypeError(f"{endpoint.__name__} needs a parameter `request: Request`.")
    place, whole = _whole(api, path)
    whole.include_in_schema = False
    api.add_api_route(path, _once(endpoint), route_class_override=FieldsRoute, **options)
    api.routes.insert(place, api.routes.pop())


def _whole(api: APIRouter, path: str) -> tuple[int, APIRoute]:
    for place, route in enumerate(api.routes):
        if isinstance(route, APIRoute) and route.path == path and "GET" in (route.methods or ()):
            return place, route
    raise LookupError(f"There is no GET {path} yet.")


def _once(endpoint: Callable[..., Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    """The endpoint for requests that have `fields` once.

    FastAPI would take the last of them, and say nothing.
    """

    @wraps(endpoint)
    async def asked_once(request: Request, **given: Any) -> Response:
        query: bytes = request.scope["query_string"]
        alone = query.count(b"fields") == 1 and b"%" not in query
        if not alone and len(request.query_params.getlist("fields")) > 1:
            raise BadFields("it is there more than once, and not as `id,name`")
        return await endpoint(request=request, **given)

    return asked_once
