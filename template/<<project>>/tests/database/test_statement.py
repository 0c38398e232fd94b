"""Statements are compiled once, and refused when they could not be run as they are."""

from typing import Any

import pytest
from sqlalchemy import Column
from sqlalchemy import Integer
from sqlalchemy import MetaData
from sqlalchemy import String
from sqlalchemy import Table
from sqlalchemy import Text
from sqlalchemy import TypeDecorator
from sqlalchemy import any_
from sqlalchemy import bindparam
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import select
from sqlalchemy import text
from sqlalchemy import union_all
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import CompileError

from app.database import Database
from app.database import Statement
from tests.database.conftest import Watch
from tests.database.statements import PROBE
from tests.database.statements import READ


class Sealed(TypeDecorator[str]):
    """A type whose values SQLAlchemy converts."""

    impl = String
    cache_ok = True


THINGS = Table("things", MetaData(), Column("id", Integer), Column("secret", Sealed))
N = bindparam("n", type_=Integer)


def test_values_are_placeholders_in_the_order_of_the_sql() -> None:
    query = update(PROBE).values(n=bindparam("new")).where(PROBE.c.n == bindparam("old"))
    statement = Statement("change", query.returning(PROBE.c.n))
    assert statement.sql == (
        "UPDATE probe SET n=$1::INTEGER WHERE probe.n = $2::INTEGER RETURNING probe.n"
    )
    assert statement.arguments({"old": 1, "new": 2}) == [2, 1]


def test_a_value_used_twice_is_given_once() -> None:
    twice = Statement("twice", select(PROBE.c.n).where((PROBE.c.n > N) | (PROBE.c.n < N - N)))
    assert twice.names == ("n",)
    assert twice.arguments({"n": 7}) == [7]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "test_read: no value given for 'wanted'"),
        ({"wanted": 1, "more": 2, "and": 3}, "test_read: has no parameter and, more"),
        ({"Wanted": 1}, "test_read: no value given for 'wanted'"),
    ],
)
def test_values_that_do_not_fit_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        READ.arguments(given)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (select(PROBE).where(PROBE.c.n == 1), "give values by bindparam"),
        (select(PROBE).limit(10), "give values by bindparam"),
        (insert(PROBE).values(n=1), "give values by bindparam"),
        (select(PROBE).where(PROBE.c.n.in_([1, 2])), "list in IN"),
        (select(PROBE).where(PROBE.c.n.in_(bindparam("ns", expanding=True))), "list in IN"),
        (select(func.set_config("a", "b", False)), "session state"),
        (select(text("SET_CONFIG('role', 'root', false)")), "session state"),
        (select(func.setseed(bindparam("seed"))), "session state"),
        (select(func.pg_advisory_lock(bindparam("key"))), "session state"),
        (select(func.pg_try_advisory_lock_shared(bindparam("key"))), "session state"),
        (select(func.pg_advisory_unlock_all()), "session state"),
        (select(text("1 FROM pg_temp.own")), "session state"),
        (select(THINGS.c.secret), "converts the types of .*secret"),
        (select(THINGS.c.id).where(THINGS.c.secret == bindparam("s")), "converts the types"),
        (insert(THINGS).values(id=N).returning(THINGS.c.secret), "converts the types"),
    ],
)
def test_what_cannot_be_run_as_it_is_is_refused(query: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^bad: .*{said}"):
        Statement("bad", query)


def test_a_lock_that_ends_with_its_transaction_is_no_state() -> None:
    for lock in (func.pg_advisory_xact_lock, func.pg_try_advisory_xact_lock_shared):
        assert "xact" in Statement("lock", select(lock(bindparam("key"))), read=False).sql


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(CompileError, match="'n'"):
        Statement("bad", update(PROBE).values(n=5).where(PROBE.c.n == N))


@pytest.mark.parametrize(
    ("query", "read"),
    [
        (select(PROBE), True),
        (select(PROBE).with_for_update(), True),
        (union_all(select(PROBE.c.n), select(PROBE.c.n)), True),
        (insert(PROBE).values(n=N), False),
        (delete(PROBE).where(PROBE.c.n == N), False),
        (select(insert(PROBE).values(n=N).returning(PROBE.c.n).cte()), False),
        (select(func.count()).select_from(delete(PROBE).returning(PROBE.c.n).cte()), False),
        (select(PROBE).where(PROBE.c.n.in_(select(PROBE.c.n))), True),
    ],
)
def test_only_what_changes_nothing_may_be_repeated(query: Any, read: bool) -> None:
    assert Statement("some", query).read is read


def test_a_select_that_calls_a_function_that_writes_can_say_so() -> None:
    assert Statement("some", select(func.my_write(N)), read=False).read is False


@pytest.mark.anyio
async def test_arrays_stand_for_lists(database: Database, watch: Watch) -> None:
    add = Statement(
        "test_add",
        insert(PROBE).from_select(
            ["n"], select(func.unnest(bindparam("ns", type_=ARRAY(Integer))))
        ),
    )
    among = Statement(
        "test_among",
        select(PROBE.c.n)
        .where(PROBE.c.n == any_(bindparam("ns", type_=ARRAY(Integer))))
        .order_by(PROBE.c.n),
    )
    assert "ANY ($1::INTEGER[])" in among.sql
    await database.fetch(add, ns=list(range(100)))
    assert [row["n"] for row in await database.fetch(among, ns=[7, 3, 3, 500])] == [3, 7]
    assert await database.fetch(among, ns=[]) == []


@pytest.mark.anyio
async def test_many_rows_are_changed_by_one_statement(database: Database, watch: Watch) -> None:
    """The recipe of the README: each row gets a value of its own."""
    new = (
        func.unnest(bindparam("old", type_=ARRAY(Integer)), bindparam("new", type_=ARRAY(Integer)))
        .table_valued("old", "new", name="given")
        .render_derived()
    )
    change = Statement(
        "test_change_many",
        update(PROBE).values(n=new.c.new).where(PROBE.c.n == new.c.old).returning(PROBE.c.n),
    )
    await watch.connection.execute("INSERT INTO probe SELECT generate_series(1, 100)")
    changed = await database.fetch(
        change, old=list(range(1, 101)), new=[1000 + n for n in range(1, 101)]
    )
    assert len(changed) == 100
    commands = "SELECT count(DISTINCT (xmin::text, cmin::text)), min(n), max(n) FROM probe"
    assert tuple(await watch.connection.fetchrow(commands) or ()) == (1, 1001, 1100)


@pytest.mark.anyio
async def test_parameters_may_have_any_name(database: Database, watch: Watch) -> None:
    """Also those of the methods that they pass through."""
    query = select(
        *(bindparam(name, type_=Text).label(name) for name in ("self", "statement", "values"))
    )
    row = await database.fetch_one(
        Statement("test_names", query), self="a", statement="b", values="c"
    )
    assert row
    assert tuple(row) == ("a", "b", "c")
