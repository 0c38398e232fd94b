"""The example's items with their owners: a page is two queries, however many owners it has."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi import Request
from fastapi import Response
from pydantic import BaseModel
from sqlalchemy import select
from starlette.types import Scope

from app.database import Database
from app.dataloader.loaders import Loaders
from app.dataloader.loaders import Source
from app.dataloader.lookup import Lookup
from app.items.models import Item
from app.items.routes import ItemView
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
from app.users.models import User

OWNERS = Lookup("owners", select(User.id, User.name), User.id)
_NEWEST = Keyset("owned_item", select(*SHOWN, Item.owner_id), *NEWEST_FIRST)


class OwnerView(BaseModel):
    """What a listing shows of an owner."""

    id: int
    name: str


class OwnedItemView(ItemView):
    """An item with its owner, if it has one."""

    owner: OwnerView | None


class OwnedItemPage(BaseModel):
    """A page of items with their owners, newest first."""

    data: list[OwnedItemView]
    pagination: PageInfo


class OwnedItems:
    """Items with their owners, which the request's loader looks up."""

    def __init__(
        self,
        database: Database,
        cursors: Cursors,
        loaders: Loaders,
        owners: Source[int, Any],
    ) -> None:
        self._database = database
        self._listing = cursors.listing("items", _NEWEST.keys)
        self._loaders = loaders
        self._owners = owners

    async def page(self, scope: Scope, limit: int, cursor: str | None) -> Page:
        """The page of a cursor, or the first one: at most `limit` items."""
        position = None if cursor is None else self._listing.decode(cursor)
        rows = await _NEWEST.fetch(self._database, position, limit)
        page = self._listing.page(rows, limit, position)
        ids = [item.pop("owner_id") for item in page.data]
        owners = await self._loaders.of(scope, self._owners).load_many(filter(None, ids))
        shown = {one["id"]: {"id": one["id"], "name": one["name"]} for one in owners if one}
        for item, owner_id in zip(page.data, ids, strict=True):
            item["owner"] = shown.get(owner_id)
        return page


def add_routes(api: APIRouter, service: Service, _: Stores) -> None:
    """Add the route. It has to come before `/items/{item_id}`."""
    add_owned(api, service, OWNERS)


def add_owned(api: APIRouter, service: Service, owners: Source[int, Any]) -> None:
    """The same, with any source of owners, which gives their `id` and `name`."""
    owned = OwnedItems(service.get(Database), service.get(Cursors), service.get(Loaders), owners)

    @api.get("/items/owned", response_model=OwnedItemPage, responses=PAGE_RESPONSES, tags=["items"])
    async def list_owned_items(
        request: Request, limit: Limit = 20, cursor: CursorParam = None
    ) -> Response:
        """Items with their owners, newest first, page by page."""
        page = await owned.page(request.scope, limit, cursor)
        return page.response(request.scope)
