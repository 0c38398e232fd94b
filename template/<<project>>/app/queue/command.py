"""`python -m app jobs list|show|redrive|purge`: what the owner of the service does about jobs."""

from __future__ import annotations

import asyncio
import sys
from argparse import ArgumentParser
from argparse import Namespace
from collections.abc import Awaitable
from collections.abc import Callable

import msgspec
from sqlalchemy import ColumnElement
from sqlalchemy import CursorResult
from sqlalchemy import Delete
from sqlalchemy import RowMapping
from sqlalchemy import Update
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import update

from app.database import Database
from app.database import DatabaseSettings
from app.pattern import Command
from app.queue.models import TABLE
from app.queue.models import QueuedJob
from app.settings import load_settings

STATES = ("ready", "delayed", "running", "failed", "done", "any")
MOST = 1000
# Of the error of each job in a list.
WIDTH = 100
SHOWN = (
    "id",
    "kind",
    "state",
    "priority",
    "attempts",
    "max_attempts",
    "due_at",
    "created_at",
    "key",
    "worker",
    "request_id",
    "error",
)


async def find(
    database: Database, state: str | None, kind: str | None, limit: int
) -> list[RowMapping]:
    """The latest jobs in that state and of that kind, at most `limit`."""
    query = select(TABLE).order_by(QueuedJob.id.desc()).limit(limit)
    for column, wanted in ((QueuedJob.state, state), (QueuedJob.kind, kind)):
        if wanted:
            query = query.where(column == wanted)
    async with database.session() as session:
        return list((await session.execute(query)).mappings())


async def get(database: Database, job_id: int) -> RowMapping | None:
    """One job, or None when there is none, which is so when it is done."""
    query = select(TABLE).where(QueuedJob.id == job_id)
    async with database.session() as session:
        return (await session.execute(query)).mappings().one_or_none()


async def redrive(database: Database, *which: ColumnElement[bool]) -> int:
    """Have failed jobs tried again, with all their attempts before them; how many."""
    again = update(QueuedJob).values(state="ready", attempts=0, alone=False, due_at=func.now())
    return await _change(database, again.where(QueuedJob.state == "failed", *which))


async def purge(database: Database, *which: ColumnElement[bool]) -> int:
    """Delete failed jobs; how many."""
    return await _change(database, delete(QueuedJob).where(QueuedJob.state == "failed", *which))


async def _change(database: Database, change: Update | Delete) -> int:
    async with database.session() as session:
        result = await session.execute(change.execution_options(synchronize_session=False))
        assert isinstance(result, CursorResult)
        return result.rowcount


def _arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    listing = actions.add_parser("list", help="the latest jobs, failed ones unless told otherwise")
    listing.add_argument("--state", default="failed", choices=STATES, help="failed by default")
    listing.add_argument("--kind", help="only these")
    listing.add_argument("--limit", default=20, type=_limit, help=f"20 by default, at most {MOST}")
    showing = actions.add_parser("show", help="all about one job, its payload too")
    showing.add_argument("id", type=int)
    for name, does in (("redrive", "try failed jobs again"), ("purge", "delete failed jobs")):
        action = actions.add_parser(name, help=does)
        action.add_argument("id", type=int, nargs="*")
        action.add_argument("--all", action="store_true", help="all that failed")
        action.add_argument("--kind", help="with --all: of this kind only")


def _run(arguments: Namespace) -> int:
    if arguments.action in ("redrive", "purge") and not _says_which(arguments):
        print("Name the jobs by their ids, or say --all.", file=sys.stderr)
        return 1
    actions: dict[str, Callable[[Database, Namespace], Awaitable[int]]] = {
        "list": _list,
        "show": _show,
        "redrive": _redrive,
        "purge": _purge,
    }
    return asyncio.run(_connected(actions[arguments.action], arguments))


async def _connected(
    action: Callable[[Database, Namespace], Awaitable[int]], arguments: Namespace
) -> int:
    settings = load_settings([DatabaseSettings])[DatabaseSettings]
    assert isinstance(settings, DatabaseSettings)
    # one of the connections that are kept for people
    async with Database(settings.model_copy(update={"pool_min": 1, "pool_max": 1})) as database:
        return await action(database, arguments)


async def _list(database: Database, arguments: Namespace) -> int:
    state = None if arguments.state == "any" else arguments.state
    jobs = await find(database, state, arguments.kind, arguments.limit)
    for job in jobs:
        error = " ".join((job["error"] or "").split())[:WIDTH]
        attempts = f"{job['attempts']}/{job['max_attempts']}"
        print(f"{job['id']:>10}  {job['kind']:20} {job['state']:8} {attempts:>5}  {error}")
    print(f"{len(jobs)} shown", file=sys.stderr)
    return 0


async def _show(database: Database, arguments: Namespace) -> int:
    job = await get(database, arguments.id)
    if job is None:
        print(f"There is no job {arguments.id}: it is done, or never was.", file=sys.stderr)
        return 1
    for name in SHOWN:
        if job[name] is not None:
            print(f"{name:13} {job[name]}")
    print(f"{'payload':13} {msgspec.json.encode(job['payload']).decode()}")
    return 0


async def _redrive(database: Database, arguments: Namespace) -> int:
    return _changed(await redrive(database, *_which(arguments)), "ready again", arguments)


async def _purge(database: Database, arguments: Namespace) -> int:
    return _changed(await purge(database, *_which(arguments)), "deleted", arguments)


def _limit(text: str) -> int:
    limit = int(text)
    if not 1 <= limit <= MOST:
        raise ValueError
    return limit


def _says_which(arguments: Namespace) -> bool:
    if arguments.id:
        return not arguments.all and not arguments.kind
    return bool(arguments.all)


def _which(arguments: Namespace) -> list[ColumnElement[bool]]:
    if arguments.id:
        return [QueuedJob.id.in_(arguments.id)]
    return [QueuedJob.kind == arguments.kind] if arguments.kind else []


def _changed(count: int, what: str, arguments: Namespace) -> int:
    """All of none is all; of jobs that were named there should have been one."""
    print(f"{count} {what}")
    return 0 if count or arguments.all else 1


JOBS = Command(
    name="jobs",
    help="list, show, redrive and purge the jobs of the queue",
    run=_run,
    arguments=_arguments,
)
