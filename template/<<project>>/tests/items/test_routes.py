"""The routes of items, through the whole service."""

import json
from typing import Any

import asyncpg
import httpx2
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.http.direct import DirectRoutes
from app.items.routes import Created
from app.items.routes import ItemPage
from app.items.routes import ItemView
from app.main import create_api
from app.service import Service
from tests.http.asgi import call

pytestmark = pytest.mark.anyio
NEW: dict[str, Any] = {"name": "A hat", "price": 12.5, "description": "It is red."}


def is_problem(answer: httpx2.Response, status: int) -> bool:
    """Whether this is a problem document of that status."""
    document = answer.json()
    assert answer.status_code == status, document
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return True


def exactly[T](kind: type[T], answer: httpx2.Response) -> T:
    """The answer as the model that the API promises, with not a field more."""
    assert answer.headers["content-type"] == "application/json"
    view = TypeAdapter(kind).validate_json(answer.content)
    promised = TypeAdapter(kind).dump_python(view, mode="json", by_alias=True)
    _same_fields(promised, answer.json())
    return view


def _same_fields(promised: Any, given: Any) -> None:
    if isinstance(promised, dict):
        assert promised.keys() == given.keys()
        for name, value in promised.items():
            _same_fields(value, given[name])
    elif isinstance(promised, list):
        for one, other in zip(promised, given, strict=True):
            _same_fields(one, other)


async def test_the_hot_routes_are_answered_directly(service: Service) -> None:
    direct = DirectRoutes(create_api(service))
    for method, path in (
        ("GET", "/items"),
        ("GET", "/items/1"),
        ("POST", "/items"),
        ("POST", "/items/bulk"),
        ("GET", "/users/1"),
    ):
        assert "fastapi_inner_astack" not in (await call(direct, method, path)).scope, path


async def test_an_item_is_made_and_found(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/items", json=NEW)
    assert answer.status_code == 201
    made = exactly(ItemView, answer)
    assert made.model_dump(include=set(NEW)) == NEW
    assert made.created_at.tzinfo
    for _ in range(2):  # from the database, from the cache
        found = await client.get(f"/items/{made.id}")
        assert found.status_code == 200
        assert exactly(ItemView, found) == made


async def test_a_page_is_as_promised(client: httpx2.AsyncClient) -> None:
    empty = exactly(ItemPage, await client.get("/items"))
    assert empty.data == []
    assert empty.pagination.model_dump() == {
        "next_cursor": None,
        "prev_cursor": None,
        "has_more": False,
    }
    made = await client.post("/items/bulk", json={"items": [NEW] * 30})
    assert made.status_code == 201
    assert exactly(Created, made).created == 30
    page = exactly(ItemPage, await client.get("/items"))
    assert len(page.data) == 20
    assert page.pagination.has_more
    rest = exactly(
        ItemPage, await client.get("/items", params={"cursor": page.pagination.next_cursor})
    )
    assert len(rest.data) == 10
    assert not rest.pagination.has_more
    assert len({item.id for item in [*page.data, *rest.data]}) == 30
    back = await client.get("/items", params={"cursor": rest.pagination.prev_cursor})
    assert exactly(ItemPage, back).data == page.data
    assert back.links.keys() == {"next"}


@pytest.mark.parametrize("id", [1, 2**31 - 1])
async def test_an_item_that_is_not_there_is_404(client: httpx2.AsyncClient, id: int) -> None:
    assert is_problem(await client.get(f"/items/{id}"), 404)


@pytest.mark.parametrize("id", ["0", "-1", str(2**31), "9" * 5000, "x", "1.5", "%00", "1e3"])
async def test_an_id_that_cannot_be_is_422(client: httpx2.AsyncClient, id: str) -> None:
    assert is_problem(await client.get(f"/items/{id}"), 422)


@pytest.mark.parametrize("limit", [0, -1, 101, 2**31, 10**30, "x", "", "1.5", "NaN"])
async def test_a_limit_beyond_the_bounds_is_422(client: httpx2.AsyncClient, limit: Any) -> None:
    assert is_problem(await client.get("/items", params={"limit": limit}), 422)


@pytest.mark.parametrize("cursor", ["", "x", "A" * 40, "A" * 50_000, "\0", "é" * 40, "🎩" * 40])
async def test_a_cursor_that_is_none_is_400(client: httpx2.AsyncClient, cursor: str) -> None:
    assert is_problem(await client.get("/items", params={"cursor": cursor}), 400)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\0b"},
        {"name": "\ud800"},
        {"name": None},
        {"name": 1},
        {"price": -0.01},
        {"price": 1.1e12},
        {"price": "cheap"},
        {"price": float("inf")},
        {"price": float("nan")},
        {"price": 10**400},
        {"price": None},
        {"price": [1]},
        {"price": False},
        {"price": "1"},
        {"description": "x" * 10_001},
        {"description": "a\0b"},
        {"description": "\udfff tail"},
        {"description": None},
        {"id": 1},
        {"owner_id": 1},
    ],
)
@pytest.mark.parametrize("bulk", [False, True])
async def test_a_field_that_is_wrong_is_422_and_makes_nothing(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, change: dict[str, Any], bulk: bool
) -> None:
    wrong = NEW | change
    # json.dumps writes what a client may send: surrogates escaped, NaN, Infinity
    body = json.dumps({"items": [NEW, wrong, NEW]} if bulk else wrong)
    headers = {"Content-Type": "application/json"}
    path = "/items/bulk" if bulk else "/items"
    assert is_problem(await client.post(path, content=body, headers=headers), 422)
    assert await rows.fetchval("SELECT count(*) FROM items") == 0


