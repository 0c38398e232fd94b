"""What a listing takes from the query, and what it says about the page, for routes and docs."""

from typing import Annotated
from typing import Any

from fastapi import Query
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from app.http.errors import MEDIA_TYPE
from app.pagination.cursors import MAX_CURSOR

DEFAULT_LIMIT = 20
MAX_LIMIT = 100

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description=f"Rows a page, at most {MAX_LIMIT}.")]

# The length is told and not enforced here: `Listing.decode` refuses whatever is not a cursor, with
# one answer for all.
CursorParam = Annotated[
    str | None,
    Query(
        description="`nextCursor` or `prevCursor` of another page; without it, the first page.",
        json_schema_extra={"maxLength": MAX_CURSOR},
    ),
]

# `responses=` of a route that answers with a page.
PAGE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "Link": {
                "description": (
                    "The pages around this one (RFC 8288) as `next`, `prev` and `first`, relative "
                    "to the URL that was asked."
                ),
                "schema": {"type": "string"},
                "example": '<?cursor=kwDX_xpBrgBrBl4lTQhHboYwO0isSko5SB5f6f&limit=2>; rel="next"',
            }
        }
    },
    400: {
        "description": "The cursor is not one that this listing gave out.",
        "content": {MEDIA_TYPE: {"schema": {"type": "object"}}},
    },
}


class PageInfo(BaseModel):
    """Where the pages around this one are."""

    model_config = ConfigDict(alias_generator=to_camel)

    next_cursor: str | None
    prev_cursor: str | None
    has_more: bool
