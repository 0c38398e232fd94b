"""Errors as RFC 9457 problem documents."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Send

from app.http.logs import request_id

MEDIA_TYPE = "application/problem+json"
FAILED = "The service failed; the request id helps to find out why."


class Unavailable(Exception):
    """Something that the request needs is away or busy; it may be tried again.

    Answered as 503 with `Retry-After: retry_after` (seconds).
    """

    def __init__(self, detail: str, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


def problem(status: int, detail: str | None = None, **more: Any) -> bytes:
    """The problem document of a status, with `detail` and further members."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "requestId": request_id.get(),
        **more,
    }
    return msgspec.json.encode({name: value for name, value in document.items() if value})


def problem_response(
    status: int, detail: str | None = None, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """A problem document as the answer of a handler."""
    return Response(problem(status, detail, **more), status, headers=headers, media_type=MEDIA_TYPE)


async def send_problem(
    send: Send, status: int, detail: str, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """A problem document as the answer of a middleware."""
    body = problem(status, detail)
    head = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        *(headers or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def send_unavailable(send: Send, error: Unavailable) -> None:
    """`error` as the answer of a middleware."""
    await send_problem(send, 503, str(error), [(b"retry-after", b"%d" % error.retry_after)])


async def send_refusal(send: Send, refused: HTTPException) -> None:
    """An HTTPException as the answer of a middleware."""
    headers = [(k.lower().encode(), v.encode()) for k, v in (refused.headers or {}).items()]
    await send_problem(send, refused.status_code, refused.detail, headers)


def install(api: FastAPI) -> None:
    """Answer every error of the application with a problem document."""
    api.add_exception_handler(HTTPException, _refused)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(Unavailable, _unavailable)
    api.add_exception_handler(Exception, _failed)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = None if error.detail == HTTPStatus(error.status_code).phrase else error.detail
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = ", ".join(sorted(_allowed(request)))
    return problem_response(error.status_code, detail, headers)


def _allowed(request: Request) -> set[str]:
    """The methods of all routes of this path, of which Starlette names the first one's."""
    return {
        method
        for route in request.app.routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in getattr(route, "methods", None) or ()
    }


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = [{"in": _place(one), "problem": one["msg"]} for one in error.errors()[:20]]
    return problem_response(422, "The request is not as the API describes it.", errors=wrong)


def _place(error: dict[str, Any]) -> str:
    """Where an error is. No value is sent back, it may be a secret; names of fields that there are
    not are the client's own words, so they may be of any size and number."""
    return ".".join(str(part)[:64] for part in error["loc"][:8])


async def _unavailable(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable)
    return problem_response(503, str(error), {"Retry-After": str(error.retry_after)})


async def _failed(_: Request, __: Exception) -> Response:
    # the edge logs it
    return problem_response(500, FAILED)
