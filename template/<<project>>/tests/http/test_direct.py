"""What is answered directly is answered as FastAPI would have."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import product
from typing import Annotated

import pytest
from fastapi import BackgroundTasks
from fastapi import Body
from fastapi import Depends
from fastapi import FastAPI
from fastapi import Header
from fastapi import HTTPException
from fastapi import Path
from fastapi import Query
from fastapi import Request
from fastapi import Response
from starlette.background import BackgroundTask
from starlette.middleware.base import RequestResponseEndpoint
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.http import errors
from app.http.direct import ChosenRoute
from app.http.direct import DirectRoutes
from app.http.edge import Edge
from app.http.errors import Unavailable
from app.settings import CoreSettings
from app.settings import Environment
from tests.garbage import left_by
from tests.http.asgi import call

pytestmark = pytest.mark.anyio

Number = Annotated[int, Query(ge=1, le=100)]


class Marked(ChosenRoute):
    """A route for requests that are marked."""

    def takes(self, scope: Scope, in_path: Mapping[str, str]) -> bool:
        """Whether this one is."""
        assert in_path.keys() <= {"one"}
        return b"marked" in scope["query_string"]


def shown(**values: object) -> Response:
    """An answer that tells what the endpoint was called with."""
    return Response(repr(values), media_type="text/plain")


async def marked(request: Request, marked: str) -> Response:
    return shown(route="marked", request=request.method, marked=marked)


def application() -> FastAPI:
    """Routes of all kinds."""
    api = FastAPI(redirect_slashes=False)
    errors.install(api)
    _add_direct(api)
    _add_in_turns(api)
    _add_failing(api)
    _add_others(api)
    _add_named(api)
    return api


def _add_direct(api: FastAPI) -> None:
    @api.get("/listing")
    async def listing(
        request: Request, limit: Number = 20, cursor: str | None = None, flag: bool = False
    ) -> Response:
        return shown(path=request.url.path, limit=limit, cursor=cursor, flag=flag)

    @api.get("/aliased")
    async def aliased(
        day: Annotated[date, Query(alias="on-day")], pattern: Annotated[str, Query(pattern="^a")]
    ) -> Response:
        return shown(day=day, pattern=pattern)

    @api.get("/things/{thing_id}")
    async def thing(thing_id: Annotated[int, Path(ge=1)], wide: bool | None = None) -> Response:
        return shown(thing_id=thing_id, wide=wide)

    api.router.add_api_route("/chosen/{one}", marked, route_class_override=Marked)

    @api.get("/chosen/{one}")
    async def unmarked(one: str) -> Response:
        return shown(route="unmarked", one=one)

    @api.get("/files/{name:path}")
    async def file(name: str) -> Response:
        return shown(name=name)

    @api.post("/things")
    async def create(request: Request) -> Response:
        return Response(await request.body(), 201, {"X-Made": "1"})

    @api.get("/files/late")  # /files/{name:path} takes it
    async def late() -> Response:
        return shown(route="late")


def _add_in_turns(api: FastAPI) -> None:
    """Routes that take the same paths."""
    api.router.add_api_route("/shelf/top", marked, route_class_override=Marked)

    @api.get("/shelf/{place}")
    async def shelf(place: str) -> Response:
        return shown(route="shelf", place=place)

    @api.get("/shelf/top")
    async def top() -> Response:
        return shown(route="top")

    @api.get("/{kind}/first")
    async def first(kind: str) -> Response:
        return shown(route="first", kind=kind)

    @api.get("/boxes/{box}")
    async def boxes(box: str) -> Response:
        return shown(route="boxes", box=box)


def _add_failing(api: FastAPI) -> None:
    @api.get("/refused")
    async def refused() -> Response:
        raise HTTPException(409, "It is there already.", {"X-One": "1"})

    @api.get("/away")
    async def away() -> Response:
        raise Unavailable("The database is busy.", retry_after=7)


def _add_others(api: FastAPI) -> None:
    """Those that FastAPI has to answer."""

    async def given(request: Request) -> str:
        return request.method

    @api.get("/depends")
    async def depends(method: Annotated[str, Depends(given)]) -> Response:
        return shown(method=method)

    @api.get("/header")
    async def header(accept: Annotated[str, Header()] = "none") -> Response:
        return shown(accept=accept)

    @api.get("/many")
    async def many(ids: Annotated[list[int], Query()]) -> Response:
        return shown(ids=ids)

    @api.get("/plain")
    def plain(limit: Number = 20) -> Response:
        return shown(limit=limit)

    @api.get("/model")
    async def model(limit: Number = 20) -> dict[str, int]:
        return {"limit": limit}

    @api.get("/converted/{one:int}")
    async def converted(one: int) -> Response:
        return shown(one=one)

    @api.post("/body")
    async def body(limit: Number, names: Annotated[list[str], Body()]) -> Response:
        return shown(limit=limit, names=names)

    @api.get("/later")
    async def later(tasks: BackgroundTasks) -> Response:
        return shown(tasks=len(tasks.tasks))


def _add_named(api: FastAPI) -> None:
    """Others, for the names of their parameters."""

    @api.get("/named")
    async def named(
        _private: Annotated[str, Query(alias="private")] = "", json: str = "", copy: str = ""
    ) -> Response:
        return shown(private=_private, json=json, copy=copy)

    @api.get("/twice/{one}")
    async def twice(one: str, other: Annotated[str, Query(alias="one")] = "") -> Response:
        return shown(one=one, other=other)


DIRECT = (
    "/listing",
    "/aliased",
    "/things/7",
    "/chosen/1",
    "/files/a/b",
    "/files/late",
    "/shelf/top",
    "/shelf/low",
    "/shelf/first",
    "/boxes/first",
    "/boxes/second",
    "/others/first",
    "/{kind}/first",
)
OTHERS = (
    "/depends",
    "/header",
    "/many",
    "/plain",
    "/model",
    "/converted/3",
    "/body",
    "/named",
    "/twice/a",
    "/later",
)
NEWLINES = ("/boxes/first\n", "/shelf/top\n", "/things/7\n")  # `$` matches before one
NOT_FOUND = ("/away", "/things/0", "/things/x", "/listing/")
PATHS = (*DIRECT, *OTHERS, *NEWLINES, *NOT_FOUND, "/refused", "/things")
QUERIES = (
    "",
    "limit=5",
    "limit=0",
    "limit=x",
    "limit=",
    "limit=5&limit=6",
    "limit=6&limit=x",
    "%6Cimit=7&cursor=a%20b+c&flag=yes",
    "cursor=%FF&flag=1",
    "cursor&flag=on",
    "on-day=2026-11-29&pattern=abc",
    "on-day=2026-11-31&pattern=b",
    "marked=1&wide=true",
    "wide=&thing_id=9",
    "ids=1&ids=2",
    "ids=1;ids=2&&=&a",
    "private=1&json=2&copy=3&one=4",
)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_the_answer_is_that_of_fastapi(method: str) -> None:
    api = application()
    direct = DirectRoutes(api)
    statuses = set()
    for path, query in product(PATHS, QUERIES):
        asked = f"{path}?{query}" if query else path
        body = [b'["a",', b'"b"]']
        headers = [(b"content-type", b"application/json"), (b"accept", b"text/plain")]
        expected = await call(api, method, asked, headers, body)
        answer = await call(direct, method, asked, headers, body)
        assert (answer.status, answer.headers, answer.body) == (
            expected.status,
            expected.headers,
            expected.body,
        ), asked
        for name in ("route", "path_params", "app"):
            assert answer.scope.get(name) == expected.scope.get(name), asked
        statuses.add(answer.status)
    assert {"GET": 200, "HEAD": 405, "POST": 201, "DELETE": 405}[method] in statuses


async def test_plain_routes_are_answered_directly() -> None:
    direct = DirectRoutes(application())
    for path in (*DIRECT, "/chosen/1?marked=1", "/refused", "/away"):
        asked = "/aliased?on-day=2026-11-29&pattern=abc" if path == "/aliased" else path
        assert "fastapi_inner_astack" not in (await call(direct, path=asked)).scope, path
    for path in OTHERS:
        method = "POST" if path == "/body" else "GET"
        assert "fastapi_inner_astack" in (await call(direct, method, path)).scope, path


async def test_what_nobody_expected_is_answered_and_raised() -> None:
    api = FastAPI()
    errors.install(api)

    @api.get("/broken")
    async def broken() -> Response:
        raise RuntimeError("hunter2")

    async def keeps(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(RuntimeError, match="hunter2"):
            await DirectRoutes(api)(scope, receive, send)
        scope["raised"] = True

    answer = await call(keeps, path="/broken")
    assert (answer.status, answer.scope["raised"]) == (500, True)
    assert b"hunter2" not in answer.body


async def test_an_error_leaves_nothing_to_the_garbage_collector() -> None:
    direct = DirectRoutes(application())

    async def ask() -> None:
        for path, status in (("/refused", 409), ("/away", 503)):
            for _ in range(100):
                assert (await call(direct, path=path)).status == status

    assert await left_by(ask) < 100


async def test_who_answers_an_error_has_the_request_as_the_endpoint_had_it() -> None:
    api = FastAPI()

    @api.exception_handler(LookupError)
    async def repeated(request: Request, _: Exception) -> Response:
        return Response(await request.body(), 409)

    @api.exception_handler(418)
    def teapot(request: Request, error: Exception) -> Response:
        return Response(str(error), 418)

    @api.post("/lost")
    async def lost(request: Request) -> Response:
        await request.body()
        raise KeyError

    @api.get("/tea")
    async def tea() -> Response:
        raise HTTPException(418, "short and stout")

    direct = DirectRoutes(api)
    answer = await call(direct, "POST", "/lost", body=[b"a", b"b"])
    assert (answer.status, answer.body) == (409, b"ab")
    assert (await call(direct, path="/tea")).body == b"418: short and stout"


class Full(Response):
    """An answer that cannot be given, which it finds out before or after it has begun."""

    def __init__(self, begun: bool) -> None:
        super().__init__()
        self._begun = begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Fail."""
        if self._begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise Unavailable("There is no place.")


