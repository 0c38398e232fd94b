"""The example's items as CSV files."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Literal

import asyncpg
import msgspec
from fastapi import APIRouter
from fastapi import Request
from fastapi import Response
from pydantic import BaseModel
from sqlalchemy import func
from sqlalchemy import literal_column
from sqlalchemy import select

from app.auth import require
from app.database import Statement
from app.http.edge import BodyBound
from app.http.errors import problem_response
from app.http.responses import JSONBytes
from app.items.models import Item
from app.items.store import INSERT_MANY
from app.items.store import NewItem
from app.items.store import columns_of
from app.items.stores import Stores
from app.service import Service
from app.streaming import BadFile
from app.streaming import CsvExport
from app.streaming import CsvImport
from app.streaming import Streams
from app.streaming import body_bound
from app.streaming import protected

PATH = "/items.csv"

type Made = Callable[[range], Awaitable[None]]

_EXPORT = Statement(
    "item_export",
    select(
        Item.id,
        protected(Item.name),
        Item.price,
        protected(Item.description),
        func.to_char(
            func.timezone(literal_column("'UTC'"), Item.created_at),
            literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""),
        ).label("created_at"),
    ).order_by(Item.id),
)
_made = INSERT_MANY.cte("made")
_IMPORT = Statement(
    "item_import", select(func.min(_made.c.id).label("first"), func.max(_made.c.id).label("last"))
)
# An export has them, so that it can be imported as it is; the items are new ones even so.
_NOT_READ = ("id", "created_at")


class ImportedItems(BaseModel):
    """What became of an import."""

    imported: int
    skipped: int
    errors: list[BadRow]


class BadRow(BaseModel):
    """A row that was left out."""

    line: int
    problem: str


class _NewItems:
    """Writes items and remembers between which ids they are: no list of a million."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._last = 0

    async def write(self, connection: asyncpg.Connection, items: Sequence[NewItem]) -> None:
        """Make these items."""
        values = _IMPORT.arguments(columns_of(items))
        row = await connection.fetchrow(_IMPORT.sql, *values)
        assert row, "an aggregate gives a row"
        self._first = self._first or row["first"]
        self._last = row["last"]

    @property
    def ids(self) -> range:
        """The ids from the first to the last; others may have made some between them."""
        return range(self._first, self._last + 1) if self._first else range(0)


def bodies(service: Service) -> Mapping[str, BodyBound]:
    """The import may be larger than other requests."""
    return {PATH: body_bound(service)}


async def nobody_cares(_: range) -> None:
    """Nobody has to be told of items that were made."""


_CSV: dict[str, Any] = {"text/csv": {"schema": {"type": "string"}}}
_PROBLEM: dict[str, Any] = {"content": {"application/problem+json": {"schema": {"type": "object"}}}}
_ERROR = {
    "type": "object",
    "properties": {
        "line": {"type": "integer", "description": "Of the file, where it is a row's."},
        "in": {"type": "string", "description": "Of the request, where it is no row's."},
        "problem": {"type": "string"},
    },
    "required": ["problem"],
}
_ERRORS = {"type": "object", "properties": {"errors": {"type": "array", "items": _ERROR}}}
_BAD_ROWS: dict[str, Any] = {"content": {"application/problem+json": {"schema": _ERRORS}}}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body ends early.", **_PROBLEM},
    408: {"description": "The body does not come.", **_PROBLEM},
    413: {"description": "The body is too large.", **_PROBLEM},
    415: {"description": "The body is no CSV.", **_PROBLEM},
    422: {"description": "There are bad rows; nothing was imported.", **_BAD_ROWS},
    503: {"description": "Too many files are on their way.", **_PROBLEM},
}


def add_routes(api: APIRouter, service: Service, _: Stores, made: Made = nobody_cares) -> None:
    """Add the routes; `made` is told of the ids of items that were made, after the commit."""
    streams = service.get(Streams)

    @api.get(
        PATH,
        tags=["items"],
        response_class=Response,
        responses={200: {"content": _CSV}, 503: _REFUSALS[503]},
    )
    async def export_items(request: Request) -> Response:
        """All items as a CSV file; never without a key: it is long work."""
        require(request, "read")
        return CsvExport(streams, request, _EXPORT, "items.csv")

    @api.post(
        PATH,
        tags=["items"],
        response_model=ImportedItems,
        responses=_REFUSALS,
        openapi_extra={"requestBody": {"required": True, "content": _CSV}},
    )
    async def import_items(
        request: Request, on_error: Literal["rollback", "skip"] = "rollback"
    ) -> Response:
        """Make an item of each row of a CSV file: of all or none, or of those that are good.

        The columns `id` and `created_at`, which an export has, are not read: the items are new.
        """
        new = _NewItems()
        try:
            loading = CsvImport(streams, "item_import", NewItem, new.write, _NOT_READ)
            imported, bad = await loading.run(request, skip=on_error == "skip")
        except BadFile as error:
            detail = f"Nothing was imported. {error}"
            return problem_response(422, detail, errors=error.bad.told)
        await made(new.ids)
        done = {"imported": imported, "skipped": bad.count, "errors": bad.told}
        return JSONBytes(msgspec.json.encode(done))
