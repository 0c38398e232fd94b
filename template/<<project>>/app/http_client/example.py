"""The example's prices in other currencies, by the rates of another service.

It is the upstream `rates`, and answers `GET latest?base=USD&symbols=EUR` with
`{"rates": {"EUR": 0.92}}`, as api.frankfurter.dev/v1 does.
"""

from typing import Annotated
from typing import Protocol

import msgspec
from fastapi import APIRouter
from fastapi import HTTPException
from fastapi import Query
from fastapi import Response
from pydantic import BaseModel

from app.http.errors import Unavailable
from app.http.responses import JSONBytes
from app.http_client.client import HttpClient
from app.http_client.upstream import Upstream
from app.items.routes import ItemId
from app.items.store import ItemReader
from app.items.stores import Stores
from app.service import Service

BASE = "USD"  # what items are priced in
AWAY = "There are no rates at the moment."
PATIENCE_S = 3  # somebody waits for the answer

Currency = Annotated[str, Query(pattern="^[A-Z]{3}$")]


class PriceView(BaseModel):
    """A price in some currency."""

    amount: float
    currency: str


class Rates(Protocol):
    """Knows what currencies are worth."""

    async def get(self, currency: str, /) -> float | None:
        """How much of it one US dollar is; None if there is no such currency."""


class _Item(msgspec.Struct):
    price: float


class _Document(msgspec.Struct):
    rates: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1e12)]]


class UpstreamRates:
    """The rates of another service."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def get(self, currency: str) -> float | None:
        """How much of it one US dollar is; None if there is no such currency."""
        query = {"base": BASE, "symbols": currency}
        answer = await self._upstream.request("GET", "latest", query=query, deadline_s=PATIENCE_S)
        if answer.status in (400, 404, 422):
            return None
        if answer.status != 200:
            raise Unavailable(AWAY)
        try:
            return answer.json(_Document).rates.get(currency)
        except msgspec.MsgspecError:
            raise Unavailable(AWAY) from None


class NoRates:
    """Stands in for an upstream that the settings do not have."""

    async def get(self, _: str) -> None:
        """Nothing is known."""


def add_routes(api: APIRouter, service: Service, stores: Stores) -> None:
    """Add the route, over the upstream `rates`."""
    add_price(api, stores.items, service.get(HttpClient).upstream("rates"))


def add_price(api: APIRouter, items: ItemReader, upstream: Upstream | None) -> None:
    """Add the route. Without the upstream there is only the currency that items are priced in."""
    rates: Rates = UpstreamRates(upstream) if upstream else NoRates()

    @api.get("/items/{item_id}/price", response_model=PriceView, tags=["items"])
    async def get_price(item_id: ItemId, currency: Currency = BASE) -> Response:
        """An item's price in a currency."""
        item = await items.get(item_id)
        if item is None:
            raise HTTPException(404, "There is no such item.")
        rate = 1.0 if currency == BASE else await rates.get(currency)
        if rate is None:
            raise HTTPException(404, "There is no rate for this currency.")
        price = msgspec.json.decode(item, type=_Item).price
        document = {"amount": round(price * rate, 2), "currency": currency}
        return JSONBytes(msgspec.json.encode(document))
