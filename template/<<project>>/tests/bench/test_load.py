"""The arrivals, against a server that answers as a test wants."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest

from dev.bench.client import Client
from dev.bench.load import BROKEN_OFF
from dev.bench.load import TIMEOUT
from dev.bench.load import UNREACHABLE
from dev.bench.load import Arrivals
from dev.bench.load import Result
from dev.bench.objectives import Load
from dev.bench.objectives import Route
from dev.processes import free_port

pytestmark = pytest.mark.anyio

type Answer = Callable[[str], Awaitable[bytes]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ROUTE = Route(method="GET", path="/things", share=1, p99_ms=1000, errors=0)


class Server:
    """What has come in: the first lines of requests, their heads, and how many connections."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.connections = 0
        self.url = ""


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    """A server that sends what `answer` gives for a head; nothing: it closes."""
    seen = Server()
    clients: set[asyncio.StreamWriter] = set()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        clients.add(writer)
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                seen.heads.append(head)
                if "Content-Length" in head:
                    length = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
                    await reader.readexactly(length)
                if not (sent := await answer(head)):
                    break
                writer.write(sent)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            clients.discard(writer)
            writer.close()

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    async with server:
        seen.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield seen
        for client in clients:
            client.close()


async def load(url: str, *routes: Route, rate: float = 100, **more: float) -> Result:
    """Half a second of it, unless `more` says otherwise."""
    asked = Load.model_validate({"rate": rate, "duration_s": 0.5, "warm_up_s": 0, **more})
    return await Arrivals(Client(url, "secret"), asked, list(routes or [ROUTE])).run()


async def ok(_: str) -> bytes:
    return OK


async def test_every_request_is_sent_with_the_key_and_connections_are_used_again() -> None:
    async with serving(ok) as server:
        result = await load(server.url, rate=50)
    assert [sample.status for sample in result.samples] == [200] * 25
    assert all("GET /things HTTP/1.1\r\n" in head for head in server.heads)
    assert all("Authorization: Bearer secret\r\n" in head for head in server.heads)
    assert server.connections < 25


async def test_the_warm_up_is_sent_and_not_counted() -> None:
    async with serving(ok) as server:
        result = await load(server.url, warm_up_s=0.2)
    assert len(server.heads) == 70
    assert sorted(sample.sequence for sample in result.samples) == list(range(50))


async def test_a_service_that_hangs_does_not_hold_the_others_back() -> None:
    """It answers none until all have come: who waits for an answer never sends the second one."""
    come = asyncio.Event()
    expected = 50

    async def hang(_: str) -> bytes:
        if len(server.heads) == expected:
            come.set()
        await come.wait()
        return OK

    async with serving(hang) as server:
        result = await load(server.url)
    assert [sample.status for sample in result.samples] == [200] * expected
    [first] = [sample for sample in result.samples if sample.sequence == 0]
    assert first.took > 0.48  # it waited for the last one, which was due at 0.49


async def test_latency_counts_from_when_a_request_was_due() -> None:
    """Also when this process was late with it: it stands still for a moment."""

    async def stop_all(_: str) -> bytes:
        if len(server.heads) == 1:
            time.sleep(0.3)  # noqa: ASYNC251
        return OK

    async with serving(stop_all) as server:
        result = await load(server.url)
    late = [sample for sample in result.samples if sample.late > 0.1]
    assert len(late) > 5
    assert all(sample.took > sample.late for sample in late)


async def test_routes_are_asked_by_their_shares() -> None:
    rare = ROUTE.model_copy(update={"path": "/rare", "share": 1})
    often = ROUTE.model_copy(update={"path": "/often", "share": 9})
    async with serving(ok) as server:
        result = await load(server.url, rare, often, rate=1000)
    count = Counter(sample.route for sample in result.samples)
    assert count.total() == 500
    assert 25 < count[0] < 75


async def test_a_body_is_sent() -> None:
    route = Route(method="POST", path="/things", share=1, body="{}", p99_ms=1, errors=0)
    async with serving(ok) as server:
        result = await load(server.url, route, rate=10)
    assert [sample.status for sample in result.samples] == [200] * 5
    lines = server.heads[0].splitlines()
    assert {"Content-Type: application/json", "Content-Length: 2"} <= set(lines)


@pytest.mark.parametrize(
    "answer",
    [b"", OK[:-1], b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"],
)
async def test_no_whole_answer_is_none(answer: bytes) -> None:
    async def part(_: str) -> bytes:
        return answer

    async with serving(part) as server:
        result = await load(server.url, rate=10, timeout_s=0.2)
    assert {sample.status for sample in result.samples} <= {BROKEN_OFF, TIMEOUT}
    assert len(result.samples) == 5


async def test_a_connection_that_is_to_close_is_not_used_again() -> None:
    async def last(_: str) -> bytes:
        return OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    async with serving(last) as server:
        result = await load(server.url, rate=10)
    assert [sample.status for sample in result.samples] == [200] * 5
    assert server.connections == 5


async def test_interim_answers_are_passed_over() -> None:
    async def hinted(_: str) -> bytes:
        return b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK

    async with serving(hinted) as server:
        result = await load(server.url, rate=10)
    assert [sample.status for sample in result.samples] == [200] * 5


async def test_nobody_there_is_no_connection() -> None:
    result = await load(f"http://127.0.0.1:{free_port()}", rate=10)
    assert [sample.status for sample in result.samples] == [UNREACHABLE] * 5


async def test_a_rate_out_of_reach_ends_soon_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dev.bench.load.HOPELESS_S", 0.2)
    async with serving(ok) as server:
        result = await load(server.url, rate=100_000, duration_s=600)
    assert result.problem
    assert not result.samples
