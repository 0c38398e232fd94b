"""Jobs for the service that leave a row behind when they begin and when they end."""

from __future__ import annotations

from pathlib import Path

from .postgres import Postgres
from .service import Service

# Run in the service's folder and environment: the service itself, with one pattern more.
CODE = """\
import asyncio, os, signal, sys

import msgspec
from sqlalchemy import text

from app import commands
from app.database import Database
from app.pattern import Command
from app.pattern import Pattern
from app.patterns import PATTERNS
from app.queue import Handler
from app.queue import Kind
from app.queue import Queue
from app.service import Service


class Work(msgspec.Struct):
    n: int
    seconds: float
    kills: bool = False


WORK = Kind("work", Work)
EFFECT = text("INSERT INTO effects (n, what) VALUES (:n, :what)")


def handlers(service):
    database = service.get(Database)

    async def leave(n, what):
        async with database.session() as session:
            await session.execute(EFFECT, {"n": n, "what": what})

    async def run(job):
        work = job.payload
        await leave(work.n, "begun")
        if work.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(work.seconds)
        await leave(work.n, "done")

    return [Handler(kind=WORK, run=run)]


def inside(do):
    def run(arguments):
        async def main():
            service = Service(PATTERNS)
            async with service.running():
                await do(service.get(Database), service.get(Queue), arguments)

        asyncio.run(main())
        return 0

    return run


async def enqueue(database, queue, arguments):
    for n in range(arguments.count):
        await queue.enqueue(WORK, Work(n, arguments.seconds))
    if arguments.poison:
        await queue.enqueue(WORK, Work(-1, 0, kills=True), priority=1)


async def roll_back(database, queue, arguments):
    for flushed_before in (False, True):
        try:
            async with database.session() as session:
                if flushed_before:
                    await session.execute(EFFECT, {"n": 0, "what": "flushed"})
                    await session.flush()
                await queue.enqueue(WORK, Work(0, 0), session=session)
                await session.execute(EFFECT, {"n": 0, "what": "flushed"})
                raise LookupError
        except LookupError:
            pass


def arguments(parser):
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.25)
    parser.add_argument("--poison", action="store_true")


PATTERNS.append(
    Pattern(
        name="proof",
        jobs=handlers,
        commands=(
            Command(name="enqueue", help="", run=inside(enqueue), arguments=arguments),
            Command(name="roll-back", help="", run=inside(roll_back)),
        ),
    )
)
sys.exit(commands.main())
"""
TABLE = """
DROP TABLE IF EXISTS effects;
CREATE TABLE effects (id serial PRIMARY KEY, n int, what text);
ALTER TABLE effects OWNER TO app;
TRUNCATE queue_jobs
"""


class Jobs:
    """The service with those jobs, and what has become of them."""

    def __init__(self, service: Service, postgres: Postgres, folder: Path) -> None:
        self.service, self._postgres = service, postgres
        self.script = folder / "with_jobs.py"
        self.script.write_text(CODE)
        postgres.sql(TABLE)

    def enqueue(self, count: int, *, seconds: float = 0.25, poison: bool = False) -> None:
        """Put jobs in, numbered from 0; the poisonous one is -1, and goes first."""
        more = ["--poison"] if poison else []
        options = ["--count", str(count), "--seconds", str(seconds), *more]
        self.service.run("enqueue", *options, script=self.script)

    def _count(self, query: str) -> int:
        return int(self._postgres.sql(query))

    def begun(self, n: int | None = None) -> int:
        """How many attempts were begun, of one job or of all."""
        which = "" if n is None else f" AND n = {n}"
        return self._count(f"SELECT count(*) FROM effects WHERE what = 'begun'{which}")

    def done(self) -> int:
        """How many jobs were done."""
        return self._count("SELECT count(DISTINCT n) FROM effects WHERE what = 'done'")

    def done_again(self) -> int:
        """How often a job was done that had been done before."""
        return self._count("SELECT count(*) FROM effects WHERE what = 'done'") - self.done()

    def in_flight(self) -> int:
        """How many attempts were begun and not ended."""
        return self.begun() - self._count("SELECT count(*) FROM effects WHERE what = 'done'")

    def running(self) -> int:
        """How many jobs are being done, as the queue knows it."""
        return self._count("SELECT count(*) FROM queue_jobs WHERE state = 'running'")

    def only_failed(self) -> int:
        """How many jobs have failed for good, when there are no others in the queue; else 0."""
        state, _, count = self.states().partition(" ")
        return int(count) if state == "failed" and count.isdigit() else 0

    def states(self) -> str:
        """What is still in the queue: how many of each state."""
        return self._postgres.sql(
            "SELECT coalesce(string_agg(state || ' ' || jobs, ', ' ORDER BY state), 'nothing') FROM"
            " (SELECT state, count(*) AS jobs FROM queue_jobs GROUP BY state) AS s"
        )
