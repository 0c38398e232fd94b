"""Every error is a problem document, and none tells too much."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import FastAPI
from fastapi import HTTPException
from fastapi import Query
from pydantic import BaseModel
from pydantic import ConfigDict
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.http import errors
from app.http.errors import Unavailable
from app.http.responses import JSONBytes
from tests.http.asgi import call

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    """A body."""

    password: int


def application() -> FastAPI:
    api = FastAPI()
    errors.install(api)

    @api.get("/refused")
    async def refused() -> None:
        raise HTTPException(409, "It is there already.", {"X-One": "1"})

    @api.get("/away")
    async def away() -> None:
        raise Unavailable("The database is busy.", retry_after=7)

    @api.get("/broken")
    @api.delete("/broken")
    async def broken() -> None:
        raise RuntimeError("hunter2")

    @api.post("/orders")
    async def orders(order: Order, limit: Annotated[int, Query(le=5)] = 1) -> None: ...

    return api


async def test_a_refusal_is_a_problem() -> None:
    answer = await call(application(), path="/refused")
    assert answer.status == 409
    assert answer.values("content-type") == ["application/problem+json"]
    assert answer.values("x-one") == ["1"]
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "It is there already.",
    }


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/x", 404), ("PUT", "/away", 405)])
async def test_what_the_framework_refuses_is_a_problem(method: str, path: str, status: int) -> None:
    answer = await call(application(), method, path)
    assert (answer.status, answer.json()["status"]) == (status, status)
    assert answer.values("content-type") == ["application/problem+json"]
    assert "detail" not in answer.json(), "the title says it"
    if status == 405:
        assert answer.values("allow") == ["GET"]


async def test_all_methods_of_a_path_are_allowed() -> None:
    answer = await call(application(), "PUT", "/broken")
    assert answer.status == 405
    assert answer.values("allow") == ["DELETE, GET"]


async def test_what_is_away_may_be_tried_again() -> None:
    answer = await call(application(), path="/away")
    assert (answer.status, answer.values("retry-after")) == (503, ["7"])
    assert answer.json()["detail"] == "The database is busy."


async def test_invalid_input_is_named_and_not_sent_back() -> None:
    headers = [(b"content-type", b"application/json")]
    body = [b'{"password": "hunter2"}']
    answer = await call(application(), "POST", "/orders", headers, body)
    assert answer.status == 422
    (wrong,) = answer.json()["errors"]
    assert wrong["in"] == "body.password"
    assert "integer" in wrong["problem"]
    assert b"hunter2" not in answer.body


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"password": 1e999}'])
async def test_no_body_breaks_it(body: bytes) -> None:
    headers = [(b"content-type", b"application/json")]
    answer = await call(application(), "POST", "/orders", headers, [body])
    assert answer.status in (400, 422)
    assert answer.values("content-type") == ["application/problem+json"]
    assert len(answer.body) < 2000


async def test_a_failure_tells_nothing() -> None:
    api = application()

    async def ending(scope: Scope, receive: Receive, send: Send) -> None:
        # starlette raises it again once it is answered; the edge logs it and ends it
        with pytest.raises(RuntimeError, match="hunter2"):
            await api(scope, receive, send)

    answer = await call(ending, path="/broken")
    assert (answer.status, answer.json()["title"]) == (500, "Internal Server Error")
    assert b"hunter2" not in answer.body


async def test_ready_bytes_are_sent_as_they_are() -> None:
    answer = await call(JSONBytes(b'{"a":1}', 201))
    assert (answer.status, answer.json()) == (201, {"a": 1})
    assert answer.values("content-type") == ["application/json"]
    assert answer.values("content-length") == ["7"]


class Strict(BaseModel):
    """Has nothing, and takes nothing else."""

    model_config = ConfigDict(extra="forbid")


async def test_a_name_that_is_unknown_is_told_within_bounds() -> None:
    api = FastAPI()
    errors.install(api)

    @api.post("/strict")
    async def strict(_: Strict) -> None:
        """Take nothing but an empty object."""

    headers = [(b"content-type", b"application/json")]
    for name in ("nme", "x" * 10_000):
        answer = await call(api, "POST", "/strict", headers, [b'{"%b": 1}' % name.encode()])
        assert (answer.status, answer.json()["errors"][0]["in"]) == (422, f"body.{name[:64]}")
    assert b"hunter2" not in answer.body
