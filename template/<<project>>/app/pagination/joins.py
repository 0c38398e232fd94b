"""Whether an order still tells any two rows apart when tables are joined.

Of a row that a JOIN gives several times all but one are lost where a page ends between them, and
so is a row whose place an OUTER JOIN makes NULL.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Alias
from sqlalchemy import BinaryExpression
from sqlalchemy import BooleanClauseList
from sqlalchemy import Column
from sqlalchemy import ColumnElement
from sqlalchemy import FromClause
from sqlalchemy import Index
from sqlalchemy import Join
from sqlalchemy import Select
from sqlalchemy import Table
from sqlalchemy import UniqueConstraint
from sqlalchemy.sql import visitors
from sqlalchemy.sql.operators import and_
from sqlalchemy.sql.operators import eq

type AnySelect = Select[*tuple[Any, ...]]
# A column's table and name, and the tables that what it must be equal to comes from.
type Equality = tuple[str, str, frozenset[str]]


def joins_problem(query: AnySelect, order: Sequence[Column[Any]]) -> str | None:
    """Why rows would be lost in this order; None also where that cannot be told, because something
    is no table, or the rows are grouped."""
    sources = query.get_final_froms()
    joins = [join for source in sources for join in _joins(source)]
    optional = {_name(one) for join in joins for one in _optional(join)}
    for column in order:
        if _name(column.table) in optional:
            return f"{column.name} may be NULL, as its table is joined by an OUTER JOIN"
    leaves = [leaf for source in sources for leaf in _leaves(source)]
    tables = {_name(leaf): _table(leaf) for leaf in leaves}
    if len(tables) < 2 or None in tables.values() or query._group_by_clauses or query._distinct:
        return None
    equalities = [*_equalities(query.whereclause)]
    for join in joins:
        told = {_name(leaf) for leaf in _told(join)}
        equalities += [one for one in _equalities(join.onclause) if one[0] in told]
    columns = {(_name(column.table), column.name) for column in order}
    if repeated := _repeated(tables, columns, equalities):
        return f"a JOIN may repeat a row; add the primary key of {' and '.join(sorted(repeated))}"
    return None


def _repeated(
    tables: dict[str, Table | None], known: set[tuple[str, str]], equalities: list[Equality]
) -> set[str]:
    """The tables of which several rows may share one place in the order.

    Of a table there is one row for each place when its key is known there: because it is in the
    order, or equal to what comes from a table of which there is one.
    """
    left = set(tables)
    while found := {name for name in left if _has_key(name, tables[name], known)}:
        left -= found
        known = known | {(t, c) for t, c, others in equalities if not others & left}
    return left


def _has_key(name: str, table: Table | None, known: set[tuple[str, str]]) -> bool:
    return any({(name, c.name) for c in key} <= known for key in unique_keys(table))


def unique_keys(table: FromClause | None) -> Iterator[Iterable[Column[Any]]]:
    """The columns of each key that tells the rows of a table apart."""
    if isinstance(table, Table):
        yield from (c.columns for c in table.constraints if isinstance(c, UniqueConstraint))
        yield from (index.columns for index in table.indexes if _is_key(index))
        if table.primary_key.columns:
            yield table.primary_key.columns


def _is_key(index: Index) -> bool:
    """Whether it tells all rows apart by columns alone."""
    partial = index.dialect_options["postgresql"]["where"] is not None
    return index.unique and not partial and len(index.columns) == len(index.expressions)


def _equalities(condition: Any) -> Iterator[Equality]:
    """What must be equal where the condition holds."""
    if isinstance(condition, BooleanClauseList) and condition.operator is and_:
        for clause in condition.clauses:
            yield from _equalities(clause)
    elif isinstance(condition, BinaryExpression) and condition.operator is eq:
        for one, other in ((condition.left, condition.right), (condition.right, condition.left)):
            if isinstance(one, Column):
                yield _name(one.table), one.name, _sources(other)


def _sources(expression: ColumnElement[Any]) -> frozenset[str]:
    columns = [part for part in visitors.iterate(expression) if isinstance(part, Column)]
    return frozenset(_name(column.table) for column in columns)


def _joins(source: FromClause) -> Iterator[Join]:
    if isinstance(source, Join):
        yield source
        yield from _joins(source.left)
        yield from _joins(source.right)


def _leaves(source: FromClause) -> Iterator[FromClause]:
    if isinstance(source, Join):
        yield from _leaves(source.left)
        yield from _leaves(source.right)
    else:
        yield source


def _optional(join: Join) -> Iterator[FromClause]:
    """What is NULL in a row for which the other side has nothing."""
    if join.isouter or join.full:
        yield from _leaves(join.right)
    if join.full:
        yield from _leaves(join.left)


def _told(join: Join) -> Iterator[FromClause]:
    """Of whose columns ON says what they are in every row: not of what stands beside NULLs."""
    if not join.full:
        yield from _leaves(join.right if join.isouter else join)


def _name(source: FromClause) -> str:
    return str(getattr(source, "name", id(source)))


def _table(source: FromClause) -> Table | None:
    """The table that this is, perhaps under another name."""
    inner = source.element if isinstance(source, Alias) else source
    return inner if isinstance(inner, Table) else None
