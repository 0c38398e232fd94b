"""The statements of a listing: its first page, and those after and before a position."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from datetime import datetime
from datetime import time
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import BigInteger
from sqlalchemy import Column
from sqlalchemy import ColumnElement
from sqlalchemy import LargeBinary
from sqlalchemy import Numeric
from sqlalchemy import Select
from sqlalchemy import String
from sqlalchemy import UnaryExpression
from sqlalchemy import and_
from sqlalchemy import bindparam
from sqlalchemy import inspect
from sqlalchemy import or_
from sqlalchemy import tuple_
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql.operators import desc_op

from app.database import Database
from app.database import Statement
from app.pagination.cursors import Key
from app.pagination.cursors import Position
from app.pagination.joins import joins_problem
from app.pagination.joins import unique_keys

type AnySelect = Select[*tuple[Any, ...]]

# What a cursor can hold and give back exactly.
_TYPES = (bool, int, float, str, bytes, Decimal, UUID, date, time, datetime)
_OF_ANY_LENGTH = (String, LargeBinary)
# Characters of a column; all of them may be of four bytes, and one row whose cursor is too long
# would be an error on the page that ends with it.
LONGEST = 500
_LIMIT = bindparam("keyset_limit", type_=BigInteger)


class Keyset:
    """A query in an order, read page by page; each page is a range of the index on its order.

    ITEMS = Keyset("item", select(Item.id, Item.name), Item.created_at.desc(), Item.id.desc())

    keys: of the listing, for `Cursors.listing`
    """

    def __init__(self, name: str, query: AnySelect, *order: Any) -> None:
        """`order` are columns, with `.desc()` where that is meant, the last of which tell any two
        rows apart; ValueError when they may be NULL or too long for a cursor, or do not. What of
        them the query does not select is selected behind the rest.
        """
        self._name = name
        self._columns = [_column(one) for one in order]
        self._descending = [_is_descending(one) for one in order]
        if problem := _problem(self._columns) or joins_problem(query, self._columns):
            raise ValueError(f"{name}: {problem}.")
        self._query = _selecting(query, self._columns)
        self.keys = tuple(
            Key(str(column.name), _type(column), descending)
            for column, descending in zip(self._columns, self._descending, strict=True)
        )
        self._binds = [
            bindparam(f"keyset_{n}", type_=column.type) for n, column in enumerate(self._columns)
        ]
        self._first = Statement(f"{name}_first_page", self._ordered(self._query, backward=False))
        self._beyond: dict[tuple[bool, bool], Statement] = {}

    async def fetch(
        self, database: Database, position: Position | None, limit: int, **values: Any
    ) -> list[asyncpg.Record]:
        """The rows from a position on, in the order of reading, and one more if there is one.

        values: of the query's own parameters
        """
        if position is None:
            return await database.fetch(self._first, keyset_limit=limit + 1, **values)
        for bind, value in zip(self._binds, position.values, strict=True):
            values[bind.key] = value
        return await database.fetch(self.beyond(position), keyset_limit=limit + 1, **values)

    def beyond(self, position: Position) -> Statement:
        """The statement for what lies beyond a position like this."""
        _, backward, inclusive = position
        statement = self._beyond.get((backward, inclusive))
        if statement is None:
            query = self._query.where(self._lies_beyond(backward, inclusive))
            name = f"{self._name}_{'previous' if backward else 'next'}_page"
            statement = Statement(name, self._ordered(query, backward=backward))
            self._beyond[backward, inclusive] = statement
        return statement

    def _ordered(self, query: AnySelect, *, backward: bool) -> AnySelect:
        order = (
            column.desc() if descending is not backward else column.asc()
            for column, descending in zip(self._columns, self._descending, strict=True)
        )
        return query.order_by(*order).limit(_LIMIT)

    def _lies_beyond(self, backward: bool, inclusive: bool) -> ColumnElement[bool]:
        down = [descending is not backward for descending in self._descending]
        if len(set(down)) == 1:  # a comparison of rows, which is one range of an index
            row, place = tuple_(*self._columns), tuple_(*self._binds)
            if inclusive:
                return row <= place if down[0] else row >= place
            return row < place if down[0] else row > place
        *ties, last = zip(self._columns, self._binds, down, strict=True)
        beyond = _compared(*last, inclusive)
        for column, bind, descends in reversed(ties):
            # the first half looks needless, and is what an index can be searched by
            beyond = and_(
                _compared(column, bind, descends, True),
                or_(_compared(column, bind, descends, False), beyond),
            )
        return beyond


def _compared(
    column: ColumnElement[Any], bind: ColumnElement[Any], descends: bool, inclusive: bool
) -> ColumnElement[bool]:
    if inclusive:
        return column <= bind if descends else column >= bind
    return column < bind if descends else column > bind


def _column(ordered: Any) -> Column[Any]:
    element = ordered.element if isinstance(ordered, UnaryExpression) else ordered
    if isinstance(element, QueryableAttribute):
        element = inspect(element).expression
    assert isinstance(element, Column)
    return element


def _is_descending(ordered: Any) -> bool:
    return isinstance(ordered, UnaryExpression) and ordered.modifier is desc_op


def _type(column: Column[Any]) -> type:
    """Of a column's values as asyncpg gives them."""
    return Decimal if isinstance(column.type, Numeric) else column.type.python_type


def _is_short(length: int | None) -> bool:
    return length is not None and length <= LONGEST


def _problem(columns: Sequence[Column[Any]]) -> str | None:
    """Why a listing cannot be ordered by these."""
    for column in columns:
        if column.nullable:
            return f"{column.name} may be NULL, and such rows would be lost between two pages"
        if _type(column) not in _TYPES:
            return f"a cursor cannot hold {column.name}"
        if isinstance(column.type, _OF_ANY_LENGTH) and not _is_short(column.type.length):
            most = f"of at most {LONGEST}, as String(200), or order by something else"
            return f"{column.name} may be longer than a cursor; give it a length {most}"
    table = columns[-1].table
    names = {column.name for column in columns if column.table is table}
    if not any({c.name for c in key} <= names for key in unique_keys(table)):
        return f"two rows may agree in {', '.join(sorted(names))}; add the primary key"
    return None


def _selecting(query: AnySelect, columns: Sequence[Column[Any]]) -> AnySelect:
    """The query with all these columns."""
    for column in columns:
        called_so = [one for one in query.selected_columns if one.key == column.name]
        if not called_so:
            query = query.add_columns(column)
        elif not called_so[0].compare(column):
            raise ValueError(f"it is ordered by {column.name}, and shows something else as that")
    return query
