"""What becomes of a job, as SQL. Every statement is one transaction.

A worker owns a job while `worker` and `attempts` are what they were when it took it. Who has lost
it, because the lease ran out, changes nothing any more.

What is due is compared with now(), which an index can be searched for. What becomes due is counted
from clock_timestamp(): a statement may have waited for a lock since now().
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY
from sqlalchemy import BigInteger
from sqlalchemy import Boolean
from sqlalchemy import Integer
from sqlalchemy import Text
from sqlalchemy import and_
from sqlalchemy import bindparam
from sqlalchemy import func
from sqlalchemy import literal_column
from sqlalchemy import null
from sqlalchemy import text
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import INTERVAL

from app.database import Statement
from app.queue.models import TABLE

_TYPES: dict[str, Any] = {
    "attempts": ARRAY(Integer),
    "error": Text,
    "free": Integer,
    "ids": ARRAY(BigInteger),
    "kinds": ARRAY(Text),
    "lease": INTERVAL,
    "may_alone": Boolean,
    "most": Integer,
    "worker": Text,
}


def _statement(name: str, sql: str, *parameters: str) -> Statement:
    binds = [bindparam(name, type_=_TYPES[name]) for name in parameters]
    return Statement(name, text(sql).bindparams(*binds).columns(), read=False)


# The next jobs, each for one worker only. Of those that run alone one at a time: it may be what
# killed its worker before, and those beside it are not to lose their last attempt with it.
TAKE = _statement(
    "job_take",
    """
    WITH next AS (
        SELECT id FROM queue_jobs
        WHERE state = 'ready' AND kind = ANY(:kinds)
            AND (NOT alone OR (:may_alone AND id = (
                SELECT id FROM queue_jobs
                WHERE state = 'ready' AND alone AND kind = ANY(:kinds)
                ORDER BY priority DESC, id LIMIT 1
            )))
        ORDER BY priority DESC, id LIMIT :free FOR UPDATE SKIP LOCKED
    )
    UPDATE queue_jobs job
    SET state = 'running', attempts = attempts + 1, worker = :worker,
        due_at = clock_timestamp() + :lease
    FROM next WHERE job.id = next.id
    RETURNING job.id, kind, payload, attempts, max_attempts, alone, request_id, context,
        key IS NOT NULL AS keyed
    """,
    "kinds",
    "may_alone",
    "free",
    "worker",
    "lease",
)

# The worker lives: its jobs are its own for another lease. Gives those that still are.
RENEW = _statement(
    "job_renew",
    """
    UPDATE queue_jobs job SET due_at = clock_timestamp() + :lease
    FROM unnest(:ids, :attempts) AS held (id, attempt)
    WHERE job.id = held.id AND attempts = held.attempt AND worker = :worker AND state = 'running'
    RETURNING job.id
    """,
    "lease",
    "ids",
    "attempts",
    "worker",
)

_LATER = func.clock_timestamp() + bindparam("delay", type_=INTERVAL)
_OWNED = and_(
    TABLE.c.id == bindparam("job", type_=BigInteger),
    TABLE.c.attempts == bindparam("attempt", type_=Integer),
    TABLE.c.worker == bindparam("owner", type_=Text),
    TABLE.c.state == literal_column("'running'"),
)

# Done. Gives those that were still the worker's.
FORGET = _statement(
    "job_forget",
    """
    DELETE FROM queue_jobs job
    USING unnest(:ids, :attempts) AS held (id, attempt)
    WHERE job.id = held.id AND attempts = held.attempt AND worker = :worker AND state = 'running'
    RETURNING job.id, job.attempts AS attempt
    """,
    "ids",
    "attempts",
    "worker",
)

# Done, and for a while still there because of its key.
KEEP = Statement(
    "job_keep",
    update(TABLE)
    .where(_OWNED)
    .values(state=literal_column("'done'"), due_at=_LATER, worker=null(), error=null())
    .returning(TABLE.c.id),
)

# An attempt has failed: tried again after the delay ('delayed'), or no more ('failed').
FAIL = Statement(
    "job_fail",
    update(TABLE)
    .where(_OWNED)
    .values(
        state=bindparam("becomes", type_=Text),
        due_at=_LATER,
        worker=null(),
        error=bindparam("said", type_=Text),
    )
    .returning(TABLE.c.id),
)

# A worker that ends gives back what it did not finish; that was no attempt.
HAND_BACK = _statement(
    "job_hand_back",
    """
    UPDATE queue_jobs job
    SET state = 'ready', attempts = attempts - 1, worker = NULL, due_at = clock_timestamp()
    FROM unnest(:ids, :attempts) AS held (id, attempt)
    WHERE job.id = held.id AND attempts = held.attempt AND worker = :worker AND state = 'running'
    RETURNING job.id
    """,
    "ids",
    "attempts",
    "worker",
)

# Delayed jobs whose time has come, and those of workers that said nothing for a lease: the attempt
# counts, and after the last one the job has failed. While PostgreSQL was away nobody could say
# anything, so after its start everybody gets one lease more.
EXPIRE = _statement(
    "job_expire",
    """
    WITH late AS (
        SELECT id, state AS was FROM queue_jobs
        WHERE state IN ('delayed', 'running') AND due_at <= now()
            AND (state = 'delayed' OR pg_postmaster_start_time() < now() - :lease)
        ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
    )
    UPDATE queue_jobs job
    SET state = CASE WHEN was = 'running' AND attempts >= max_attempts
            THEN 'failed' ELSE 'ready' END,
        alone = alone OR (was = 'running' AND attempts + 1 >= max_attempts),
        error = CASE WHEN was = 'running' THEN :error ELSE error END,
        due_at = CASE WHEN was = 'running' THEN clock_timestamp() ELSE due_at END,
        worker = NULL
    FROM late WHERE job.id = late.id
    RETURNING job.id, kind, payload, attempts, request_id, state, was
    """,
    "lease",
    "most",
    "error",
)

PRUNE = _statement(
    "job_prune",
    """
    DELETE FROM queue_jobs WHERE id IN (
        SELECT id FROM queue_jobs WHERE state = 'done' AND due_at <= now()
        LIMIT :most FOR UPDATE SKIP LOCKED
    ) RETURNING id
    """,
    "most",
)
