"""DATABASE_PGBOUNCER: nothing is kept on a connection, for the next query may go to another."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from time import sleep

import pytest
from sqlalchemy import Integer
from sqlalchemy import bindparam
from sqlalchemy import insert
from sqlalchemy import literal_column
from sqlalchemy import select
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.database import Database
from app.database import Statement
from app.settings import SettingsError
from dev import database as dev
from dev.processes import Process
from dev.processes import free_port
from tests.database.conftest import settings
from tests.database.private import MakeServer
from tests.database.private import PrivateServer
from tests.database.statements import PROBE
from tests.database.statements import SLEEP
from tests.database.statements import WRITE

pytestmark = pytest.mark.anyio
TWO_CONNECTIONS = """
[databases]
postgres = host=127.0.0.1 port={server.port} user=embedded password={server.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = 2
unix_socket_dir =
"""


@pytest.fixture
def server(private: MakeServer) -> PrivateServer:
    """A server with the table `probe`, which says in its log what it is sent."""
    server = private("log_statement=all")
    server.start()
    return server


@pytest.fixture
def bouncer(server: PrivateServer, tmp_path: Path) -> Iterator[str]:
    """PgBouncer in front of it, with two connections for all; its URL."""
    binary = shutil.which("pgbouncer")
    if not binary:
        pytest.skip("there is no pgbouncer on this machine")
    port, file = free_port(), tmp_path / "pgbouncer.ini"
    file.write_text(TWO_CONNECTIONS.format(server=server, port=port))
    server.own(file)
    command = dev._as_owner(binary, file)
    with (tmp_path / "pgbouncer.log").open("w") as output:
        process = Process(command, stdout=output, stderr=output, cwd="/")
    deadline = monotonic() + 10
    while "process up" not in (tmp_path / "pgbouncer.log").read_text():
        assert monotonic() < deadline, (tmp_path / "pgbouncer.log").read_text()
        sleep(0.05)
    yield f"postgresql://anybody@127.0.0.1:{port}/postgres?sslmode=disable"
    process.stop()


async def everything(database: Database) -> None:
    """Statements and sessions of many kinds, many at the same time."""
    numbered = [
        Statement(
            f"test_numbered_{n}",
            select(PROBE.c.n, literal_column(str(n)).label("kind")).where(
                PROBE.c.n == bindparam("n")
            ),
        )
        for n in range(5)
    ]

    async def statement(n: int) -> None:
        await database.fetch(WRITE, n=n)
        row = await database.fetch_one(numbered[n % 5], n=n)
        assert row
        assert tuple(row) == (n, n % 5)

    async def session(n: int) -> None:
        async with database.session() as session:
            await session.execute(insert(PROBE).values(n=n))
            kind = literal_column(str(n % 5), Integer)
            row = await session.execute(select(PROBE.c.n, kind).where(PROBE.c.n == n))
            assert tuple(row.one()) == (n, n % 5)
            await session.execute(insert(PROBE), [{"n": 10_000 + 2 * n}, {"n": 10_001 + 2 * n}])

    async def refused(n: int) -> None:
        with pytest.raises(IntegrityError):
            async with database.session() as session:
                await session.execute(insert(PROBE).values(n=n))
                await session.execute(insert(PROBE).values(n=n))

    async with database.session() as made:
        await made.execute(text("CREATE TABLE probe (n int PRIMARY KEY)"))
    work = [statement(n) for n in range(100)]
    work += [session(n) for n in range(100, 200)]
    work += [refused(n) for n in range(200, 250)]
    await asyncio.gather(*work)
    cancelled = [asyncio.create_task(database.fetch(SLEEP, seconds=5.0)) for _ in range(8)]
    await asyncio.sleep(0.2)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
    async with database.session() as counting:
        assert await counting.scalar(text("SELECT count(*) FROM probe")) == 400
    await database.ping()


async def test_the_setting_works_with_a_plain_server(server: PrivateServer) -> None:
    async with Database(settings(server.url, pgbouncer=True)) as database:
        await everything(database)
    sent = server.statements()
    assert not [line for line in sent if "__asyncpg" in line]  # no statement had a name
    assert not [line for line in sent if "pg_advisory_unlock_all" in line]


async def test_everything_works_through_pgbouncer(bouncer: str) -> None:
    async with Database(settings(bouncer, pgbouncer=True)) as database:
        await everything(database)


async def test_without_the_setting_the_start_says_what_is_missing(bouncer: str) -> None:
    with pytest.raises(SettingsError, match="set DATABASE_PGBOUNCER"):
        async with Database(settings(bouncer, start_timeout_s=30)):
            pass
