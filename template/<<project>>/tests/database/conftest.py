"""A database with a small pool, somebody who watches the server, and private servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from time import perf_counter
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from app.database import Database
from app.database import DatabaseSettings
from app.settings import SettingsError
from dev import database as dev
from dev.servers import ServersError
from tests.database.private import MakeServer
from tests.database.private import PrivateServer

MIN, MAX = 2, 8
POOL = {"pool_min": MIN, "pool_max": MAX, "pool_idle_s": 0.5, "start_timeout_s": 1}


def settings(url: str, **changed: Any) -> DatabaseSettings:
    """Settings of a small pool."""
    return DatabaseSettings(**{"url": SecretStr(url), **POOL, **changed})


class Watch:
    """Somebody else's connection to the same server."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def count(self, where: str = "true") -> int:
        """The other connections to this database for which `where` holds."""
        found = await self.connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            f" AND backend_type = 'client backend' AND application_name = 'testee' AND {where}"
        )
        return int(found)

    async def becomes(self, wanted: int, where: str = "true", within_s: float = 5) -> None:
        """Wait until there are `wanted` such connections."""
        deadline = monotonic() + within_s
        while (found := await self.count(where)) != wanted:
            assert monotonic() < deadline, f"{found} connections ({where}), not {wanted}"
            await asyncio.sleep(0.05)

    async def busy(self, wanted: int) -> None:
        """Wait until `wanted` of them are at work or within a transaction."""
        await self.becomes(wanted, "state <> 'idle'")

    async def kill(self) -> int:
        """End the other connections."""
        killed = await self.connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'testee'"
        )
        return len(killed)

    async def whole(self, database: Database) -> None:
        """All connections can be had at the same time, nothing is open, and idle ones go again."""
        await self.busy(0)
        async with asyncio.timeout(10):
            held = [await database._acquire() for _ in range(MAX)]
            pids = [await one.fetchval("SELECT pg_backend_pid()") for one in held]
        assert len(set(pids)) == MAX == await self.count()
        for one in held:
            await database._pool.release(one)
        await self.becomes(MIN)

    async def rows(self) -> int:
        """The rows of `probe`."""
        return int(await self.connection.fetchval("SELECT count(*) FROM probe"))


async def refusal(url: str, **changed: Any) -> str:
    """The one sentence with which opening is refused, at once."""
    started = perf_counter()
    with pytest.raises(SettingsError) as caught:
        async with Database(settings(url, start_timeout_s=60, **changed)):
            pass
    assert perf_counter() - started < 10
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said


@pytest.fixture(autouse=True)
def _name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.database.open.NAME", "testee")


@pytest.fixture
async def watch(servers: dict[str, str]) -> AsyncIterator[Watch]:
    """A connection of its own, and the table `probe`."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute("DROP TABLE IF EXISTS probe; CREATE TABLE probe (n int PRIMARY KEY)")
    yield Watch(connection)
    await connection.execute("DROP TABLE probe")
    await connection.close()


@pytest.fixture
async def database(servers: dict[str, str], watch: Watch) -> AsyncIterator[Database]:
    """The database with a pool of 2 to 8 connections."""
    async with Database(settings(servers["DATABASE_URL"])) as database:
        yield database


@pytest.fixture
def private(tmp_path: Path) -> Iterator[MakeServer]:
    """Makes servers, and stops them in the end."""
    try:
        binaries = dev._installed() or dev._from_wheel()
    except ServersError as error:
        pytest.skip(str(error))
    made: list[PrivateServer] = []

    def make(*options: str) -> PrivateServer:
        folder = tmp_path / f"server{len(made)}"
        folder.mkdir()
        made.append(PrivateServer(binaries, folder, *options))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The warnings of the database pattern."""
    lines: list[dict[str, Any]] = []

    def warning(event: str, **values: Any) -> None:
        lines.append({"event": event, **values})

    for module in ("errors", "metrics", "open", "pool"):
        monkeypatch.setattr(f"app.database.{module}.log.warning", warning)
    return lines


@pytest.fixture
def server(private: MakeServer) -> PrivateServer:
    """A server with passwords."""
    server = private()
    server.start()
    return server
