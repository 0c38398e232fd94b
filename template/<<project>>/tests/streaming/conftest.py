"""An application that exports and imports a table of its own, and a client that writes bytes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import asyncpg
import pytest
from fastapi import APIRouter
from fastapi import FastAPI
from fastapi import Request
from fastapi import Response
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import SecretStr
from sqlalchemy import Column
from sqlalchemy import Double
from sqlalchemy import Integer
from sqlalchemy import MetaData
from sqlalchemy import Table
from sqlalchemy import Text
from sqlalchemy import bindparam
from sqlalchemy import select
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.database import Database
from app.database import DatabaseSettings
from app.database import Statement
from app.http import errors
from app.http.edge import BodyBound
from app.http.edge import Edge
from app.http.errors import problem_response
from app.server import listening
from app.settings import CoreSettings
from app.settings import Environment
from app.streaming import BadFile
from app.streaming import CsvExport
from app.streaming import CsvImport
from app.streaming import protected
from app.streaming.settings import StreamingSettings
from app.streaming.streams import Streams
from tests.http.asgi import Answer
from tests.http.asgi import call

CSV = (b"content-type", b"text/csv")
HEAD = b"name,price\n"

THINGS = Table(
    "things", MetaData(), Column("id", Integer), Column("name", Text), Column("price", Double)
)
_EXPORT = Statement(
    "things_export",
    select(protected(THINGS.c.name), THINGS.c.price)
    .where(THINGS.c.price >= bindparam("least", type_=Double))
    .order_by(THINGS.c.id),
)


class Thing(BaseModel):
    """A row."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    price: float = Field(ge=0, allow_inf_nan=False)


async def write(connection: asyncpg.Connection, things: Sequence[Thing]) -> None:
    """Make rows in one statement."""
    await connection.execute(
        "INSERT INTO things (name, price) SELECT * FROM unnest($1::text[], $2::float8[])",
        [thing.name for thing in things],
        [thing.price for thing in things],
    )


def application(streams: Streams) -> FastAPI:
    """The two routes."""
    api = FastAPI()
    errors.install(api)
    _add_routes(api.router, streams)
    return api


def _add_routes(api: APIRouter, streams: Streams) -> None:
    @api.get("/things.csv", response_class=CsvExport)
    async def export(request: Request, least: float = 0) -> Response:
        return CsvExport(streams, request, _EXPORT, "things.csv", least=least)

    @api.post("/things.csv", response_model=None)
    async def load(request: Request, skip: bool = False) -> Response:
        loading = CsvImport(streams, "things_import", Thing, write)
        try:
            imported, bad = await loading.run(request, skip=skip)
        except BadFile as error:
            return problem_response(422, str(error), errors=error.bad.told, bad=error.bad.count)
        return Response(json.dumps([imported, bad.told]))


@dataclass
class Shop:
    """The application, its table as others see it, and the places for files."""

    streams: Streams
    table: asyncpg.Connection

    @property
    def app(self) -> Edge:
        """The application within the edge."""
        settings = self.streams.settings
        bounds = {"/things.csv": BodyBound(settings.import_bytes, settings.timeout_s)}
        core = CoreSettings(environment=Environment.TEST, max_body_bytes=100)
        return Edge(application(self.streams), core, bounds)

    async def get(self, *headers: tuple[bytes, bytes]) -> Answer:
        """Export."""

        async def app(scope: Scope, _: Receive, send: Send) -> None:
            await self.app(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]

        return await call(app, path="/things.csv", headers=headers)

    async def post(
        self, *parts: bytes, skip: bool = False, headers: Sequence[tuple[bytes, bytes]] = (CSV,)
    ) -> Answer:
        """Import what comes in these parts."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["query_string"] = b"skip=1" if skip else b""
            await self.app(scope, receive, send)

        chunked = (b"transfer-encoding", b"chunked")
        return await call(app, "POST", "/things.csv", [*headers, chunked], parts)

    async def rows(self) -> list[tuple[str, float]]:
        """What the table holds."""
        return [tuple(row) for row in await self.table.fetch("SELECT name, price FROM things")]

    async def fill(self, rows: int) -> None:
        """Put so many rows in."""
        await self.table.execute(
            "INSERT INTO things (name, price)"
            " SELECT 'thing ' || n || repeat('.', 80), n / 1e9 FROM generate_series(1, $1) n",
            rows,
        )

    async def at_work(self) -> int:
        """How many connections of the application are within a transaction."""
        return int(
            await self.table.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'shop' AND xact_start IS NOT NULL"
            )
        )

    async def becomes(self, wanted: int, within_s: float = 5) -> None:
        """Wait until so many are."""
        deadline = monotonic() + within_s
        while (found := await self.at_work()) != wanted:
            assert monotonic() < deadline, f"{found} at work, not {wanted}"
            await asyncio.sleep(0.02)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A client on a real connection, which reads no more than it is told to."""
        async with listening(self.app, "127.0.0.1", 0, 5) as server:
            port = server.servers[0].sockets[0].getsockname()[1]
            slow = socket.socket()
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", port))
            slow.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=slow, limit=4096)
            try:
                yield reader, writer
            finally:
                writer.close()


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """uvloop, as in production: in asyncio of 3.13.0 `writelines` never asks to pause."""
    return "asyncio", {"use_uvloop": True}


type MakeShop = Callable[..., Shop]


@pytest.fixture
async def make_shop(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> AsyncIterator[MakeShop]:
    """Makes shops with other settings, over the same table."""
    monkeypatch.setattr("app.database.open.NAME", "shop")
    table = await asyncpg.connect(servers["DATABASE_URL"])
    await table.execute(
        "CREATE TABLE things (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,"
        " name text NOT NULL CONSTRAINT once UNIQUE,"
        " price float8 NOT NULL CONSTRAINT cheap CHECK (price < 1000))"
    )
    settings = DatabaseSettings(url=SecretStr(servers["DATABASE_URL"]), pool_min=1, pool_max=4)
    async with Database(settings) as database:

        def make(seconds_left: float = 30, places: int = 2, **changed: Any) -> Shop:
            chosen = StreamingSettings(**changed)
            return Shop(Streams(database, chosen, places, lambda: seconds_left), table)

        yield make
    await table.execute("DROP TABLE things")
    await table.close()


@pytest.fixture
def shop(make_shop: MakeShop) -> Shop:
    """A shop."""
    return make_shop()
