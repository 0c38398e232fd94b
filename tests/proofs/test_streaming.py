"""A file of a million rows needs no more memory than one of a thousand, whoever is at the other end."""

from __future__ import annotations

import contextlib
import csv
import http.client
import io
import json
import signal
import socket
import time
import zlib
from collections.abc import Iterator
from gzip import GzipFile

import pytest

from .harness.memory import growth
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.service import Api
from .harness.service import Service
from .harness.table import Table

PATH = "/items.csv"
ROWS, MOST_MB = 1_000_000, 50
MANY = 400_000  # of which no client that reads nothing has everything on its way
NOW = 5.0  # within which nobody works for a client that has left
FILLED = f"""
    INSERT INTO items (name, price, description)
    SELECT 'Item ' || n, n, repeat('words ', 20) FROM generate_series(1, {MANY}) n
"""
WORKING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE usename = 'app' AND (xact_start IS NOT NULL OR state <> 'idle')
"""
RESTING = """
    SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'
    AND state = 'idle in transaction' AND clock_timestamp() - state_change > interval '3 seconds'
"""
SUMS = "count(*), sum(price)::bigint, sum(length(name)), sum(length(description))"


@pytest.fixture
def before(service: Service, postgres: Postgres) -> Iterator[str]:
    """A condition that holds for the items of the test, which are gone after it."""
    newest = postgres.sql("SELECT coalesce(max(id), 0) FROM items")
    yield f"id > {newest}"
    postgres.sql(f"DELETE FROM items WHERE id > {newest}")
    postgres.sql("VACUUM items")


@pytest.fixture
def many(before: str, postgres: Postgres) -> int:
    """A large table; how many rows it has."""
    postgres.sql(FILLED)
    return int(postgres.sql("SELECT count(*) FROM items"))


def row(number: int) -> tuple[str, int, str]:
    """Rows with all that makes CSV hard: quotes, line ends, other alphabets, formulas."""
    kind = ("words, words", 'a "quote"', "two\nlines", "=1+1", "žluťoučký 馬 🐎")[number % 5]
    return f"{kind} {number}", number % 1000, kind * 5


def written(rows: int) -> Iterator[bytes]:
    """The file, in parts that end anywhere; never all of it in memory."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["name", "price", "description"])
    for number in range(rows):
        name, price, description = row(number)
        apostrophe = "'" if name[0] == "=" else ""
        writer.writerow([apostrophe + name, price, apostrophe + description])
        if text.tell() > 50_000:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def packed(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same in gzip."""
    gzip = zlib.compressobj(1, wbits=31)
    for part in parts:
        if data := gzip.compress(part):
            yield data
    yield gzip.flush()


def imported(api: Api, key: str, rows: int, *, gzip: bool) -> dict[str, object]:
    """What the service answers to a file of so many rows."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/csv"}
    body = written(rows)
    if gzip:
        headers["Content-Encoding"], body = "gzip", packed(body)
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=250)
    connection.request("POST", PATH, body, headers, encode_chunked=True)
    answer = connection.getresponse()
    document = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, document
    return dict(document)


def exported(api: Api, key: str, *, gzip: bool) -> tuple[int, int, int, int]:
    """The sums over what the service exports, read row by row."""
    headers = {"Authorization": f"Bearer {key}", "Accept-Encoding": "gzip" if gzip else "identity"}
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=250)
    connection.request("GET", PATH, headers=headers)
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Content-Encoding")) == (200, "gzip" if gzip else None)
    file = io.TextIOWrapper(GzipFile(fileobj=answer) if gzip else answer, "utf-8", newline="")
    count = prices = names = descriptions = 0
    for item in csv.DictReader(file):
        protected = item["name"].startswith("'=")
        count += 1
        prices += int(float(item["price"]))
        names += len(item["name"]) - protected
        descriptions += len(item["description"]) - protected
    connection.close()
    return count, prices, names, descriptions


