"""What stands behind the routes of items and users, together: patterns wrap it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from app.database import Database
from app.items.store import ItemPages
from app.items.store import ItemStore
from app.items.store import StoredItems
from app.pagination import Cursors
from app.service import Service
from app.users.store import StoredUsers
from app.users.store import UserStore


@dataclass(frozen=True, kw_only=True)
class Stores:
    """Each of them, in the best version that the service has."""

    items: ItemStore
    pages: ItemPages
    users: UserStore

    @classmethod
    def of(cls, service: Service) -> Self:
        """Those in the database, which nothing wraps."""
        database = service.get(Database)
        items = StoredItems(database, service.get(Cursors))
        return cls(items=items, pages=items, users=StoredUsers(database))
