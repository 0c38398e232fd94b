"""The example's users and items, of which clients name the fields that they want."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from typing import Any
from typing import TypedDict

import msgspec
from fastapi import APIRouter
from fastapi import HTTPException
from fastapi import Request
from fastapi import Response
from pydantic import BaseModel
from sqlalchemy import bindparam
from starlette.types import Scope

from app.database import Database
from app.database import Statement
from app.fields.fields import Fields
from app.fields.reading import Joined
from app.fields.reading import Plan
from app.fields.reading import Reading
from app.fields.route import add_fields_route
from app.fields.route import fields_of
from app.fields.shape import Related
from app.fields.shape import Selection
from app.fields.shape import Shape
from app.http.errors import MEDIA_TYPE
from app.http.responses import JSONBytes
from app.items.models import Item
from app.items.routes import ItemId
from app.items.routes import ItemPage
from app.items.routes import ItemView
from app.items.store import NEWEST
from app.items.store import NEWEST_FIRST
from app.items.store import SHOWN
from app.items.stores import Stores
from app.pagination import PAGE_RESPONSES
from app.pagination import CursorParam
from app.pagination import Cursors
from app.pagination import Limit
from app.pagination import Page
from app.pagination import PageInfo
from app.pagination.with_database import Keyset
from app.service import Service
from app.users import store as users
from app.users.models import User
from app.users.routes import UserId
from app.users.routes import UserView

OWNER = Shape(User.id, User.name)
ITEM = Shape(*SHOWN, owner=Related(OWNER, Item.owner_id, User.id))
USER = Shape(*users.SHOWN)


class SelectedRows:
    """Single rows of a table by their key, of which only some fields are read."""

    def __init__(
        self,
        name: str,
        shape: Shape,
        key: Any,
        database: Database,
        fields: Fields,
        reading: Reading,
    ) -> None:
        self._shape = shape
        self._database = database
        self._fields = fields

        def plan(selection: Selection) -> tuple[Plan, Statement]:
            plan = reading.plan(shape, selection)
            return plan, Statement(name, plan.query.where(key == bindparam("key")))

        self._plan = fields.remembered(plan)

    async def get(self, scope: Scope, key: int, fields: str) -> bytes | None:
        """These fields of the row as JSON, or None."""
        plan, statement = self._plan(self._fields.read(self._shape, fields))
        rows = await self._database.fetch(statement, key=key)
        shown = await plan.show(rows, scope)
        return msgspec.json.encode(shown[0]) if shown else None


class SelectedPages:
    """Items page by page, of which only some fields are read. The cursors are those of all."""

    def __init__(
        self, database: Database, cursors: Cursors, fields: Fields, reading: Reading
    ) -> None:
        self._database = database
        self._listing = cursors.listing("items", NEWEST.keys)
        self._fields = fields

        def plan(selection: Selection) -> tuple[Plan, Keyset]:
            plan = reading.plan(ITEM, selection)
            return plan, Keyset("item_fields", plan.query, *NEWEST_FIRST)

        self._plan = fields.remembered(plan)

    async def page(self, scope: Scope, limit: int, cursor: str | None, fields: str) -> Page:
        """These fields of a page's items."""
        plan, keyset = self._plan(self._fields.read(ITEM, fields))
        position = None if cursor is None else self._listing.decode(cursor)
        rows = await keyset.fetch(self._database, position, limit)
        page = self._listing.page(rows, limit, position, view=lambda row: row)
        page.data = await plan.show(page.data, scope)
        return page


class OwnerFields(TypedDict, total=False):
    """Some fields of an owner."""

    id: int
    name: str


class ItemFields(TypedDict, total=False):
    """Some fields of an item."""

    id: int
    name: str
    price: float
    description: str
    created_at: datetime
    owner: OwnerFields | None


class UserFields(TypedDict, total=False):
    """Some fields of a user."""

    id: int
    name: str
    email: str
    status: str
    created_at: datetime


class ItemFieldsPage(BaseModel):
    """A page of some fields of items, newest first."""

    data: list[ItemFields]
    pagination: PageInfo


_BAD = "A field that there is not, or too many; or a cursor that this listing did not give out."
_PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
_REFUSED: dict[int | str, dict[str, Any]] = {400: {"description": _BAD, **_PROBLEM}}


def add_routes(api: APIRouter, service: Service, _: Stores) -> None:
    """Add `fields` to the routes that read items and users; these must be there already."""
    add_selections(api, service, Joined())


def add_selections(api: APIRouter, service: Service, reading: Reading) -> None:
    """The same, with any way to read."""
    database, fields = service.get(Database), service.get(Fields)
    _add_pages(api, SelectedPages(database, service.get(Cursors), fields, reading))
    items = SelectedRows("item_fields_by_id", ITEM, Item.id, database, fields, reading)
    _add_item(api, items)
    _add_user(api, SelectedRows("user_fields_by_id", USER, User.id, database, fields, reading))


def _add_pages(api: APIRouter, pages: SelectedPages) -> None:
    async def list_items(
        request: Request,
        limit: Limit = 20,
        cursor: CursorParam = None,
        fields: Annotated[str, fields_of(ITEM)] = "",
    ) -> Response:
        """Items, newest first, page by page; all their fields but the owner, or those named."""
        page = await pages.page(request.scope, limit, cursor, fields)
        return page.response(request.scope)

    add_fields_route(
        api,
        "/items",
        list_items,
        response_model=ItemPage | ItemFieldsPage,
        responses=PAGE_RESPONSES | _REFUSED,
        tags=["items"],
    )


def _add_item(api: APIRouter, items: SelectedRows) -> None:
    async def get_item(
        request: Request, item_id: ItemId, fields: Annotated[str, fields_of(ITEM)] = ""
    ) -> Response:
        """One item; all its fields but the owner, or those named."""
        item = await items.get(request.scope, item_id, fields)
        if item is None:
            raise HTTPException(404, "There is no such item.")
        return JSONBytes(item)

    add_fields_route(
        api,
        "/items/{item_id}",
        get_item,
        response_model=ItemView | ItemFields,
        responses=_REFUSED,
        tags=["items"],
    )


def _add_user(api: APIRouter, users: SelectedRows) -> None:
    async def get_user(
        request: Request, user_id: UserId, fields: Annotated[str, fields_of(USER)] = ""
    ) -> Response:
        """One user; all fields, or those named."""
        user = await users.get(request.scope, user_id, fields)
        if user is None:
            raise HTTPException(404, "There is no such user.")
        return JSONBytes(user)

    add_fields_route(
        api,
        "/users/{user_id}",
        get_user,
        response_model=UserView | UserFields,
        responses=_REFUSED,
        tags=["users"],
    )