@pytest.mark.slow
@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_a_million_rows(
    service: Service, postgres: Postgres, table: Table, before: str, gzip: bool
) -> None:
    kind = "gzip" if gzip else "plain"
    postgres.sql("DELETE FROM items")  # those of other proofs have texts that an export protects
    # files have their own time: the deadline of other requests is not theirs
    with service.processes(1, BACKPRESSURE_DEADLINE_S="3") as (api,):
        for _ in range(3):
            imported(api, service.key, 5_000, gzip=gzip)
            exported(api, service.key, gzip=gzip)
        postgres.sql(f"DELETE FROM items WHERE {before}")
        with growth(api.process.pid) as coming:
            begun = time.monotonic()
            answer = imported(api, service.key, ROWS, gzip=gzip)
            in_s = time.monotonic() - begun
        assert answer == {"imported": ROWS, "skipped": 0, "errors": []}
        expected = [row(number) for number in range(ROWS)]
        sums = [len(expected), sum(r[1] for r in expected)]
        sums += [sum(len(r[0]) for r in expected), sum(len(r[2]) for r in expected)]
        del expected
        stored = postgres.sql(f"SELECT {SUMS} FROM items WHERE {before}")
        assert stored == "|".join(map(str, sums))
        with growth(api.process.pid) as going:
            begun = time.monotonic()
            found = exported(api, service.key, gzip=gzip)
            out_s = time.monotonic() - begun
        assert postgres.sql(f"SELECT {SUMS} FROM items") == "|".join(map(str, found))
    assert coming.megabytes < MOST_MB
    assert going.megabytes < MOST_MB
    assert min(coming.samples, going.samples) > 50
    table.add(
        f"A CSV file of a million rows grows the process by less than {MOST_MB} MB",
        f"{kind}: {ROWS:,} rows in, then out; RSS looked at {coming.samples + going.samples:,} times",
        f"in {coming.megabytes:.1f} MB, {ROWS / in_s:,.0f} rows/s; "
        f"out {going.megabytes:.1f} MB, {ROWS / out_s:,.0f} rows/s",
        "0 rows",
    )


def asking(api: Api, key: str, buffer: int | None = None) -> socket.socket:
    """A client that has asked for the file, and read the first part."""
    client = socket.socket()
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect(("127.0.0.1", api.port))
    client.settimeout(60)
    head = f"GET {PATH} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {key}\r\n\r\n"
    client.sendall(head.encode())
    assert client.recv(1024).startswith(b"HTTP/1.1 200")
    return client


def working(postgres: Postgres) -> int:
    """How many connections of the service are within a transaction."""
    return int(postgres.sql(WORKING))


def rest_of(client: socket.socket) -> bytes:
    """The last bytes that come before the connection ends."""
    last = b""
    try:
        while data := client.recv(1_000_000):
            last = (last + data)[-10:]
    except ConnectionError:
        pass
    return last


def test_a_client_that_leaves_stops_its_query(
    service: Service, postgres: Postgres, table: Table, many: int
) -> None:
    times, longest = 10, 0.0
    with service.processes(1) as (api,):
        for number in range(times):
            client = asking(api, service.key)
            for _ in range(number):
                client.recv(100_000)
            assert working(postgres) == 1
            client.close()
            longest = max(longest, until(lambda: working(postgres) == 0, "it stops", NOW))
        assert api.metric("streaming_active_streams") == 0
        assert api.probe("/readyz")[0] == 200
    table.add(
        "A client that leaves stops its query",
        f"an export of {many:,} rows left at {times} places; pg_stat_activity",
        f"{times} times, {longest:.2f} s at most",
        "0 queries left",
    )


