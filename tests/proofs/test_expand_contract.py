"""A schema changes during a rollout: old and new code side by side, and nobody notices."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from .harness.fleet import Fleet
from .harness.fleet import fleet
from .harness.haproxy import balancer
from .harness.haproxy import find_haproxy
from .harness.load import Answer
from .harness.load import Load
from .harness.load import Request
from .harness.load import Tally
from .harness.load import get
from .harness.load import send
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.releases import BACKFILL
from .harness.releases import BEFORE
from .harness.releases import EXPANDED
from .harness.releases import MIGRATED
from .harness.releases import NOT_NULL
from .harness.releases import Release
from .harness.service import Service
from .harness.table import Table

INSTANCES, CLIENTS, PAUSE_S, NOTES = 2, 16, 0.1, 5_000
HELD_S = 6  # longer than a migration waits for a lock
SHORT = {"SHUTDOWN_DRAIN_S": "1.5"}
LOCK = "SELECT FROM notes LIMIT 1"
FILL = f"""
INSERT INTO notes (title, text) SELECT 'a note', 'note ' || n FROM generate_series(1, {NOTES}) n
"""
FORGET = r"DROP TABLE notes; DELETE FROM alembic_version WHERE version_num LIKE 'service\_%'"


class Notes:
    """Asks for notes and writes them; keeps what was acknowledged, and looks at every answer."""

    def __init__(self) -> None:
        self.made: dict[int, str] = {}
        self.changed: set[int] = set()

    def pick(self, random: Random) -> Request:
        """Reads and writes, by statements on the pool and by sessions."""
        dice, note = random.random(), random.randint(1, NOTES)
        if dice < 0.35:
            return get(f"/notes/{note}")
        if dice < 0.7:
            return get(f"/notes/{note}/session")
        if dice < 0.85:
            return send("POST", "/notes", {"text": f"new {random.random()}"})
        return send("PATCH", f"/notes/{note}", {"text": f"note {note} changed"})

    def check(self, request: Request, answer: Answer) -> str | None:
        """What is wrong with an answer, or None."""
        if answer.status not in (200, 201):
            return None  # is counted
        if request.method == "POST":
            self.made[answer.json["id"]] = Answer(0, {}, request.body).json["text"]
        elif request.method == "PATCH":
            self.changed.add(answer.json["id"])
        else:
            note = request.path.split("/")[2]
            if answer.json["text"] not in (f"note {note}", f"note {note} changed"):
                return f"{request.path} got {answer.json}"
        return None

    def assert_kept(self, postgres: Postgres, column: str) -> None:
        """Every note is as it was last written, or as it was before."""
        rows = postgres.sql(f"SELECT id, {column} FROM notes ORDER BY id").splitlines()
        there = {int(n): text for n, _, text in (row.partition("|") for row in rows)}
        changed = {n: f"note {n} changed" for n in self.changed}
        untouched = {n: f"note {n}" for n in range(1, NOTES + 1)}
        assert there == untouched | changed | self.made


@pytest.fixture
def haproxy() -> str:
    """The program."""
    return find_haproxy()


@pytest.fixture
def before(service: Service, postgres: Postgres, tmp_path: Path) -> Iterator[Release]:
    """The version from which it starts, and its tables; nothing of them is left behind."""
    release = Release(service, tmp_path / "before", BEFORE)
    assert "create_table" in release.revise("notes")
    release.migrate()
    postgres.sql(FILL)
    yield release
    postgres.sql(FORGET)


@contextmanager
def held(postgres: Postgres, seconds: float) -> Iterator[None]:
    """The table in use by a transaction that goes on for so long after somebody waits for it."""

    def hold() -> None:
        with postgres.locked(LOCK):
            taken.set()
            until(postgres.waiting, "somebody waits")
            time.sleep(seconds)

    taken = threading.Event()
    holding = threading.Thread(target=hold)
    holding.start()
    try:
        assert taken.wait(10)
        yield
    finally:
        holding.join()


def expand(release: Release) -> None:
    """A column that may be empty, and a type that becomes wider: results change their types."""
    text = release.revise("notes have a body")
    assert "add_column" in text
    assert "type_=sa.Text()" in text


def migrate(release: Release) -> None:
    """Everything moves to the new column, and it has to be there."""
    release.revise("all notes have a body", BACKFILL)
    release.revise("a note needs a body", NOT_NULL)


def contract(release: Release) -> None:
    """The old column goes."""
    assert "drop_column" in release.revise("notes have no text")


# A release each: its code, its revisions, and what of a note is there afterwards.
STEPS: dict[str, tuple[str, Callable[[Release], None], str]] = {
    "expand": (EXPANDED, expand, "coalesce(body, text)"),
    "migrate": (MIGRATED, migrate, "body"),
    "contract": (MIGRATED, contract, "body"),
}


def roll_out(deployed: Fleet, old: Release, release: Release, replaced: int) -> None:
    """Migrate first. Then the old version once more, as after a rollback; then the new one in so
    many places, beside the old one until the last is replaced."""
    release.migrate()
    said = old.migrate()
    assert "migration_skipped" in said
    assert "the database is newer" in said
    deployed.replace(old.service)
    for _ in range(replaced):
        deployed.replace(release.service)


@pytest.mark.parametrize(
    ("steps", "replaced"),
    [
        pytest.param(["expand"], 1, id="expand"),
        pytest.param(
            list(STEPS), INSTANCES, id="all", marks=[pytest.mark.slow, pytest.mark.timeout(600)]
        ),
    ],
)
def test_a_schema_changes_during_a_rollout(
    before: Release,
    postgres: Postgres,
    haproxy: str,
    work: Path,
    tmp_path: Path,
    table: Table,
    steps: list[str],
    replaced: int,
) -> None:
    async def under_load(deployed: Fleet) -> Tally:
        old = before
        ports, key = [deployed.balancer.port], before.service.key
        load = Load(ports, key, notes.pick, clients=CLIENTS, check=notes.check, pause=PAUSE_S)
        async with load:
            await asyncio.sleep(1)
            for step in steps:
                code, revise, _ = STEPS[step]
                new = Release(old.service, tmp_path / step, code)
                await asyncio.to_thread(revise, new)
                await asyncio.to_thread(roll_out, deployed, old, new, replaced)
                old = new
        return load.tally

    notes = Notes()
    with (
        balancer(work / f"haproxy-{len(steps)}-steps", haproxy, INSTANCES, 0.2) as balanced,
        fleet(balanced, before.service, **SHORT) as deployed,
    ):
        tally = asyncio.run(under_load(deployed))
    assert tally.failed == 0, f"{tally} {tally.wrong[:1]}"
    assert set(tally.outcomes) == {"200", "201"}
    notes.assert_kept(postgres, STEPS[steps[-1]][2])
    table.add(
        "A schema changes without anybody noticing",
        f"{', '.join(steps)}: migrated under load, old and new code side by side behind HAProxy, "
        "the old version started on the newer schema",
        f"{len(steps)} releases, {len(steps) * (replaced + 1)} processes replaced",
        f"0 of {tally.total:,} requests, 0 of {len(notes.made) + len(notes.changed):,} notes",
    )


@pytest.mark.slow
def test_a_migration_waits_for_a_long_transaction(
    before: Release, postgres: Postgres, tmp_path: Path, table: Table
) -> None:
    """It gives up soon, so that not everybody waits behind it, and tries again."""

    async def under_load(port: int) -> tuple[Tally, str]:
        load = Load([port], before.service.key, notes.pick, clients=32, check=notes.check)
        async with load:
            with held(postgres, HELD_S):
                said = await asyncio.to_thread(release.migrate)
        return load.tally, said

    notes, release = Notes(), Release(before.service, tmp_path / "expand", EXPANDED)
    expand(release)
    with before.service.processes(1) as (api,):
        tally, said = asyncio.run(under_load(api.port))
        why = [*api.events("request_failed"), *api.events("database_unavailable")][:2]
    assert "migration_postponed" in said
    assert tally.failed == 0, f"{tally} {tally.wrong[:1]} {why}"
    notes.assert_kept(postgres, "coalesce(body, text)")
    table.add(
        "A schema changes without anybody noticing",
        f"a migration that needs a table which a transaction holds for {HELD_S} s, 32 busy clients",
        f"postponed, then done; the slowest answer after {tally.slowest_s:.1f} s",
        f"0 of {tally.total:,}",
    )
