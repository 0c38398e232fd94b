"""Reading selections with the loaders of a request: what is related is looked up, not joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import select
from starlette.types import Scope

from app.dataloader import Loaders
from app.dataloader import Lookup
from app.fields.reading import AnySelect
from app.fields.reading import Plan
from app.fields.shape import Related
from app.fields.shape import Selection
from app.fields.shape import Shape


class Loaded:
    """Reads what is related by one query more for each of its kind, if it was asked for."""

    def __init__(self, loaders: Loaders) -> None:
        self._loaders = loaders

    def plan(self, shape: Shape, selection: Selection) -> Plan:
        """How this selection is read."""
        return LoadedPlan(self._loaders, shape, selection)


class LoadedPlan:
    """A selection as a query for its columns, and lookups."""

    def __init__(self, loaders: Loaders, shape: Shape, selection: Selection, *more: Any) -> None:
        """`more` are columns that are selected and not shown."""
        self._names = selection.names
        self._parts = [
            LoadedPart(loaders, name, shape.related[name], inner)
            for name, inner in selection.related
        ]
        shown = [shape.columns[name] for name in self._names]
        hidden = {one.key: one for one in (*(part.reference for part in self._parts), *more)}
        self.query: AnySelect = select(
            *shown, *(one for key, one in hidden.items() if key not in self._names)
        )

    async def show(self, rows: Sequence[asyncpg.Record], scope: Scope, /) -> list[Any]:
        """The rows as they are shown."""
        names = self._names
        shown: list[dict[str, Any]] = [dict(zip(names, row, strict=False)) for row in rows]
        for part in self._parts:
            await part.add(shown, rows, scope)
        return shown


class LoadedPart:
    """What is related under one name."""

    def __init__(self, loaders: Loaders, name: str, related: Related, selection: Selection) -> None:
        self.reference = related.reference
        self._loaders = loaders
        self._name = name
        self._plan = LoadedPlan(loaders, related.shape, selection, related.key)
        self._lookup = Lookup(f"{name}_fields", self._plan.query, related.key)

    async def add(
        self, shown: list[dict[str, Any]], rows: Sequence[asyncpg.Record], scope: Scope
    ) -> None:
        """Add it to each of the rows as they are shown."""
        keys = [row[self.reference.key] for row in rows]
        wanted = [*dict.fromkeys(key for key in keys if key is not None)]
        found = await self._loaders.of(scope, self._lookup).load_many(wanted)
        there = {key: row for key, row in zip(wanted, found, strict=True) if row is not None}
        parts = await self._plan.show([*there.values()], scope)
        by_key = dict(zip(there, parts, strict=True))
        for one, key in zip(shown, keys, strict=True):
            one[self._name] = by_key.get(key)
