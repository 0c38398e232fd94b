"""SQL for the hot path: a SQLAlchemy statement compiled once, run by asyncpg directly.

The models stay the source of names and types; per request nothing is built or compiled.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import SelectBase
from sqlalchemy import TypeDecorator
from sqlalchemy import UpdateBase
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import iterate

from app.database.metrics import DURATION

_DIALECT: Dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]

# Calls that leave something behind in the session although the statement looks harmless.
_SESSION_STATE = re.compile(
    r"\bset_config\b|\bsetseed\b|\bpg_(?!\w*_xact_)\w*advisory\w*lock|\bpg_temp\b|\bdblink_connect",
    re.IGNORECASE,
)


class Statement:
    """One compiled statement; values are given by the names of its bind parameters.

    name: a short constant, the label of its metrics and of the slow-query log
    read: whether it changes nothing, so that it may be repeated on another connection
    """

    __slots__ = ("duration", "name", "names", "read", "sql")

    def __init__(self, name: str, query: SelectBase | UpdateBase, *, read: bool = True) -> None:
        """Compile `query`; raises ValueError when it cannot be run without SQLAlchemy.

        Its connection is handed on without a reset, so it must call no function that sets
        something; those known to do so are refused. `read=False` says of a SELECT that a function
        in it writes; of other statements it is known.
        """
        compiled = query.compile(dialect=_DIALECT)
        assert isinstance(compiled, SQLCompiler)
        if problem := _problem(query, compiled):
            raise ValueError(f"{name}: {problem}.")
        self.name = name
        self.sql = compiled.string
        self.names = tuple(compiled.positiontup or ())
        self.read = read and not any(isinstance(part, UpdateBase) for part in iterate(query))
        self.duration = DURATION.labels(name)

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        """The values in the order of the SQL's placeholders; TypeError when they do not fit."""
        try:
            arguments = [values[name] for name in self.names]
        except KeyError as error:
            raise TypeError(f"{self.name}: no value given for {error}.") from None
        if len(values) != len(arguments):
            unknown = sorted(values.keys() - set(self.names))
            raise TypeError(f"{self.name}: has no parameter {', '.join(unknown)}.")
        return arguments


def _problem(query: SelectBase | UpdateBase, compiled: SQLCompiler) -> str | None:
    """Why this cannot be run as it is."""
    if _SESSION_STATE.search(compiled.string):
        return "may leave session state behind"
    if compiled.post_compile_params or compiled.literal_execute_params:
        return "a list in IN changes the SQL with its length; write `column = any_(bindparam(…))`"
    names = compiled.positiontup or ()
    if fixed := [name for name in names if not compiled.binds[name].required]:
        return f"give values by bindparam(), not in the query: {fixed}"
    used = [*(compiled.binds[name] for name in names), *query.exported_columns]
    if own := [part.key for part in used if isinstance(part.type, TypeDecorator)]:
        return f"only a session converts the types of {own}"
    return None
