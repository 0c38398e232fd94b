"""The example's users, read from the process's own memory."""

from dataclasses import replace
from functools import partial

from app.items.stores import Stores
from app.local_cache.local import LocalCache
from app.local_cache.local import LocalCaches
from app.service import Service
from app.users.store import UserChange
from app.users.store import UserStore


class LocalUsers:
    """Users, kept in the process for a while; a change ends that where it is made."""

    def __init__(self, inner: UserStore, local: LocalCache[str, bytes | None]) -> None:
        self._inner = inner
        self._local = local

    async def get(self, user_id: int) -> bytes | None:
        """The user as JSON, or None."""
        return await self._local.get(f"user:{user_id}", partial(self._inner.get, user_id))

    async def update(self, user_id: int, change: UserChange) -> bytes | None:
        """Apply the change; the changed user as JSON, or None if there is none."""
        try:
            return await self._inner.update(user_id, change)
        finally:
            # also when it raised: it may have been committed before the connection broke
            self._local.delete(f"user:{user_id}")


def wrap(stores: Stores, service: Service) -> Stores:
    """The users, kept in a cache of their own."""
    caches = service.get(LocalCaches)
    return replace(stores, users=LocalUsers(stores.users, caches.cache("users")))
