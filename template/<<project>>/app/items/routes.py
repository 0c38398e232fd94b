"""The routes of items."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from fastapi import HTTPException
from fastapi import Path
from fastapi import Request
from fastapi import Response
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field

from app.http.bodies import Body
from app.http.responses import JSONBytes
from app.items.store import ItemPages
from app.items.store import ItemStore
from app.items.store import NewItem
from app.pagination import PAGE_RESPONSES
from app.pagination import CursorParam
from app.pagination import Limit
from app.pagination import PageInfo

ItemId = Annotated[int, Path(ge=1, le=2**31 - 1)]


class ItemView(BaseModel):
    """An item as the API shows it. Answers are encoded from rows; this documents them."""

    id: int
    name: str
    price: float
    description: str
    created_at: datetime


class ItemPage(BaseModel):
    """A page of items, newest first."""

    data: list[ItemView]
    pagination: PageInfo


class NewItems(BaseModel):
    """Items to be made together."""

    model_config = ConfigDict(extra="forbid", strict=True)

    items: list[NewItem] = Field(min_length=1, max_length=1000)


NEW_ITEM = Body(NewItem)
NEW_ITEMS = Body(NewItems)


class Created(BaseModel):
    """How many were made."""

    created: int


def add_routes(api: APIRouter, items: ItemStore, pages: ItemPages) -> None:
    """Add the routes, over any store of items."""

    @api.get("/items", response_model=ItemPage, responses=PAGE_RESPONSES, tags=["items"])
    async def list_items(
        request: Request, limit: Limit = 20, cursor: CursorParam = None
    ) -> Response:
        """Items, newest first, page by page."""
        page = await pages.page(limit, cursor)
        return page.response(request.scope)

    @api.get("/items/{item_id}", response_model=ItemView, tags=["items"])
    async def get_item(item_id: ItemId) -> Response:
        """One item."""
        item = await items.get(item_id)
        if item is None:
            raise HTTPException(404, "There is no such item.")
        return JSONBytes(item)

    @api.post(
        "/items",
        response_model=ItemView,
        status_code=201,
        tags=["items"],
        openapi_extra=NEW_ITEM.documented,
    )
    async def create_item(request: Request) -> Response:
        """Make an item."""
        _, made = await items.create(await NEW_ITEM.of(request))
        return JSONBytes(made, 201)

    @api.post(
        "/items/bulk",
        response_model=Created,
        status_code=201,
        tags=["items"],
        openapi_extra=NEW_ITEMS.documented,
    )
    async def create_items(request: Request) -> Response:
        """Make up to 1,000 items, all or none."""
        new = await NEW_ITEMS.of(request)
        made = await items.create_many(new.items)
        return JSONBytes(b'{"created":%d}' % len(made), 201)
