"""The example's users and items, read through the cache."""

from dataclasses import replace
from functools import partial

from app.cache.cache import Cache
from app.items.store import ItemStore
from app.items.store import NewItem
from app.items.stores import Stores
from app.service import Service
from app.users.store import UserChange
from app.users.store import UserStore


def user_key(user_id: int) -> str:
    """Under which a user is cached, as JSON."""
    return f"user:{user_id}"


class CachedUsers:
    """Users, read through the cache; a change deletes what is cached."""

    def __init__(self, inner: UserStore, cache: Cache) -> None:
        self._inner = inner
        self._cache = cache

    async def get(self, user_id: int) -> bytes | None:
        """The user as JSON, or None."""
        return await self._cache.get(user_key(user_id), partial(self._inner.get, user_id))

    async def update(self, user_id: int, change: UserChange) -> bytes | None:
        """Apply the change; the changed user as JSON, or None if there is none."""
        try:
            return await self._inner.update(user_id, change)
        finally:
            # also when it raised: it may have been committed before the connection broke
            await self._cache.delete(user_key(user_id))


class CachedItems:
    """Items, read through the cache; making one deletes the knowledge that there was none."""

    def __init__(self, inner: ItemStore, cache: Cache) -> None:
        self._inner = inner
        self._cache = cache

    async def get(self, item_id: int) -> bytes | None:
        """The item as JSON, or None."""
        return await self._cache.get(f"item:{item_id}", partial(self._inner.get, item_id))

    async def create(self, item: NewItem) -> tuple[int, bytes]:
        """Make an item; its id, and the item as JSON."""
        item_id, body = await self._inner.create(item)
        await self._cache.delete(f"item:{item_id}")
        return item_id, body

    async def create_many(self, items: list[NewItem]) -> list[int]:
        """Make all of them, or none; their ids."""
        item_ids = await self._inner.create_many(items)
        await self._cache.delete(*[f"item:{item_id}" for item_id in item_ids])
        return item_ids


def wrap(stores: Stores, service: Service) -> Stores:
    """Both of them, read through the cache."""
    cache = service.get(Cache)
    items, users = CachedItems(stores.items, cache), CachedUsers(stores.users, cache)
    return replace(stores, items=items, users=users)
