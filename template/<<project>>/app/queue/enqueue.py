"""What puts jobs into the table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import FromClause
from sqlalchemy import Integer
from sqlalchemy import SmallInteger
from sqlalchemy import Text
from sqlalchemy import bindparam
from sqlalchemy import cast
from sqlalchemy import func
from sqlalchemy import literal_column
from sqlalchemy import select
from sqlalchemy import true
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

ENQUEUE = Statement("job_enqueue", INSERT)
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
