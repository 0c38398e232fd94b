"""The example's items: making many of them is a span of its own."""

from dataclasses import replace

from app.items.store import ItemStore
from app.items.store import NewItem
from app.items.stores import Stores
from app.service import Service
from app.tracing.spans import span


class TracedItems:
    """Items, of which one sees in a trace how many were made at once, and how long that took."""

    def __init__(self, inner: ItemStore) -> None:
        self._inner = inner
        self.get = inner.get
        self.create = inner.create

    async def create_many(self, items: list[NewItem]) -> list[int]:
        """Make all of them, or none; their ids."""
        with span("make items", items=len(items)):
            return await self._inner.create_many(items)


def wrap(stores: Stores, _: Service) -> Stores:
    """The items, traced."""
    return replace(stores, items=TracedItems(stores.items))
