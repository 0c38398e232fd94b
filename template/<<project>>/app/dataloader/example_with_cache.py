"""The example's items with their owners, who are users as the cache has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import APIRouter
from sqlalchemy import select

from app.cache import Cache
from app.cache.example import user_key
from app.database import Database
from app.dataloader.example import add_owned
from app.dataloader.lookup import Lookup
from app.items.stores import Stores
from app.service import Service
from app.users import store as users
from app.users.models import User

_USERS = Lookup("owners", select(*users.SHOWN), User.id)
_COLUMNS = frozenset(column.key for column in users.SHOWN)


class CachedOwners:
    """Whole users, under the keys of `CachedUsers`: who shows a user and who shows an owner share
    an entry, and a change of the user is seen by both."""

    name = "owners"

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def fetch(self, database: Database, ids: list[int]) -> Mapping[int, Mapping[str, Any]]:
        """The users that there are: those that the cache has by one command, the others by one
        query, after which it has them. What another version of the service has stored with fewer
        columns counts as missing."""
        found = await self._read(database, ids)
        if lacking := [key for key, user in found.items() if not user.keys() >= _COLUMNS]:
            await self._cache.delete(*map(user_key, lacking))
            found |= await _USERS.fetch(database, lacking)
        return found

    async def _read(self, database: Database, ids: list[int]) -> dict[int, Any]:
        by_key = {user_key(user_id): user_id for user_id in ids}

        async def load(keys: list[str]) -> Mapping[str, bytes]:
            rows = await _USERS.fetch(database, [by_key[key] for key in keys])
            return {user_key(found): msgspec.json.encode(dict(row)) for found, row in rows.items()}

        bodies = await self._cache.get_many([*by_key], load)
        pairs = zip(ids, bodies, strict=True)
        return {user_id: msgspec.json.decode(body) for user_id, body in pairs if body is not None}


def add_routes(api: APIRouter, service: Service, _: Stores) -> None:
    """Add the route. It has to come before `/items/{item_id}`."""
    add_owned(api, service, CachedOwners(service.get(Cache)))
