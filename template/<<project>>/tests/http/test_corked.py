"""What is written in one turn of the event loop leaves in one write, whole."""

import asyncio

import pytest

from app.http.corked import MOST_WAITING
from app.http.corked import CorkedTransport

pytestmark = pytest.mark.anyio


class Written(asyncio.Transport):
    """Records each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def writelines(self, data: object) -> None:
        assert isinstance(data, list)
        self.writes.append(b"".join(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def test_what_is_written_in_one_turn_is_sent_together() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    corked.write(b"head")
    corked.write(b"body")
    assert transport.writes == []
    await asyncio.sleep(0)
    assert transport.writes == [b"headbody"]


async def test_the_next_turn_is_sent_apart_and_in_order() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    for part in (b"1", b"2", b"3"):
        corked.write(part)
        await asyncio.sleep(0)
    assert transport.writes == [b"1", b"2", b"3"]


async def test_closing_sends_what_is_left() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    corked.write(b"last words")
    corked.close()
    assert transport.writes == [b"last words"]
    assert corked.is_closing()
    await asyncio.sleep(0)
    assert transport.writes == [b"last words"]


async def test_an_empty_body_adds_nothing() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    corked.write(b"")
    await asyncio.sleep(0)
    assert transport.writes == []


async def test_a_stream_that_never_yields_is_not_collected_without_bound() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    for _ in range(10):
        corked.write(b"x" * (MOST_WAITING // 2 + 1))
    assert len(transport.writes) == 5
    await asyncio.sleep(0)
    assert sum(map(len, transport.writes)) == 10 * (MOST_WAITING // 2 + 1)


async def test_an_answer_for_a_client_that_is_gone_is_dropped() -> None:
    transport = Written()
    corked = CorkedTransport(transport)
    corked.write(b"too late")
    transport.close()
    await asyncio.sleep(0)
    assert transport.writes == []
