"""Queries of a request are spans of its trace, by name or by SQL, and never with values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Integer
from sqlalchemy import Text
from sqlalchemy import bindparam
from sqlalchemy import literal_column
from sqlalchemy import select
from sqlalchemy import text

from app.database import Database
from app.database import Statement
from app.tracing.with_database import LONGEST_SQL
from app.tracing.with_database import without_literals
from tests.http.asgi import call
from tests.tracing.conftest import ME
from tests.tracing.conftest import Open
from tests.tracing.ingest import Ingest

pytestmark = pytest.mark.anyio

PASSWORD, NUMBER = "hunter2", "8675309"
ECHO = Statement("test_echo", select(bindparam("said", type_=Text)))
DIVIDE = Statement(
    "test_divide", select(literal_column("1") / bindparam("by", type_=Integer)), read=False
)
# The row of a constraint is part of what PostgreSQL says of it.
TABLE = "CREATE TEMP TABLE secrets (said text PRIMARY KEY) ON COMMIT DROP"
TWICE = f"INSERT INTO secrets VALUES ('{PASSWORD}'), ('{PASSWORD}')"
GIVEN = {"said": PASSWORD}


@pytest.mark.usefixtures("anyio_backend")
async def test_statements_and_sessions(open_service: Open, ingest: Ingest) -> None:
    async with open_service() as traced:
        database = traced.service.get(Database)

        @traced.api.get("/asks/{what}")
        async def asks(what: str) -> None:
            if what == "statement":
                await database.fetch(ECHO, **GIVEN)
            elif what == "fails":
                await database.fetch(DIVIDE, by=0)
            async with database.session() as session:
                await session.execute(select(bindparam("said", type_=Text)), GIVEN)
                await session.execute(text(f"SELECT '{PASSWORD}', {NUMBER} LIMIT 1"))
                await session.execute(text(TABLE))
                await session.execute(text(TWICE))

        await database.fetch(ECHO, said="outside of any trace")
        for what in ("statement", "fails"):
            assert (await call(traced.app, path=f"/asks/{what}", headers=ME)).status == 500
    [failed, request] = sorted(ingest.named("GET /asks/{what}"), key=lambda one: one.seconds)
    spans = [one for one in ingest.spans if one.kind == "CLIENT" and "postgresql" in str(one)]
    assert {one.trace_id for one in spans} == {failed.trace_id, request.trace_id}
    told = [
        (one.name, one.failed, *(one.attributes.get(f"db.query.{k}") for k in ("summary", "text")))
        for one in spans
    ]
    assert told == [
        ("test_echo", False, "test_echo", None),
        ("SELECT", False, None, "SELECT $1::VARCHAR AS anon_1"),
        ("SELECT", False, None, "SELECT ?, ? LIMIT ?"),
        ("CREATE", False, None, TABLE),
        ("INSERT", True, None, "INSERT INTO secrets VALUES (?), (?)"),
        ("test_divide", True, "test_divide", None),
    ]
    assert [one.attributes.get("error.type") for one in spans if one.failed] == ["23505", "22012"]
    assert all(0 < one.seconds < 10 for one in spans)
    descriptions = [one["description"] for t in ingest.transactions for one in t["spans"]]
    assert "INSERT INTO secrets VALUES (?), (?)" in descriptions
    assert len(ingest.errors) == 2
    for secret in (PASSWORD, NUMBER):
        assert secret.encode() not in ingest.raw


@given(st.text(alphabet="abc'x ", max_size=20))
def test_no_string_is_left_whatever_it_holds(said: str) -> None:
    quoted = "'" + said.replace("'", "''") + "'"
    assert without_literals(f"SELECT {quoted} AS n, $1, t2.a1") == "SELECT ? AS n, $1, t2.a1"


@pytest.mark.parametrize(
    ("sql", "sent"),
    [
        ("SELECT $tag$it's 5$tag$, $$x$$, $1, $22", "SELECT ?, ?, $1, $22"),
        ("SELECT 1, -2, 3.5e10, 0xff, a1, b.c2", "SELECT ?, -?, ?, ?, a1, b.c2"),
        ("SELECT E'it\\'s', 'open", "SELECT ?, ?"),
        ("SELECT $tag$open", "SELECT ?"),
        ("SELECT E'secret's \\", "SELECT ?s \\"),
        ("SELECT E'it\\'s secret \\", "SELECT ?"),
        ("/* it's */ SELECT 'secret'", "SELECT ?"),
        ("-- it's\nSELECT 'secret' -- it's 5", "SELECT ?"),
        ("SELECT 1 /* a /* it's */ b */ , 'secret'", "SELECT ?"),
        ("SELECT/* it's", "SELECT"),
        ("SELECT '--', '/*', 'secret'", "SELECT ?, ?, ?"),
        (
            """SELECT "o'brien", 'secret', "a""1'", 'secret'""",
            """SELECT "o'brien", ?, "a""1'", ?""",
        ),
        ("SELECT a$b$, 'it''s c$b$ secret'", "SELECT a$b$, ?"),
        ("SELECT $1$2, 'it''s $1$2 secret'", "SELECT $1$2, ?"),
    ],
)
def test_other_literals(sql: str, sent: str) -> None:
    assert without_literals(sql) == sent


def test_sql_is_bounded() -> None:
    assert len(without_literals("SELECT " + "a, " * 10_000)) == LONGEST_SQL