async def test_an_answer_that_fails_before_it_has_begun_is_another_one() -> None:
    api = FastAPI()
    errors.install(api)

    @api.get("/")
    async def full(begun: bool) -> Response:
        return Full(begun)

    app = Edge(DirectRoutes(api), CoreSettings(environment=Environment.TEST))
    assert (await call(app, path="/?begun=false")).status == 503
    answer = await call(app, path="/?begun=true")
    assert (answer.status, answer.body) == (200, b"")


async def test_what_is_to_be_done_afterwards_is_done() -> None:
    done: list[int] = []
    api = FastAPI()

    @api.get("/")
    async def answered() -> Response:
        return Response(background=BackgroundTask(done.append, 1))

    await call(DirectRoutes(api))
    assert done == [1]


async def test_who_looks_at_every_request_goes_on_to() -> None:
    """A middleware of FastAPI's own, and an application that is mounted before."""

    async def late(request: Request) -> Response:
        return shown(late=request.url.path)

    api = FastAPI()
    api.add_api_route("/early", late)
    api.mount("/mounted", application())
    api.add_api_route("/late", late)
    direct = DirectRoutes(api)
    assert "fastapi_inner_astack" not in (await call(direct, path="/early")).scope
    assert "fastapi_inner_astack" in (await call(direct, path="/late")).scope
    assert (await call(direct, path="/mounted/listing")).status == 200

    seen = []

    async def looks(request: Request, then: RequestResponseEndpoint) -> Response:
        seen.append(request.url.path)
        return await then(request)

    api = application()
    api.middleware("http")(looks)
    assert (await call(DirectRoutes(api), path="/listing")).status == 200
    assert seen == ["/listing"]
