"""The schedules in the database, as SQL.

The clock is PostgreSQL's: the same for all schedulers, however theirs differ.
"""

from __future__ import annotations

from sqlalchemy import ARRAY
from sqlalchemy import Text
from sqlalchemy import all_
from sqlalchemy import any_
from sqlalchemy import bindparam
from sqlalchemy import case
from sqlalchemy import delete
from sqlalchemy import extract
from sqlalchemy import func
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy import tuple_
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import BIGINT
from sqlalchemy.dialects.postgresql import BOOLEAN
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.dialects.postgresql import insert

from app.database import Statement
from app.queue.models import QueuedJob
from app.scheduler.models import TABLE
from app.scheduler.models import StoredSchedule

_NOW = func.clock_timestamp()
_AT = TIMESTAMP(timezone=True)
_STALE = StoredSchedule.seen_at < _NOW - bindparam("stale", type_=INTERVAL)

NOW = Statement("schedule_now", select(_NOW.label("now")))

# Which there are, and how soon their next tick is.
LOOK = Statement(
    "schedule_look",
    select(
        StoredSchedule.name,
        StoredSchedule.cron,
        StoredSchedule.zone,
        StoredSchedule.next_at,
        StoredSchedule.last_at,
        extract("epoch", StoredSchedule.next_at - _NOW).label("in_s"),
    ).where(StoredSchedule.name == any_(bindparam("names", type_=ARRAY(Text)))),
)

# A tick is due, and nobody else is at it: its row is ours until the transaction ends.
TAKE = (
    select(StoredSchedule.next_at, StoredSchedule.last_job, _NOW.label("now"))
    .where(
        StoredSchedule.name == bindparam("name", type_=Text),
        StoredSchedule.cron == bindparam("cron", type_=Text),
        StoredSchedule.zone == bindparam("zone", type_=Text),
        StoredSchedule.next_at <= _NOW,
    )
    .with_for_update(skip_locked=True)
)

UNDONE = select(QueuedJob.id).where(
    QueuedJob.id == bindparam("job", type_=BIGINT),
    QueuedJob.state.in_(["ready", "delayed", "running"]),
)

MOVE = (
    update(TABLE)
    .where(TABLE.c.name == bindparam("which", type_=Text))
    .values(
        next_at=bindparam("then", type_=_AT),
        last_at=func.coalesce(bindparam("tick", type_=_AT), TABLE.c.last_at),
        last_job=func.coalesce(bindparam("job", type_=BIGINT), TABLE.c.last_job),
    )
)

_new = insert(TABLE).values(
    name=bindparam("name", type_=Text),
    cron=bindparam("cron", type_=Text),
    zone=bindparam("zone", type_=Text),
    next_at=bindparam("next_at", type_=_AT),
    seen_at=_NOW,
)
_same = tuple_(TABLE.c.cron, TABLE.c.zone) == tuple_(_new.excluded.cron, _new.excluded.zone)

# A scheduler has this schedule. While there are two versions of the service, the one that started
# last decides what it is; and when that one is gone, the other.
KEEP = _new.on_conflict_do_update(
    index_elements=[TABLE.c.name],
    set_={
        "cron": _new.excluded.cron,
        "zone": _new.excluded.zone,
        "next_at": case((_same, TABLE.c.next_at), else_=_new.excluded.next_at),
        "seen_at": _NOW,
    },
    where=or_(_same, bindparam("starting", type_=BOOLEAN), _STALE),
)

# No scheduler has had these for a while: they are no longer in the code.
FORGET = delete(TABLE).where(TABLE.c.name != all_(bindparam("names", type_=ARRAY(Text))), _STALE)
