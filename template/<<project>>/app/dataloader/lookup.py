"""Rows by one column that is unique: one statement for any number of keys."""

from __future__ import annotations

from typing import Any

import asyncpg
from sqlalchemy import Select
from sqlalchemy import any_
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import QueryableAttribute

from app.database import Database
from app.database import Statement


class Lookup[K]:
    """What is looked up, and by which column. Made once, at import.

    OWNERS = Lookup("owners", select(User.id, User.name), User.id)

    name: a short constant, the label of its metrics
    """

    def __init__(
        self, name: str, query: Select[*tuple[Any, ...]], key: QueryableAttribute[K]
    ) -> None:
        """`query` must select `key`, which must be unique."""
        self.name = name
        self._key = key.key
        keys = bindparam("keys", type_=ARRAY(key.type))
        self._statement = Statement(name, query.where(key == any_(keys)))

    async def fetch(self, database: Database, keys: list[K]) -> dict[K, asyncpg.Record]:
        """The rows that there are, by key."""
        return {row[self._key]: row for row in await database.fetch(self._statement, keys=keys)}
