"""The example's items as a file, through the whole service."""

import gzip

import httpx2
import pytest

pytestmark = pytest.mark.anyio

CSV = {"Content-Type": "text/csv"}
FILE = b'name,price,description\nA hat,12.5,"red,\nof felt"\n\'=1+1,1,\n'


async def test_in_and_out(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/items.csv", content=FILE, headers=CSV)
    assert answer.status_code == 200
    assert answer.json() == {"imported": 2, "skipped": 0, "errors": []}
    shown = (await client.get("/items")).json()["data"]
    assert {item["name"] for item in shown} == {"A hat", "=1+1"}
    file = (await client.get("/items.csv")).text
    head, first, second, third, end = file.split("\n")
    assert head == "id,name,price,description,created_at"
    assert first.partition(",")[2] == 'A hat,12.5,"red,'
    assert second.startswith('of felt",2')
    assert third.partition(",")[2].startswith("'=1+1,1.0,,2")
    assert (third[-1], end) == ("Z", "")


async def test_a_file_goes_back_in_as_it_came_out(client: httpx2.AsyncClient) -> None:
    await client.post("/items.csv", content=FILE, headers=CSV)
    file = (await client.get("/items.csv")).content
    answer = await client.post("/items.csv", content=file, headers=CSV)
    assert answer.json() == {"imported": 2, "skipped": 0, "errors": []}
    items = (await client.get("/items")).json()["data"]
    assert len({item["id"] for item in items}) == 4
    shown = [(item["name"], item["price"], item["description"]) for item in items]
    assert sorted(shown) == sorted([("A hat", 12.5, "red,\nof felt"), ("=1+1", 1, "")] * 2)


async def test_a_wrong_header_is_told_as_such(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/items.csv", content=b"title,price\nhat,1\n", headers=CSV)
    known = "Known are name, price, description."
    detail = f"Nothing was imported. Line 1: Unknown columns: title. {known}"
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)


async def test_gzip_both_ways(client: httpx2.AsyncClient) -> None:
    """The compression of other answers leaves it alone: it is gzip once."""
    many = FILE + b"Thing,1,words\n" * 5000
    headers = {**CSV, "Content-Encoding": "gzip"}
    answer = await client.post("/items.csv", content=gzip.compress(many), headers=headers)
    assert answer.json()["imported"] == 5002
    async with client.stream("GET", "/items.csv") as asked:
        assert asked.headers["content-encoding"] == "gzip"
        assert asked.headers["vary"] == "Accept-Encoding"
        raw = b"".join([part async for part in asked.aiter_raw()])
    async with client.stream("GET", "/items.csv", headers={"Accept-Encoding": "zstd"}) as asked:
        assert "content-encoding" not in asked.headers
        plain = b"".join([part async for part in asked.aiter_raw()])
    assert gzip.decompress(raw) == plain
    assert plain.count(b"\n") == 5004


async def test_bad_rows(client: httpx2.AsyncClient) -> None:
    file = FILE + b"A bag,-1,\nA box,2,x\n"
    answer = await client.post("/items.csv", content=file, headers=CSV)
    told = [{"line": 5, "problem": "price: Input should be greater than or equal to 0"}]
    assert (answer.status_code, answer.json()["errors"]) == (422, told)
    assert (await client.get("/items")).json()["data"] == []
    answer = await client.post("/items.csv?on_error=skip", content=file, headers=CSV)
    assert answer.json() == {"imported": 3, "skipped": 1, "errors": told}
    answer = await client.post("/items.csv?on_error=ignore", content=file, headers=CSV)
    assert answer.status_code == 422


async def test_it_may_be_larger_than_other_bodies(client: httpx2.AsyncClient) -> None:
    large = FILE + b"Thing,1," + b"x" * 10_000 + b"\n" + (b"Thing,1," + b"y" * 9_000 + b"\n") * 150
    assert len(large) > 1_048_576
    answer = await client.post("/items.csv", content=large, headers=CSV)
    assert answer.json()["imported"] == 153
    assert (await client.post("/items", content=large, headers=CSV)).status_code == 413


@pytest.fixture
def public_reads(servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads need no key."""
    monkeypatch.setenv("AUTH_PUBLIC_READS", "true")


async def test_a_file_needs_a_key_even_so(
    public_reads: None, anonymous: httpx2.AsyncClient
) -> None:
    assert (await anonymous.get("/items")).status_code == 200
    assert (await anonymous.get("/items.csv")).status_code == 401
    assert (await anonymous.post("/items.csv", content=FILE, headers=CSV)).status_code == 401
