"""Reading selections with the loaders of a request: what is related is looked up, not joined."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol

import asyncpg
from sqlalchemy import select
from sqlalchemy.orm import QueryableAttribute
from starlette.types import Scope

from app.dataloader import Loaders
from app.dataloader import Lookup
from app.dataloader import Source
from app.fields.reading import AnySelect
from app.fields.shape import Related
from app.fields.shape import Selection
from app.fields.shape import Shape


class Loaded:
    """Reads what is related by one query more for each of its kind, if it was asked for."""

    def __init__(
        self, loaders: Loaders, whole: Mapping[Shape, Source[Any, Any]] | None = None
    ) -> None:
        """`whole` are sources of whole rows by the relation's key, such as a cache, which are asked
        instead of the database; but not for what is related to these rows in turn.
        """
        self._loaders = loaders
        self._whole = whole or {}

    def plan(self, shape: Shape, selection: Selection, *more: Any) -> LoadedPlan:
        """How this selection is read; `more` are columns that are selected and not shown."""
        parts = [self._part(name, shape.related[name], inner) for name, inner in selection.related]
        return LoadedPlan(shape, selection.names, parts, more)

    def _part(self, name: str, related: Related, selection: Selection) -> LoadedPart:
        whole = self._whole.get(related.shape)
        if whole is not None and not selection.related:
            return LoadedPart(self._loaders, name, related.reference, whole, Picked(selection))
        plan = self.plan(related.shape, selection, related.key)
        lookup = Lookup(f"{name}_fields", plan.query, related.key)
        return LoadedPart(self._loaders, name, related.reference, lookup, plan)


class Shown(Protocol):
    """What becomes of the rows that were looked up."""

    async def show(self, rows: Sequence[Any], scope: Scope, /) -> list[Any]:
        """The rows as they are shown."""


class LoadedPlan:
    """A selection as a query for its columns, and lookups."""

    def __init__(
        self, shape: Shape, names: Sequence[str], parts: Sequence[LoadedPart], more: Sequence[Any]
    ) -> None:
        self._names = names
        self._parts = parts
        hidden = {one.key: one for one in (*(part.reference for part in parts), *more)}
        self.query: AnySelect = select(
            *(shape.columns[name] for name in names),
            *(one for key, one in hidden.items() if key not in names),
        )

    async def show(self, rows: Sequence[asyncpg.Record], scope: Scope, /) -> list[Any]:
        """The rows as they are shown."""
        names = self._names
        shown: list[dict[str, Any]] = [dict(zip(names, row, strict=False)) for row in rows]
        for part in self._parts:
            await part.add(shown, rows, scope)
        return shown


class Picked:
    """A selection out of whole rows."""

    def __init__(self, selection: Selection) -> None:
        self._names = selection.names

    async def show(self, rows: Sequence[Mapping[str, Any]], _: Scope, /) -> list[Any]:
        """The rows as they are shown."""
        return [{name: row[name] for name in self._names} for row in rows]


class LoadedPart:
    """What is related under one name."""

    def __init__(
        self,
        loaders: Loaders,
        name: str,
        reference: QueryableAttribute[Any],
        source: Source[Any, Any],
        looked_up: Shown,
    ) -> None:
        self.reference = reference
        self._loaders = loaders
        self._name = name
        self._source = source
        self._looked_up = looked_up

    async def add(
        self, shown: list[dict[str, Any]], rows: Sequence[asyncpg.Record], scope: Scope
    ) -> None:
        """Add it to each of the rows as they are shown."""
        keys = [row[self.reference.key] for row in rows]
        wanted = [*dict.fromkeys(key for key in keys if key is not None)]
        found = await self._loaders.of(scope, self._source).load_many(wanted)
        there = {key: row for key, row in zip(wanted, found, strict=True) if row is not None}
        parts = await self._looked_up.show([*there.values()], scope)
        by_key = dict(zip(there, parts, strict=True))
        for one, key in zip(shown, keys, strict=True):
            one[self._name] = by_key.get(key)
