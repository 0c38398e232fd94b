"""What a listing takes from the query, and what it says about the page, for routes and docs."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from app.pagination.cursors import CURSOR_LENGTH

DEFAULT_LIMIT = 20
MAX_LIMIT = 100

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description=f"Rows a page, at most {MAX_LIMIT}.")]

# The length is told and not enforced here: `Cursors.decode` refuses whatever is not a cursor, with
# one answer for all.
CursorParam = Annotated[
    str | None,
    Query(
        description="`pagination.nextCursor` of the page before.",
        json_schema_extra={"maxLength": CURSOR_LENGTH},
    ),
]


class PageInfo(BaseModel):
    """Where the next page is."""

    model_config = ConfigDict(alias_generator=to_camel)

    next_cursor: str | None
    has_more: bool