def test_a_client_that_does_not_read_stops_the_reading(
    service: Service, postgres: Postgres, table: Table, many: int
) -> None:
    held_s, stall_s = 6, 10
    with service.processes(1, STREAMING_STALL_S=str(stall_s), STREAMING_CONCURRENCY="2") as (api,):
        asking(api, service.key).close()
        until(lambda: working(postgres) == 0, "it stops", NOW)
        with growth(api.process.pid) as seen:
            slow = [asking(api, service.key, buffer=4096) for _ in range(2)]
            begun = time.monotonic()
            with pytest.raises(AssertionError, match="503"):
                exported_status(api, service.key)
            while time.monotonic() - begun < held_s:
                assert working(postgres) == 2, "the query ran on without its reader"
                time.sleep(0.5)
        assert postgres.sql(RESTING) == "2"
        until(lambda: working(postgres) == 0, "it is given up", stall_s + NOW)
        took = time.monotonic() - begun
        ends = [rest_of(client) for client in slow]
        assert not any(end.endswith(b"0\r\n\r\n") for end in ends), "half a file passed for a whole"
        assert seen.megabytes < 10
        assert exported_status(api, service.key) == 200
    table.add(
        "Who does not read stops the query, and is cut off",
        f"2 clients that read 1 KB of {many:,} rows, STREAMING_STALL_S={stall_s}",
        f"RSS + {seen.megabytes:.1f} MB, cut after {took:.1f} s, place and connection free again",
        "0 of 2 took it for a whole file",
    )


def exported_status(api: Api, key: str) -> int:
    """The status of an export that is read to its end."""
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=60)
    connection.request("GET", PATH, headers={"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    while answer.read(1_000_000):
        pass
    connection.close()
    assert answer.status == 200, answer.status
    return answer.status


def test_an_upload_that_breaks_off_leaves_nothing(
    service: Service, postgres: Postgres, table: Table, before: str
) -> None:
    times = 10
    file = b"".join(written(20_000))
    with service.processes(1) as (api,):
        for number in range(times):
            client = socket.create_connection(("127.0.0.1", api.port))
            head = f"POST {PATH}?on_error=skip HTTP/1.1\r\nHost: here\r\nContent-Type: text/csv\r\n"
            head += f"Authorization: Bearer {service.key}\r\nContent-Length: {len(file)}\r\n\r\n"
            client.sendall(head.encode() + file[: len(file) * (number + 1) // (times + 1)])
            until(lambda: working(postgres) == 1, "it has begun", NOW)
            client.close()
            until(lambda: working(postgres) == 0, "it is undone", NOW)
        assert postgres.sql(f"SELECT count(*) FROM items WHERE {before}") == "0"
        assert api.metric("streaming_rows_total", direction="import") == 0
    table.add(
        "An upload that breaks off leaves nothing",
        "closed at ten places of 20,000 rows, on_error=skip",
        f"{times} times",
        "0 rows committed",
    )


def test_a_shutdown_does_not_wait_for_ever(
    service: Service, postgres: Postgres, table: Table, many: int
) -> None:
    force_s = 8
    short = {"SHUTDOWN_FORCE_S": str(force_s), "BACKPRESSURE_DEADLINE_S": str(force_s - 1)}
    with service.processes(1, **short) as (api,):
        client = asking(api, service.key, buffer=4096)
        client.settimeout(0.05)
        api.process.send(signal.SIGTERM)
        begun = time.monotonic()
        last = b""
        while time.monotonic() - begun < force_s and api.process.exit_code is None:
            with contextlib.suppress(OSError):
                last = client.recv(512) or last
            time.sleep(0.02)
        code = api.process.wait(force_s)
        took = time.monotonic() - begun
        assert not last.endswith(b"0\r\n\r\n")
        assert working(postgres) == 0
        assert (code, took < force_s) == (0, True), api.process.tail()
    table.add(
        "SIGTERM: a file has half of the time that is left, then it is cut off",
        f"an export of {many:,} rows to a slow reader, SHUTDOWN_FORCE_S={force_s}",
        f"exit code 0 after {took:.1f} s",
        "0 queries left",
    )
