"""A file goes out as fast as it is read; half of one never passes for a whole."""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections.abc import AsyncIterator

import asyncpg
import pytest
from structlog.testing import capture_logs

from tests.streaming.conftest import MakeShop
from tests.streaming.conftest import Shop

pytestmark = pytest.mark.anyio

GET = b"GET /things.csv%b HTTP/1.1\r\nHost: here\r\n\r\n"
MUCH = 300_000  # rows; more than all buffers on the way hold
GZIP = (b"accept-encoding", b"gzip")


async def test_the_rows_are_there(shop: Shop) -> None:
    names = ["a", 'a "b"', "a,b", "a\nb", "žluť 🐎", "", "\\N"]
    await shop.table.executemany(
        "INSERT INTO things (name, price) VALUES ($1, $2)",
        [(n, i / 3) for i, n in enumerate(names)],
    )
    answer = await shop.get()
    assert answer.status == 200
    assert answer.values("content-type") == ["text/csv; charset=utf-8; header=present"]
    assert answer.values("content-disposition") == ['attachment; filename="things.csv"']
    assert answer.values("vary") == ["Accept-Encoding"]
    assert parsed(answer.body) == [
        ["name", "price"],
        *([n, repr(i / 3)] for i, n in enumerate(names)),
    ]


def parsed(file: bytes) -> list[list[str]]:
    """The rows of a file, with numbers as Python writes them."""
    head, *rows = csv.reader(file.decode().splitlines(keepends=True))
    return [head, *([name, repr(float(price))] for name, price in rows)]


async def test_an_empty_table_has_a_header(shop: Shop) -> None:
    assert (await shop.get()).body == b"name,price\n"


async def test_a_value_reaches_the_query(shop: Shop) -> None:
    await shop.fill(10)

    async with shop.connected() as (reader, writer):
        writer.write(GET % b"?least=8e-9")
        assert await rest_of_answer(reader) == 4


async def test_a_client_that_takes_gzip_gets_it(shop: Shop) -> None:
    await shop.fill(5000)
    plain, packed = await shop.get(), await shop.get(GZIP)
    assert packed.values("content-encoding") == ["gzip"]
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 5


async def test_an_error_before_the_first_row_is_an_answer(shop: Shop) -> None:
    await shop.table.execute("ALTER TABLE things RENAME TO away")
    try:
        with capture_logs() as logs:
            answer = await shop.get()
    finally:
        await shop.table.execute("ALTER TABLE away RENAME TO things")
    assert answer.status == 500
    assert answer.values("content-type") == ["application/problem+json"]
    assert "request_failed" in [line["event"] for line in logs]
    assert (await shop.get()).status == 200


async def started(shop: Shop, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A client that has asked, and read the beginning."""
    writer.write(GET % b"")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert await shop.at_work() == 1


async def rest(reader: asyncio.StreamReader) -> bytes:
    """The last bytes before the connection ends, in whatever way."""
    last = b""
    try:
        while data := await asyncio.wait_for(reader.read(1_000_000), 10):
            last = (last + data)[-5:]
    except ConnectionError:
        pass
    return last


@pytest.fixture
async def large(make_shop: MakeShop) -> AsyncIterator[Shop]:
    """A shop with many rows."""
    shop = make_shop()
    await shop.fill(MUCH)
    yield shop


async def test_a_whole_file_says_so(large: Shop) -> None:
    async with large.connected() as (reader, writer):
        await started(large, reader, writer)
        assert await rest_of_answer(reader) == MUCH + 1
    await large.becomes(0)


async def rest_of_answer(reader: asyncio.StreamReader) -> int:
    """The line ends of a chunked body that must be whole."""
    while await reader.readline() != b"\r\n":
        pass
    lines = 0
    while size := int(await reader.readline(), 16):
        lines += (await reader.readexactly(size + 2))[:-2].count(b"\n")
    return lines


async def test_an_error_amid_the_rows_cuts_the_connection(large: Shop) -> None:
    async with large.connected() as (reader, writer):
        await started(large, reader, writer)
        with capture_logs() as logs:
            await large.table.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'shop' AND xact_start IS NOT NULL"
            )
            assert not (await rest(reader)).endswith(b"0\r\n\r\n")
        assert "export_cut_off" in [line["event"] for line in logs]
    assert (await large.get()).body.count(b"\n") == MUCH + 1


async def test_a_client_that_leaves_stops_the_query(large: Shop) -> None:
    async with large.connected() as (reader, writer):
        await started(large, reader, writer)
        writer.transport.abort()
        await large.becomes(0)
    async with large.connected() as (reader, writer):
        await started(large, reader, writer)
        writer.close()
        await large.becomes(0)


async def waits(table: asyncpg.Connection) -> str | None:
    """What the query has been for a second."""
    found: str | None = await table.fetchval(
        "SELECT state FROM pg_stat_activity"
        " WHERE application_name = 'shop' AND xact_start IS NOT NULL"
        " AND clock_timestamp() - state_change > interval '1 second'"
    )
    return found


async def test_a_client_that_does_not_read_stops_the_reading(make_shop: MakeShop) -> None:
    shop = make_shop(stall_s=5)
    await shop.fill(MUCH)
    async with shop.connected() as (reader, writer):
        await started(shop, reader, writer)
        with capture_logs() as logs:
            async with asyncio.timeout(4):
                while await waits(shop.table) != "idle in transaction":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert not logs
            await shop.becomes(0, within_s=10)
        assert "client_stalled" in [line["event"] for line in logs]
        assert not (await rest(reader)).endswith(b"0\r\n\r\n")


async def test_a_file_that_takes_too_long_is_cut_off(make_shop: MakeShop) -> None:
    shop = make_shop(timeout_s=0.5)
    await shop.fill(MUCH)
    async with shop.connected() as (reader, writer):
        await started(shop, reader, writer)
        await shop.becomes(0)
        assert not (await rest(reader)).endswith(b"0\r\n\r\n")


async def test_a_shutdown_leaves_half_of_its_time(make_shop: MakeShop) -> None:
    shop = make_shop(seconds_left=1)
    await shop.fill(MUCH)
    async with shop.connected() as (reader, writer):
        await started(shop, reader, writer)
        shop.streams.hurry()
        await asyncio.sleep(0.2)
        assert await shop.at_work() == 1
        await shop.becomes(0, within_s=2)
        assert not (await rest(reader)).endswith(b"0\r\n\r\n")


async def test_what_comes_after_a_cut_is_not_in_its_way(large: Shop) -> None:
    """A connection of the pool that was in the middle of a COPY is as good as new, or replaced."""
    for _ in range(5):
        async with large.connected() as (reader, writer):
            await started(large, reader, writer)
            writer.transport.abort()
            await large.becomes(0)
        database = large.streams.database
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(database.ping())
