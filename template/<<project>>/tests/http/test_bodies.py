"""Bodies that routes read by their model: answers as FastAPI gives them, and the same document."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi import HTTPException
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from starlette.types import Message

from app.http import errors
from app.http.bodies import MOST_TOLD
from app.http.bodies import Body

pytestmark = pytest.mark.anyio


class Hat(BaseModel):
    """A hat."""

    model_config = ConfigDict(extra="forbid")

    size: Annotated[int, Field(ge=1, le=99)]
    name: str = Field(alias="calledAs", max_length=5)


HAT = Body(Hat)


@pytest.fixture
def api() -> FastAPI:
    """The same route twice: by FastAPI and by hand."""
    api = FastAPI()
    errors.install(api)

    @api.post("/plain")
    async def plain(hat: Hat) -> dict[str, Any]:
        return hat.model_dump()

    @api.post("/hot", openapi_extra=HAT.documented)
    async def hot(request: Request) -> dict[str, Any]:
        return (await HAT.of(request)).model_dump()

    return api


@pytest.fixture
def client(api: FastAPI) -> httpx2.AsyncClient:
    """A client of it."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(api), base_url="http://test")


@pytest.mark.parametrize(
    "body",
    [
        {"size": 3, "calledAs": "a"},
        {"size": 0, "calledAs": "a"},
        {"size": "3", "calledAs": "a"},
        {"size": 3},
        {"size": 3, "calledAs": "a", "more": 1},
        {"size": 3, "calledAs": "abcdef"},
        [],
        "text",
    ],
)
async def test_a_body_is_answered_as_fastapi_does(client: httpx2.AsyncClient, body: Any) -> None:
    plain, hot = [await client.post(path, json=body) for path in ("/plain", "/hot")]
    assert hot.status_code == plain.status_code
    if hot.status_code == 200:
        assert hot.json() == plain.json()
    else:
        assert [one["in"] for one in hot.json()["errors"]] == [
            one["in"] for one in plain.json()["errors"]
        ]


@pytest.mark.parametrize("body", [b"", b"{", b'{"size": NaN}', b"\xff", b'{"calledAs": "\\ud800"}'])
async def test_what_is_no_json_is_422(client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await client.post("/hot", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["in"].startswith("body")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/vnd.api+json", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        (None, 415),
    ],
)
async def test_only_json_is_read(client: httpx2.AsyncClient, kind: str | None, status: int) -> None:
    headers = {"content-type": kind} if kind else {}
    body = b'{"size": 3, "calledAs": "a"}'
    answer = await client.post("/hot", content=body, headers=headers)
    assert answer.status_code == status


def test_the_document_tells_of_it(api: FastAPI) -> None:
    paths, schemas = api.openapi()["paths"], api.openapi()["components"]["schemas"]
    hot, plain = (paths[path]["post"] for path in ("/hot", "/plain"))
    schema = hot["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["calledAs"].pop("pattern") == r"^[^\x00]*$"
    assert schema == schemas["Hat"]
    assert hot["requestBody"]["required"] == plain["requestBody"]["required"]
    assert hot["responses"].keys() - {"415"} == plain["responses"].keys()


async def test_of_a_great_many_errors_only_their_number_is_told(client: httpx2.AsyncClient) -> None:
    body = {"size": 3, "calledAs": "a"} | {f"more{number}": 1 for number in range(MOST_TOLD + 1)}
    answer = await client.post("/hot", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"in": "body", "problem": "There are 101 errors"}]
    body.popitem()
    assert len((await client.post("/hot", json=body)).json()["errors"]) == 20


class Note(BaseModel):
    """A text of any kind."""

    text: str


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'{"text": "a\u0000b"}', None),
        (rb'{"text": "\\\u0000"}', None),
        (rb'{"text": "\\\\\u0000"}', None),
        (rb'{"\u0000": 1, "text": "a"}', None),
        (b'{"text": "a\0b"}', None),
        (rb'{"text": "\\u0000"}', r"\u0000"),
        (rb'{"text": "\\\\u0000"}', r"\\u0000"),
        (rb'{"text": "\u00000\n"}', None),
        (rb'{"text": "\u0001\n\\"}', "\x01\n\\"),
    ],
)
async def test_a_text_has_no_nul(body: bytes, text: str | None) -> None:
    scope = {"type": "http", "headers": [(b"content-type", b"application/json")]}

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    request = Request(scope, receive)
    if text is None:
        with pytest.raises(RequestValidationError):
            await Body(Note).of(request)
    else:
        assert (await Body(Note).of(request)).text == text


async def test_a_byte_order_mark_is_passed_over(client: httpx2.AsyncClient) -> None:
    body = b'\xef\xbb\xbf{"size": 3, "calledAs": "a"}'
    answer = await client.post("/hot", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200


async def test_who_goes_away_while_sending_is_no_fault_of_the_service() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    scope = {"type": "http", "headers": [(b"content-type", b"application/json")]}
    with pytest.raises(HTTPException) as raised:
        await HAT.of(Request(scope, receive))
    assert raised.value.status_code == 400


class Size(StrEnum):
    """Sizes."""

    SMALL = "small"


class Shoe(BaseModel):
    """A shoe, whose schema refers to another one."""

    size: Size = Field(description="How large it is.")


class Box(BaseModel):
    """Something that contains such as itself."""

    boxes: list[Box]


def test_the_document_has_the_schema_in_one_piece() -> None:
    class Pair(BaseModel):
        shoes: list[Shoe]

    content = Body(Pair).documented["requestBody"]["content"]["application/json"]
    shoe = content["schema"]["properties"]["shoes"]["items"]
    assert shoe["properties"]["size"]["enum"] == ["small"]
    assert shoe["properties"]["size"]["description"] == "How large it is."
    assert "$" not in str(content)


def test_what_cannot_be_told_in_one_piece_is_refused() -> None:
    with pytest.raises(TypeError, match="Box contains itself"):
        Body(Box)
