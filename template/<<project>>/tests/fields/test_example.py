"""The example's routes with `fields`: answers, SQL, pages, errors, the document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx2
import pytest
from fastapi import APIRouter
from fastapi import Request
from fastapi import Response
from fastapi.routing import APIRoute
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from app.fields import add_fields_route
from app.main import create_api
from app.service import Service

pytestmark = pytest.mark.anyio
ITEM_FIELDS = ["id", "name", "price", "description", "created_at"]


@pytest.fixture
async def rows(servers: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the tests' own; 2 owners, 30 items, every third of which has none."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute("INSERT INTO users (name, email) VALUES ('Ada', 'a@x'), ('Bo', 'b@x')")
    await connection.execute(
        "INSERT INTO items (owner_id, name, price, description)"
        " SELECT nullif(n % 3, 0), 'Item ' || n, n, 'd' FROM generate_series(1, 30) n"
    )
    yield connection
    await connection.close()


async def get(client: httpx2.AsyncClient, path: str, **params: Any) -> Any:
    """What is answered, as it must be."""
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_page_shows_and_selects_only_what_is_asked_for(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, asked: list[str]
) -> None:
    page = await get(client, "/items", fields="id,name")
    assert page["data"] == [{"id": n, "name": f"Item {n}"} for n in range(30, 10, -1)]
    assert page["pagination"].keys() == {"nextCursor", "prevCursor", "hasMore"}
    [sql] = asked
    # the order needs one column more, which is not shown
    assert sql.startswith("SELECT items.id, items.name, items.created_at FROM items ORDER")


async def test_an_owner_is_read_only_if_asked_for(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, asked: list[str]
) -> None:
    page = await get(client, "/items", fields="name,owner(name)", limit=3)
    assert page["data"] == [
        {"name": "Item 30", "owner": None},
        {"name": "Item 29", "owner": {"name": "Bo"}},
        {"name": "Item 28", "owner": {"name": "Ada"}},
    ]
    assert len(asked) <= 2
    assert not any("price" in sql or "description" in sql for sql in asked)
    asked.clear()
    await get(client, "/items", fields="name", limit=3)
    assert not any("users" in sql or "owner" in sql for sql in asked)


async def test_pages_of_fields_lead_onwards_and_back(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    answer = await client.get("/items?fields=name&limit=7")
    seen = [answer.json()["data"]]
    while following := answer.links.get("next"):
        answer = await client.get(f"/items{following['url']}")
        seen.append(answer.json()["data"])
    names = [item["name"] for page in seen for item in page]
    assert names == [f"Item {n}" for n in range(30, 0, -1)]
    assert {tuple(item) for page in seen for item in page} == {("name",)}
    back = await client.get(f"/items{answer.links['prev']['url']}")
    assert back.json()["data"] == seen[-2]


async def test_a_cursor_is_good_for_any_fields(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    first = await get(client, "/items", limit=5)
    cursor = first["pagination"]["nextCursor"]
    plain = await get(client, "/items", limit=5, cursor=cursor)
    some = await get(client, "/items", limit=5, cursor=cursor, fields="id")
    assert some["data"] == [{"id": item["id"]} for item in plain["data"]]
    assert some["pagination"] == plain["pagination"]


async def test_single_rows_show_and_select_only_what_is_asked_for(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, asked: list[str]
) -> None:
    assert await get(client, "/users/1", fields="email,id") == {"id": 1, "email": "a@x"}
    assert await get(client, "/items/2", fields="price,owner") == {
        "price": 2,
        "owner": {"id": 2, "name": "Bo"},
    }
    assert asked[0] == "SELECT users.id, users.email FROM users WHERE users.id = $1::INTEGER"
    assert asked[1].startswith("SELECT items.price, ")
    for path in ("/users/99", "/items/99"):
        assert (await client.get(path, params={"fields": "id"})).status_code == 404


async def test_whole_and_partial_answers_are_never_mixed_up(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    """Also where whole ones are kept, and whichever comes first."""
    for path, whole in (
        ("/users/1", ["id", "name", "email", "status", "created_at"]),
        ("/items/1", ITEM_FIELDS),
    ):
        for fields in ("name", None, "id,name", None, "name"):
            params = {} if fields is None else {"fields": fields}
            shown = await get(client, path, **params)
            assert [*shown] == (whole if fields is None else fields.split(","))
    await client.patch("/users/1", json={"name": "Ada L."})
    assert await get(client, "/users/1", fields="name") == {"name": "Ada L."}
    assert (await get(client, "/users/1"))["name"] == "Ada L."


@pytest.mark.parametrize("path", ["/items", "/items/1", "/users/1"])
@pytest.mark.parametrize(
    "fields", ["", "x", "id,tier", "owner_id", "id,,id", "owner(email)", "id)"]
)
async def test_what_there_is_not_is_400(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, path: str, fields: str
) -> None:
    answer = await client.get(path, params={"fields": fields})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    detail = answer.json()["detail"]
    assert detail.startswith("fields: ")
    if fields == "x":
        assert "there are id, name, " in detail


async def test_other_parameters_are_checked_as_ever(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    assert (await client.get("/items?fields=id&limit=0")).status_code == 422
    assert (await client.get("/items?fields=id&cursor=x")).status_code == 400
    assert (await client.get("/items/0?fields=id")).status_code == 422
    assert (await client.post("/items?fields=id", json={})).status_code == 422
    for query in ("myfields=id", "fields", "a=fields=id"):
        item = await client.get(f"/items/1?{query}")
        assert [*item.json()] == ITEM_FIELDS, query


async def test_a_literal_path_stays_ahead_of_the_id(
    client: httpx2.AsyncClient, service: Service
) -> None:
    """Whatever stands before `/items/{item_id}`, as `/items/owned` may, is not taken for an id."""
    paths = [route.path for route in create_api(service).routes if isinstance(route, APIRoute)]
    place = paths.index("/items/{item_id}")
    assert paths[place + 1] == "/items/{item_id}"
    if "/items/owned" in paths:
        assert (await client.get("/items/owned?fields=id")).status_code == 200


async def test_a_route_without_one_that_shows_everything_is_refused() -> None:
    async def endpoint(request: Request) -> Response:
        return Response()

    with pytest.raises(LookupError, match="no GET /things yet"):
        add_fields_route(APIRouter(), "/things", endpoint)


async def test_an_endpoint_that_does_not_take_the_request_is_refused() -> None:
    async def endpoint() -> Response:
        return Response()

    with pytest.raises(TypeError, match="endpoint needs a parameter `request: Request`"):
        add_fields_route(APIRouter(), "/things", endpoint)


async def test_fields_are_named_in_one_place(client: httpx2.AsyncClient) -> None:
    for query in ("fields=id&fields=name", "fields&fields=id", "fields=id&%66ields=name"):
        answer = await client.get(f"/items?{query}")
        assert answer.status_code == 400, query
        assert answer.json()["detail"].startswith("fields: it is there more than once")


async def test_who_is_not_known_sees_nothing(anonymous: httpx2.AsyncClient) -> None:
    for path in ("/items", "/items/1", "/users/1"):
        assert (await anonymous.get(path, params={"fields": "id"})).status_code == 401


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    fields=st.text()
    | st.lists(st.sampled_from([*ITEM_FIELDS, "owner", "(", ")", ",", "x"]), max_size=12).map(
        "".join
    )
)
async def test_whatever_is_asked_for_is_answered_or_refused(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, fields: str
) -> None:
    query = quote(fields.encode("utf-8", "surrogatepass"))
    answer = await client.get(f"/items?limit=2&fields={query}")
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert len(answer.content) < 500


async def test_the_document_has_each_route_once_with_its_fields(service: Service) -> None:
    document = create_api(service).openapi()
    for path in ("/items", "/items/{item_id}", "/users/{user_id}"):
        operation = document["paths"][path]["get"]
        [fields] = [p for p in operation["parameters"] if p["name"] == "fields"]
        assert not fields.get("required")
        assert "There are: id, name, " in fields["description"]
        assert "400" in operation["responses"]
        assert "anyOf" in operation["responses"]["200"]["content"]["application/json"]["schema"]
    parameters = document["paths"]["/items"]["get"]["parameters"]
    assert [p["name"] for p in parameters] == ["limit", "cursor", "fields"]
    assert "Link" in document["paths"]["/items"]["get"]["responses"]["200"]["headers"]
    assert "patch" in document["paths"]["/users/{user_id}"]
