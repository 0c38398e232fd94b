"""How a selection is read from the database: which columns, and what becomes of a row."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Protocol

import asyncpg
from sqlalchemy import ColumnElement
from sqlalchemy import Select
from sqlalchemy import select
from sqlalchemy.orm import aliased
from starlette.types import Scope

from app.fields.shape import Related
from app.fields.shape import Selection
from app.fields.shape import Shape

type AnySelect = Select[*tuple[Any, ...]]
type View = Callable[[asyncpg.Record], dict[str, Any] | None]


class Plan(Protocol):
    """One selection: the query for it, and its rows as they are shown.

    Whoever adds to the query adds columns behind its own.
    """

    @property
    def query(self) -> AnySelect:
        """What is selected."""

    async def show(self, rows: Sequence[asyncpg.Record], scope: Scope, /) -> list[Any]:
        """The rows as they are shown, in the request of this ASGI scope."""


class Reading(Protocol):
    """Makes plans; there is one of them for a service."""

    def plan(self, shape: Shape, selection: Selection) -> Plan:
        """How this selection is read."""


class Joined:
    """Reads what is related by a JOIN, if it was asked for: one query in any case."""

    def plan(self, shape: Shape, selection: Selection) -> Plan:
        """How this selection is read."""
        return JoinedPlan(shape, selection)


class JoinedPlan:
    """A selection as one query."""

    def __init__(self, shape: Shape, selection: Selection) -> None:
        self._columns: list[ColumnElement[Any]] = []
        self._joins: list[tuple[Any, ColumnElement[bool]]] = []
        table = shape.table
        self._view = self._add(shape, selection, table)
        query: AnySelect = select(*self._columns).select_from(table)
        for joined, condition in self._joins:
            query = query.outerjoin(joined, condition)
        self.query = query

    async def show(self, rows: Sequence[asyncpg.Record], _: Scope, /) -> list[Any]:
        """The rows as they are shown."""
        return [*map(self._view, rows)]

    def _add(self, shape: Shape, selection: Selection, table: Any, prefix: str = "") -> View:
        """Add what is selected of a table, and say how it is shown."""
        names, start = selection.names, len(self._columns)
        for name in names:
            column = getattr(table, name)
            self._columns.append(column.label(prefix + name) if prefix else column)
        parts = [
            (name, self._join(shape.related[name], inner, table, f"{prefix}{name}."))
            for name, inner in selection.related
        ]
        return _view(names, start, parts)

    def _join(self, related: Related, selection: Selection, table: Any, prefix: str) -> View:
        """The same of a related table; it is shown as None where there is no such row."""
        other, key = aliased(related.shape.table), related.key.key
        self._joins.append((other, getattr(other, key) == getattr(table, related.reference.key)))
        place = len(self._columns)
        if key in selection.names:
            place += selection.names.index(key)
        else:
            self._columns.append(getattr(other, key).label(prefix + key))
        view = self._add(related.shape, selection, other, prefix)
        return lambda row: None if row[place] is None else view(row)


def _view(names: tuple[str, ...], start: int, parts: list[tuple[str, View]]) -> View:
    if not (start or parts):
        return lambda row: dict(zip(names, row, strict=False))
    end = start + len(names)

    def view(row: asyncpg.Record) -> dict[str, Any]:
        shown = dict(zip(names, row[start:end], strict=True))
        for name, part in parts:
            shown[name] = part(row)
        return shown

    return view