@pytest.mark.parametrize("field", ["name", "price", "description"])
async def test_a_field_that_is_missing_is_422(client: httpx2.AsyncClient, field: str) -> None:
    left = {name: value for name, value in NEW.items() if name != field}
    assert is_problem(await client.post("/items", json=left), 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"name": "\xff", "price": 1, "description": ""}',
        b'{"price": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
    ],
)
async def test_a_body_that_is_no_item_is_the_clients_fault(
    client: httpx2.AsyncClient, body: bytes
) -> None:
    answer = await client.post("/items", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert is_problem(answer, answer.status_code)


@pytest.mark.parametrize("count", [0, 1001])
async def test_none_and_too_many_at_once_are_422(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, count: int
) -> None:
    small = NEW | {"description": ""}
    assert is_problem(await client.post("/items/bulk", json={"items": [small] * count}), 422)
    assert await rows.fetchval("SELECT count(*) FROM items") == 0


async def test_as_many_as_allowed_are_made_at_once(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    small = NEW | {"description": ""}
    answer = await client.post("/items/bulk", json={"items": [small] * 1000})
    assert exactly(Created, answer).created == 1000
    assert await rows.fetchval("SELECT count(*) FROM items") == 1000


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=TEXT.filter(bool),
    price=st.floats(0, 1e12),
    description=TEXT,
)
async def test_what_is_sent_comes_back_to_the_character_and_the_bit(
    client: httpx2.AsyncClient, name: str, price: float, description: str
) -> None:
    sent = {"name": name, "price": price, "description": description}
    made = (await client.post("/items", json=sent)).json()
    found = (await client.get(f"/items/{made['id']}")).json()
    [listed] = (await client.get("/items", params={"limit": 1})).json()["data"]
    assert found == listed == made
    assert {field: found[field] for field in sent} == sent


async def test_emoji_of_all_planes_come_back(client: httpx2.AsyncClient) -> None:
    name = "🎩👨‍👩‍👧‍👦🇪🇺\U0010ffff\ufeff\u202e"
    made = (await client.post("/items", json=NEW | {"name": name})).json()
    assert (await client.get(f"/items/{made['id']}")).json()["name"] == name


async def test_who_is_not_known_makes_nothing(
    anonymous: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    for path, body in (("/items", NEW), ("/items/bulk", {"items": [NEW]})):
        assert is_problem(await anonymous.post(path, json=body), 401)
    assert await rows.fetchval("SELECT count(*) FROM items") == 0
