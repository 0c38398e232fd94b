"""What puts jobs into the table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import Double
from sqlalchemy import FromClause
from sqlalchemy import Integer
from sqlalchemy import SmallInteger
from sqlalchemy import Text
from sqlalchemy import bindparam
from sqlalchemy import case
from sqlalchemy import cast
from sqlalchemy import column
from sqlalchemy import func
from sqlalchemy import literal_column
from sqlalchemy import select
from sqlalchemy import true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert

from app.database import Statement
from app.queue.kinds import Kind
from app.queue.models import TABLE

# The channel on which workers hear that there is something to do.
CHANNEL = "queue_jobs"

_PAYLOAD = bindparam("payload", type_=Text)
_NEW = {
    "kind": bindparam("kind", type_=Text),
    "payload": cast(_PAYLOAD, JSON),
    "priority": bindparam("priority", type_=SmallInteger),
    "state": bindparam("state", type_=Text),
    "due_at": func.now() + bindparam("delay", type_=INTERVAL),
    "max_attempts": bindparam("max_attempts", type_=Integer),
    "request_id": bindparam("request_id", type_=Text),
    "context": bindparam("context", type_=Text),
}
INSERT = insert(TABLE).values(_NEW).returning(TABLE.c.id)

_KEY = bindparam("key", type_=Text)
_first = (
    insert(TABLE)
    .values({**_NEW, "key": _KEY})
    .on_conflict_do_nothing(
        index_elements=[TABLE.c.kind, TABLE.c.key], index_where=TABLE.c.key.is_not(None)
    )
    .returning(TABLE.c.id)
    .cte("first")
)
# The job of that key: the one that this makes, or the one that is there (which a statement that
# makes one does not see). `same` says whether they ask for the same.
INSERT_ONCE = select(_first.c.id, true().label("same")).union_all(
    select(TABLE.c.id, cast(TABLE.c.payload, Text) == _PAYLOAD).where(
        TABLE.c.kind == bindparam("kind", type_=Text), TABLE.c.key == _KEY
    )
)

# Many at once, given by columns. The ids follow `nth`: an identity is drawn after the ORDER BY.
# SQLAlchemy's inserts of many rows count on that as well ("Correlating RETURNING rows to parameter
# sets" in its documentation).
_new = (
    func.unnest(
        bindparam("kind", type_=ARRAY(Text)),
        bindparam("payload", type_=ARRAY(Text)),
        bindparam("priority", type_=ARRAY(SmallInteger)),
        bindparam("delay_s", type_=ARRAY(Double)),
        bindparam("max_attempts", type_=ARRAY(Integer)),
        bindparam("request_id", type_=ARRAY(Text)),
        bindparam("context", type_=ARRAY(Text)),
    )
    .table_valued(
        column("kind", Text),
        column("payload", Text),
        column("priority", SmallInteger),
        column("delay_s", Double),
        column("max_attempts", Integer),
        column("request_id", Text),
        column("context", Text),
        with_ordinality="nth",
    )
    .render_derived("new")
)
_columns = {
    "kind": _new.c.kind,
    "payload": cast(_new.c.payload, JSON),
    "priority": _new.c.priority,
    "state": case(
        (_new.c.delay_s > literal_column("0"), literal_column("'delayed'")),
        else_=literal_column("'ready'"),
    ),
    "due_at": func.now() + _new.c.delay_s * literal_column("interval '1 second'"),
    "max_attempts": _new.c.max_attempts,
    "request_id": _new.c.request_id,
    "context": _new.c.context,
}
_INSERT_ALL = (
    insert(TABLE)
    .from_select(list(_columns), select(*_columns.values()).order_by(_new.c.nth))
    .returning(TABLE.c.id)
)

ENQUEUE = Statement("job_enqueue", _INSERT_ALL)
ENQUEUE_ONCE = Statement("job_enqueue_once", INSERT_ONCE, read=False)
NOTIFY = Statement(
    "job_notify",
    select(func.pg_notify(bindparam("channel", type_=Text), bindparam("said", type_=Text))),
    read=False,
)


def job_of_each(kind: Kind[Any], payload: ColumnElement[Any], source: FromClause) -> Insert:
    """An INSERT of one job for each row of `source`, for a statement that changes data as well.

    payload: JSON made of the row's columns, as `kind` wants it: nothing checks it here. Call
             `Queue.announce()` when the statement has been run.

        made = insert(Item).values(…).returning(Item.id).cte("made")
        payload = func.json_build_object(literal_column("'item_id'"), made.c.id)
        jobs = job_of_each(INDEX_ITEM, payload, made).cte("jobs")
        CREATE = Statement("item_create", select(made.c.id).add_cte(jobs))
    """
    columns = {
        "kind": literal_column(f"'{kind.name}'"),
        "payload": cast(payload, JSON),
        "state": literal_column("'ready'"),
        "due_at": func.now(),
        "max_attempts": literal_column(str(kind.attempts)),
    }
    return insert(TABLE).from_select(list(columns), select(*columns.values()).select_from(source))
