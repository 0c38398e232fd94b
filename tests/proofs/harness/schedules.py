"""Schedules for the service whose jobs leave a row behind, and zones whose clocks change soon."""

from __future__ import annotations

import os
import struct
from datetime import UTC
from datetime import datetime
from pathlib import Path

from .postgres import Postgres
from .service import Service

# Run in the service's folder and environment: the service itself, with one pattern more.
CODE = """\
import json, os, signal, sys
from datetime import datetime

import msgspec
from sqlalchemy import text

from app import commands
from app.database import Database
from app.pattern import Pattern
from app.patterns import PATTERNS
from app.queue import Handler
from app.queue import Kind
from app.scheduler import CatchUp
from app.scheduler import Overlap
from app.scheduler import Schedule


class Tick(msgspec.Struct):
    schedule: str
    at: datetime


TICK = Kind("proof_tick", Tick)
RUN = text("INSERT INTO runs (schedule, at) VALUES (:schedule, :at)")
DIES_IN = os.environ.get("DIES_IN")
made = 0


def handlers(service):
    database = service.get(Database)

    async def run(job):
        async with database.session() as session:
            tick = job.payload
            await session.execute(RUN, {"schedule": tick.schedule, "at": tick.at})

    return [Handler(kind=TICK, run=run)]


def payload(name):
    def make(at):
        # the row is locked, and nothing is committed
        global made
        made += 1
        if made == int(DIES_IN or 0):
            os.kill(os.getpid(), signal.SIGKILL)
        return Tick(name, at)

    return make


def schedules(service):
    return [
        Schedule(
            name, cron, TICK, payload(name), zone=zone,
            catch_up=CatchUp.ALL, most=1000, overlap=Overlap.ALLOW,
        )
        for name, (cron, zone) in json.loads(os.environ["PROOF_SCHEDULES"]).items()
    ]


PATTERNS.append(Pattern(name="proof", jobs=handlers, schedules=schedules))
sys.exit(commands.main())
"""
TABLE = """
DROP TABLE IF EXISTS runs;
CREATE TABLE runs (id serial PRIMARY KEY, schedule text, at timestamptz, ran_at timestamptz DEFAULT now());
ALTER TABLE runs OWNER TO app;
TRUNCATE queue_jobs, schedules
"""


class Schedules:
    """The service with schedules, and what has become of their ticks."""

    def __init__(self, service: Service, postgres: Postgres, folder: Path) -> None:
        self.service, self._postgres = service, postgres
        self.script = folder / "with_schedules.py"
        self.script.write_text(CODE)
        postgres.sql(TABLE)

    def runs(self, schedule: str) -> list[int]:
        """The ticks that were run, as Unix times, the earliest first."""
        found = self._postgres.sql(
            f"SELECT extract(epoch FROM at)::bigint FROM runs WHERE schedule = '{schedule}'"
            " ORDER BY at"
        )
        return [int(line) for line in found.split()]

    def latest(self) -> float:
        """By how many seconds a job was done after its tick, at most."""
        return float(self._postgres.sql("SELECT extract(epoch FROM max(ran_at - at)) FROM runs"))

    def next(self, schedule: str) -> int:
        """The next tick."""
        query = (
            f"SELECT extract(epoch FROM next_at)::bigint FROM schedules WHERE name = '{schedule}'"
        )
        return int(self._postgres.sql(query))

    def queued(self) -> int:
        """How many jobs nobody has done yet."""
        return int(self._postgres.sql("SELECT count(*) FROM queue_jobs"))


def zone_that_changes(folder: Path, name: str, at: int, before: int, after: int) -> dict[str, str]:
    """Add a zone whose clock goes from one offset to another at that Unix time; both in seconds.

    The environment that makes it known to Python. The file is as RFC 8536 has it.
    """
    header = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 1, 2, 8)
    kinds = struct.pack(">lbB", before, 0, 0) + struct.pack(">lbB", after, 1, 4)
    names = b"OLD\0NEW\0"
    first = header + struct.pack(">lB", at, 1) + kinds + names
    second = header + struct.pack(">qB", at, 1) + kinds + names + b"\n\n"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(first + second)
    return {"PYTHONTZPATH": os.pathsep.join([str(folder), "/usr/share/zoneinfo"])}


def at_second(moment: int, offset: int) -> str:
    """The cron expression of what the clock shows then, once a day, where it is that far off UTC."""
    local = datetime.fromtimestamp(moment + offset, UTC)
    return f"{local.second} {local.minute} {local.hour} * * *"
