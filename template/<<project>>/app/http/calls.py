"""How the endpoint of a plain route is called: what FastAPI works out at each request, once."""

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

from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic import create_model
from starlette.convertors import PathConvertor
from starlette.convertors import StringConvertor
from starlette.responses import Response

# FastAPI takes one value of a parameter of these types, the last, as it is done here.
_SCALARS = {str, int, float, bool, date, datetime, UUID, type(None)}

_TEXTS = (StringConvertor, PathConvertor)


@dataclass(frozen=True, slots=True)
class Call:
    """What an endpoint is called with."""

    endpoint: Callable[..., Awaitable[Response]]
    read: Callable[[dict[str, str]], BaseModel] | None  # its parameters
    request: str | None  # the name of the parameter that takes it

    def values(self, query: bytes, in_path: dict[str, str]) -> dict[str, Any]:
        """Its arguments by name; ValidationError if they are not as it wants them."""
        if self.read is None:
            return {}
        given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}
        return vars(self.read(given | in_path if given else in_path))


def call_of(route: APIRoute) -> Call | None:
    """How to call the endpoint of a route; None when it has what only FastAPI knows."""
    needs = route.dependant
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
    if any(others) or not _returns_response(route.endpoint) or not _can_be_read(route):
        return None
    fields = [*needs.path_params, *needs.query_params]
    wanted: Any = {field.name: (field.field_info.annotation, field.field_info) for field in fields}
    read = None
    if fields:
        # model_validate would call this, for two thirds more
        read = create_model(route.name, **wanted).__pydantic_validator__.validate_python
    return Call(route.endpoint, read, needs.request_param_name)


def _can_be_read(route: APIRoute) -> bool:
    """Whether one model reads its parameters as FastAPI would: single values, by names that a
    model does not have for itself, and each either in the path or in the query."""
    in_path, in_query = route.dependant.path_params, route.dependant.query_params
    fields, texts = [*in_path, *in_query], {field.alias for field in in_path}
    return (
        all(isinstance(one, _TEXTS) for one in route.param_convertors.values())
        and texts <= route.param_convertors.keys()
        and texts.isdisjoint(field.alias for field in in_query)
        and all(_is_scalar(field.field_info.annotation) for field in fields)
        and not any(f.name.startswith("_") or hasattr(BaseModel, f.name) for f in fields)
    )


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
