"""The query parameters, through a route."""

import json
from datetime import UTC
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi import Response
from httpx2 import ASGITransport
from httpx2 import AsyncClient

from app.http import errors
from app.http.responses import JSONBytes
from app.pagination import CursorParam
from app.pagination import Cursors
from app.pagination import Limit
from app.pagination import PageInfo
from app.pagination.parameters import DEFAULT_LIMIT

pytestmark = pytest.mark.anyio
cursors = Cursors([b"s" * 32])


def listing() -> FastAPI:
    api = FastAPI()
    errors.install(api)

    @api.get("/rows")
    async def rows(limit: Limit = DEFAULT_LIMIT, cursor: CursorParam = None) -> Response:
        after = cursors.decode("rows", cursor)[1] if cursor is not None else 1000
        rows = [{"id": row, "created_at": datetime.now(UTC)} for row in range(after - 1, 0, -1)]
        return JSONBytes(cursors.page("rows", rows[: limit + 1], limit))

    return api


async def get(query: str) -> tuple[int, Any]:
    async with AsyncClient(transport=ASGITransport(listing()), base_url="http://test") as client:
        answer = await client.get(f"/rows?{query}")
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


def test_the_document_tells_the_bounds() -> None:
    parameters = listing().openapi()["paths"]["/rows"]["get"]["parameters"]
    limit, cursor = (parameter["schema"] for parameter in parameters)
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 100, 20)
    assert cursor["maxLength"] == len(cursors.encode("rows", datetime.now(UTC), 1))


def test_the_info_is_named_as_pages_name_it() -> None:
    page = json.loads(cursors.page("rows", [], 1))
    assert set(page["pagination"]) == set(PageInfo.model_json_schema()["properties"])
