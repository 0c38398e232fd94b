"""The query parameters, the links and the document, through a route."""

import json
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import quote
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from fastapi import Request
from fastapi import Response
from httpx2 import ASGITransport
from httpx2 import AsyncClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.http import errors
from app.pagination import PAGE_RESPONSES
from app.pagination import CursorParam
from app.pagination import Cursors
from app.pagination import Key
from app.pagination import Limit
from app.pagination import Page
from app.pagination import PageInfo
from app.pagination.cursors import MAX_CURSOR
from app.pagination.parameters import DEFAULT_LIMIT

pytestmark = pytest.mark.anyio
listing = Cursors([b"s" * 32]).listing("rows", [Key("id", int, descending=True)])


class RowPage(BaseModel):
    data: list[dict[str, Any]]
    pagination: PageInfo


def service() -> FastAPI:
    """The numbers below 1000, downwards."""
    api = FastAPI()
    errors.install(api)

    @api.get("/rows", response_model=RowPage, responses=PAGE_RESPONSES)
    async def rows(
        request: Request, limit: Limit = DEFAULT_LIMIT, cursor: CursorParam = None
    ) -> Response:
        position = None if cursor is None else listing.decode(cursor)
        [start] = position.values if position else [1000]
        numbers = range(start + 1, 1000) if position and position.backward else range(start)[::-1]
        found = [{"id": number} for number in numbers[: limit + 1]]
        return listing.page(found, limit, position).response(request.scope)

    return api


async def ask(query: str) -> Any:
    async with AsyncClient(transport=ASGITransport(service()), base_url="http://test") as client:
        return await client.get(f"/rows{query}")


async def get(query: str) -> tuple[int, Any]:
    answer = await ask(f"?{query}")
    return answer.status_code, answer.json()


async def test_twenty_rows_unless_asked_otherwise() -> None:
    status, page = await get("")
    assert (status, len(page["data"])) == (200, 20)


@pytest.mark.parametrize(("limit", "status"), [("100", 200), ("1", 200), ("101", 422), ("0", 422)])
async def test_a_hundred_rows_at_most(limit: str, status: int) -> None:
    found, page = await get(f"limit={limit}")
    assert found == status
    if status == 200:
        assert len(page["data"]) == int(limit)


async def test_a_cursor_goes_through_a_query_as_it_is() -> None:
    _, first = await get("limit=5")
    _, second = await get(f"limit=5&cursor={first['pagination']['nextCursor']}")
    assert [row["id"] for row in second["data"]] == [994, 993, 992, 991, 990]


@pytest.mark.parametrize(
    "cursor", ["", "x", "x" * 50_000, quote("é" * 40), "%00" * 40, "%ff", "a b+c", "A" * 40]
)
async def test_a_bad_cursor_is_a_400_whatever_is_wrong_with_it(cursor: str) -> None:
    status, problem = await get(f"cursor={cursor}")
    assert status == 400
    assert problem["detail"] == "The cursor is not one that this listing gave out."
    assert len(json.dumps(problem)) < 300, "what was sent is not sent back"


async def test_links_lead_through_all_pages_and_back() -> None:
    answer = await ask("?limit=100&note=a%20b")
    seen = [[row["id"] for row in answer.json()["data"]]]
    assert answer.links.keys() == {"next"}
    while following := answer.links.get("next"):
        answer = await ask(urljoin("", following["url"]))
        seen.append([row["id"] for row in answer.json()["data"]])
        assert answer.links.keys() >= {"prev", "first"}
        assert "note=a%20b" in answer.links["prev"]["url"]
    assert [len(page) for page in seen] == [100] * 10
    assert (await ask(answer.links["first"]["url"])).json()["data"][0] == {"id": 999}
    for page in seen[-2::-1]:
        answer = await ask(answer.links["prev"]["url"])
        assert [row["id"] for row in answer.json()["data"]] == page
    assert answer.links.keys() == {"next"}


async def test_the_links_are_the_cursors_of_the_body() -> None:
    first = await ask("?limit=5")
    page = await ask(first.links["next"]["url"])
    for rel, name in (("next", "nextCursor"), ("prev", "prevCursor")):
        query = parse_qs(page.links[rel]["url"].removeprefix("?"))
        assert query == {"cursor": [page.json()["pagination"][name]], "limit": ["5"]}


async def test_a_listing_of_one_page_has_no_links() -> None:
    assert "link" not in Page([], None, None).response({"query_string": b"a=b"}).headers


@given(st.binary(max_size=40))
def test_nothing_that_is_asked_gets_out_of_a_link(query: bytes) -> None:
    [link] = Page([], "c", None).response({"query_string": query}).headers.getlist("link")
    url, end = link[1:].split(">", 1)
    assert (link[0], end) == ("<", '; rel="next"')
    assert url.startswith("?cursor=c")
    assert not set(url) & set('<>" \\^`{|}\r\n') and url.isascii()


def test_the_document_tells_the_bounds_and_the_links() -> None:
    operation = service().openapi()["paths"]["/rows"]["get"]
    limit, cursor = (parameter["schema"] for parameter in operation["parameters"])
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 100, 20)
    assert cursor["maxLength"] == MAX_CURSOR
    assert "Link" in operation["responses"]["200"]["headers"]
    assert "application/json" in operation["responses"]["200"]["content"]
    assert "400" in operation["responses"]


def test_the_info_is_named_as_pages_name_it() -> None:
    page = json.loads(Page([], None, None).encode())
    assert set(page["pagination"]) == set(PageInfo.model_json_schema()["properties"])
