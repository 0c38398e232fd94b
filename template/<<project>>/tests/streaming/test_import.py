"""A file is in the table as a whole, without its bad rows, or not at all."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from prometheus_client import REGISTRY

from app.streaming import importing
from app.streaming.rows import MOST_TOLD
from tests.http.asgi import call
from tests.streaming.conftest import CSV
from tests.streaming.conftest import HEAD
from tests.streaming.conftest import MakeShop
from tests.streaming.conftest import Shop

pytestmark = pytest.mark.anyio

GZIP = (b"content-encoding", b"gzip")
MANY = 3 * importing.BATCH + 17


def rows(count: int, price: str = "1") -> bytes:
    """So many good rows."""
    return b"".join(b"thing %d,%b\n" % (n, price.encode()) for n in range(count))


def counted(name: str, **labels: str) -> float:
    """The present value of a metric."""
    return REGISTRY.get_sample_value(f"streaming_{name}", labels) or 0


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("count", [0, 1, importing.BATCH, MANY])
async def test_all_rows_are_in_the_table(shop: Shop, count: int, skip: bool) -> None:
    before = counted("rows_total", direction="import")
    file = HEAD + rows(count)
    answer = await shop.post(file[:1000], file[1000:1001], file[1001:], skip=skip)
    assert (answer.status, answer.json()) == (200, [count, []])
    assert sorted(await shop.rows()) == sorted((f"thing {n}", 1.0) for n in range(count))
    assert counted("rows_total", direction="import") == before + count


async def test_a_compressed_file_is_the_same(shop: Shop) -> None:
    file = gzip.compress(HEAD + rows(MANY))
    answer = await shop.post(file[:9], file[9:], headers=[CSV, GZIP])
    assert answer.json() == [MANY, []]
    assert len(await shop.rows()) == MANY


async def test_what_looks_like_a_formula_comes_back_as_it_was(shop: Shop) -> None:
    names = ["=1", "'=1", "''-1", "'tis", "+", "@x"]
    await shop.table.executemany(
        "INSERT INTO things (name, price) VALUES ($1, 1)", [[n] for n in names]
    )
    file = (await shop.get()).body
    assert b"\n'=1,1.0\n''=1,1.0\n'''-1,1.0\n'tis,1.0\n'+,1.0\n'@x,1.0\n" in file
    await shop.table.execute("TRUNCATE things")
    assert (await shop.post(file)).json() == [6, []]
    assert [name for name, _ in await shop.rows()] == names


async def test_one_bad_row_undoes_all_and_the_others_are_told_too(shop: Shop) -> None:
    before = counted("bad_rows_total")
    file = HEAD + rows(MANY) + b"hat,x\nbag,1\nbox,y\n"
    answer = await shop.post(file, b"pen,z")
    assert answer.status == 422
    assert answer.json()["bad"] == 3
    first = MANY + 2
    assert [one["line"] for one in answer.json()["errors"]] == [first, first + 2, first + 3]
    assert await shop.rows() == []
    assert counted("bad_rows_total") == before + 3


async def test_bad_rows_are_skipped_when_asked(shop: Shop) -> None:
    file = HEAD + b"hat,x\n" + rows(MANY) + b"bag,y\n"
    answer = await shop.post(file, skip=True)
    imported, bad = answer.json()
    assert (answer.status, imported) == (200, MANY)
    assert [one["line"] for one in bad] == [2, MANY + 3]
    assert len(await shop.rows()) == MANY


async def test_a_row_that_the_database_refuses_is_found(shop: Shop) -> None:
    file = HEAD + rows(MANY) + b"thing 7,1\n" + b"dear,1000\n" + b"hat,1\n"
    answer = await shop.post(file)
    assert answer.status == 422
    told = [
        {"line": MANY + 2, "problem": "The database refuses it: once."},
        {"line": MANY + 3, "problem": "The database refuses it: cheap."},
    ]
    assert answer.json()["errors"] == told
    assert await shop.rows() == []
    assert (await shop.post(file, skip=True)).json() == [MANY + 1, told]
    assert len(await shop.rows()) == MANY + 1


async def test_of_many_bad_rows_some_are_told_and_the_rest_is_not_read(shop: Shop) -> None:
    parts = [HEAD + b"hat,x\n" * MOST_TOLD, b"hat,x\n" * 50, b"hat,x\n" * 50]
    answer = await shop.post(*parts)
    assert (len(answer.json()["errors"]), answer.json()["bad"]) == (MOST_TOLD, MOST_TOLD)
    imported, told = (await shop.post(*parts, b"bag,1\n", skip=True)).json()
    assert (imported, len(told)) == (1, MOST_TOLD)


async def test_bad_rows_that_are_skipped_have_an_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MOST_BAD", 200)
    file = HEAD + rows(MANY)
    answer = await shop.post(file, b"x\n" * 200, b"hat,1\n", skip=True)
    assert answer.json()[0] == MANY + 1
    answer = await shop.post(file, b"x\n" * 201, b"bag,1\n", skip=True)
    assert (answer.status, answer.json()["detail"]) == (422, "Bad rows: over 200.")
    assert len(await shop.rows()) == MANY + 1


async def test_why_nothing_was_imported_is_told_also_when_rows_are_not(shop: Shop) -> None:
    answer = await shop.post(HEAD + b"x\n" * MOST_TOLD + b'"hat', skip=True)
    detail = f"Line {MOST_TOLD + 2}: A quote is opened and never closed."
    assert (answer.status, answer.json()["detail"]) == (422, detail)
    assert (await shop.post(HEAD + b"x\n")).json()["detail"] == "Bad rows: 1 or more."


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    ("end", "line"), [(b'"hat,1\n', MANY + 2), (b"x" * 70_000, MANY + 2)], ids=["open", "long"]
)
async def test_what_cannot_be_read_to_its_end_is_not_imported(
    shop: Shop, end: bytes, line: int, skip: bool
) -> None:
    answer = await shop.post(HEAD + rows(MANY), end, skip=skip)
    assert answer.status == 422
    assert [one["line"] for one in answer.json()["errors"]] == [line]
    assert await shop.rows() == []


@pytest.mark.parametrize("skip", [False, True])
async def test_a_body_that_ends_early_leaves_nothing(shop: Shop, skip: bool) -> None:
    packed = gzip.compress(HEAD + rows(MANY))
    answer = await shop.post(packed[:-5], headers=[CSV, GZIP], skip=skip)
    assert (answer.status, answer.json()["detail"]) == (400, "The gzip of the body ends early.")
    async with shop.connected() as (_, writer):
        file = HEAD + rows(MANY)
        writer.write(b"POST /things.csv?skip=%d HTTP/1.1\r\nHost: here\r\n" % skip)
        writer.write(b"Content-Type: text/csv\r\nContent-Length: %d\r\n\r\n" % (len(file) + 1))
        writer.write(file)
        await shop.becomes(1)
        writer.close()
        await shop.becomes(0)
    assert await shop.rows() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 415),
        ([(b"content-type", b"application/json")], 415),
        ([(b"content-type", b"text/csv; charset=latin1")], 415),
        ([(b"content-type", b'TEXT/CSV; header=present; charset="UTF-8"')], 200),
        ([CSV, (b"content-encoding", b"br")], 415),
        ([CSV, (b"content-encoding", b"gzip, gzip")], 415),
        ([CSV, (b"content-encoding", b"identity")], 200),
        ([CSV, GZIP], 400),
    ],
)
async def test_what_is_no_csv_is_refused(
    shop: Shop, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    answer = await shop.post(HEAD, headers=headers)
    assert answer.status == status
    if status == 415:
        assert answer.values("connection") == ["close"]


async def test_the_size_is_bounded_before_gzip_and_after(make_shop: MakeShop) -> None:
    shop = make_shop(import_bytes=100_000)
    bomb = gzip.compress(HEAD + rows(20_000))
    answer = await shop.post(bomb, headers=[CSV, GZIP], skip=True)
    assert (answer.status, answer.json()["detail"]) == (413, "At most 100000 bytes are imported.")
    answer = await shop.post(HEAD, rows(4_000), rows(4_000))
    assert (answer.status, answer.json()["detail"][:8]) == (413, "The body")
    declared = [CSV, (b"content-length", b"100001")]
    assert (await call(shop.app, "POST", "/things.csv", declared)).status == 413
    assert await shop.rows() == []


async def test_other_bodies_are_as_small_as_before(shop: Shop) -> None:
    declared = [(b"content-length", b"101")]
    assert (await call(shop.app, "POST", "/other", declared)).status == 413
    assert (await call(shop.app, "POST", "/things.csv/", declared)).status == 413


async def test_a_client_that_sends_nothing_is_not_waited_for(make_shop: MakeShop) -> None:
    shop = make_shop(stall_s=0.3)
    async with shop.connected() as (reader, writer):
        writer.write(b"POST /things.csv HTTP/1.1\r\nHost: here\r\nContent-Type: text/csv\r\n")
        writer.write(b"Content-Length: 1000\r\n\r\n" + HEAD)
        await shop.becomes(1)
        assert await asyncio.wait_for(reader.readline(), 5) == b"HTTP/1.1 408 Request Timeout\r\n"
        await shop.becomes(0)


async def test_a_place_is_needed_and_given_back(make_shop: MakeShop) -> None:
    shop = make_shop(places=1)
    async with shop.streams.place("export", {}):
        for answer in (await shop.post(HEAD), await shop.get()):
            assert (answer.status, answer.values("retry-after")) == (503, ["5"])
    for _ in range(3):
        assert (await shop.post(HEAD + b"hat,x\n")).status == 422
        assert (await shop.post(HEAD)).status == 200
    assert counted("active_streams", direction="import") == 0
