"""What is repeated, and what never is."""

from __future__ import annotations

import asyncio
from itertools import product
from time import monotonic

import pytest

from app.http_client import Upstream
from app.http_client import pauses
from app.http_client.errors import NoAnswer
from tests.http_client.conftest import Connect
from tests.http_client.conftest import measured
from tests.http_client.flaky import BROKEN
from tests.http_client.flaky import BUSY
from tests.http_client.flaky import OK
from tests.http_client.flaky import Flaky

pytestmark = pytest.mark.anyio

FAILURES = ["close", "reset", "half", "hang", BUSY]
KEY = {"Idempotency-Key": "one"}


def later(seconds: int, status: str = "429 Too Many Requests") -> bytes:
    """An answer that says when to come back."""
    return f"HTTP/1.1 {status}\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("method", "failure"),
    [
        (method, failure)
        for method, failure in product(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"], FAILURES)
        if (method, failure) != ("HEAD", "half")  # its answer has no body that could be cut
    ],
)
async def test_idempotent_requests_are_repeated(
    remote: Flaky, connect: Connect, method: str, failure: str | bytes
) -> None:
    remote.script = [failure, failure]
    remote.then = OK if method != "HEAD" else b"HTTP/1.1 200 OK\r\n\r\n"
    upstream = await connect(read_timeout_s=0.2)
    assert (await upstream.request(method)).status == 200
    assert [one.method for one in remote.received] == [method] * 3
    assert measured(upstream, "attempts_total") == 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("failure", FAILURES)
async def test_others_never_are(
    remote: Flaky, connect: Connect, method: str, failure: str | bytes
) -> None:
    upstream = await connect(read_timeout_s=0.2)
    for _ in range(4):  # on a connection that was used before, and on a new one
        remote.script = [OK, failure]
        before = len(remote.received)
        await upstream.request(method, json={})
        if isinstance(failure, bytes):
            assert (await upstream.request(method, json={})).status == 503
        else:
            with pytest.raises(NoAnswer):
                await upstream.request(method, json={})
        assert len(remote.received) == before + 2


@pytest.mark.parametrize("failure", FAILURES)
async def test_with_a_key_they_are(remote: Flaky, connect: Connect, failure: str | bytes) -> None:
    remote.script = [failure]
    upstream = await connect(read_timeout_s=0.2)
    assert (await upstream.request("POST", json={"n": 1}, headers=KEY)).status == 200
    assert [one.headers["idempotency-key"] for one in remote.received] == ["one", "one"]
    assert [one.headers["content-length"] for one in remote.received] == ["7", "7"]


@pytest.mark.parametrize("status", [b"400 Bad", b"404 Not Found", b"500 Broken", b"501 No"])
async def test_what_would_fail_again_is_not_repeated(
    remote: Flaky, connect: Connect, status: bytes
) -> None:
    remote.then = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"
    upstream = await connect()
    assert (await upstream.request("GET")).status == int(status[:3])
    assert len(remote.received) == 1


async def test_the_last_answer_is_the_answer(remote: Flaky, connect: Connect) -> None:
    remote.then = BUSY
    upstream = await connect(attempts=3)
    assert (await upstream.request("GET")).status == 503
    assert len(remote.received) == 3


async def test_retry_after_is_honoured(remote: Flaky, connect: Connect) -> None:
    remote.script = [later(1)]
    upstream = await connect()
    started = monotonic()
    assert (await upstream.request("GET")).status == 200
    assert 1 <= monotonic() - started < 4
    assert len(remote.received) == 2


@pytest.mark.parametrize("seconds", [2, 3600, 10**30])
async def test_not_past_the_deadline(remote: Flaky, connect: Connect, seconds: int) -> None:
    remote.then = later(seconds)
    upstream = await connect()
    started = monotonic()
    answer = await upstream.request("GET", deadline_s=1)
    assert monotonic() - started < 0.9, "nobody waits for what cannot come"
    assert (answer.status, answer.headers["retry-after"]) == (429, str(seconds))
    assert len(remote.received) == 1


@pytest.mark.parametrize("failure", ["close", "reset", BUSY, "refused"])
@pytest.mark.parametrize("ratio", [0.1, 0.0, 0.5])
async def test_no_retry_storm(
    remote: Flaky,
    connect: Connect,
    failure: str | bytes,
    ratio: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An outage with a breaker that cannot open: only the budget protects the upstream."""
    monkeypatch.setattr(pauses, "LONGEST_S", 0.02)
    upstream = await connect(
        "http://127.0.0.1:1" if failure == "refused" else "",
        retry_ratio=ratio,
        attempts=10,
        concurrency=8,
        pool_timeout_s=60,
        deadline_s=60,
    )
    upstream._breaker.admit = lambda: 0  # type: ignore[method-assign]
    await asyncio.gather(*(_calls(upstream, 5) for _ in range(8 if failure != "refused" else 0)))
    warm = len(remote.received)
    remote.then = failure
    ends = await asyncio.gather(*(_calls(upstream, 50) for _ in range(8)))
    assert {end for some in ends for end in some} <= {"unreachable", "503"}
    attempts, calls = measured(upstream, "attempts_total") - warm, 400
    allowed = calls * ratio + (10 if ratio else 0)
    assert calls + 0.8 * allowed <= attempts <= calls + allowed
    assert len(remote.received) - warm <= attempts, "aiohttp repeats nothing by itself"
    assert measured(upstream, "retries_denied_total") > 0


async def _calls(upstream: Upstream, number: int) -> list[str]:
    """Call one after the other; how they ended."""
    ends = []
    for _ in range(number):
        try:
            ends.append(str((await upstream.request("GET")).status))
        except NoAnswer as error:
            ends.append(error.outcome)
    return ends


async def test_an_outage_opens_the_circuit_and_its_end_closes_it(
    remote: Flaky, connect: Connect
) -> None:
    pause_s = 1.0  # at random half of it: what comes before its end has to be quick
    upstream = await connect(breaker_pause_s=pause_s, concurrency=50)
    remote.then = BROKEN
    for _ in range(10):
        assert (await upstream.request("GET")).status == 500
    assert measured(upstream, "breaker_state") == 2
    before = len(remote.received)
    refused = [await _refused(upstream) for _ in range(50)]
    assert refused == [1] * 50, "the route says when to come back"
    assert len(remote.received) == before, "nothing reaches it"

    await asyncio.sleep(pause_s)
    assert measured(upstream, "breaker_state") == 1, "also while nobody asks"
    remote.delay_s = 0.1
    results = await asyncio.gather(
        *(upstream.request("GET") for _ in range(50)), return_exceptions=True
    )
    assert len(remote.received) == before + 1, "one probe"
    assert sum(isinstance(one, NoAnswer) for one in results) == 49

    remote.then = OK
    await asyncio.sleep(2 * pause_s)  # the failed probe has doubled it
    assert (await upstream.request("GET")).status == 200
    assert measured(upstream, "breaker_state") == 0
    answers = await asyncio.gather(*(upstream.request("GET") for _ in range(50)))
    assert {answer.status for answer in answers} == {200}


async def _refused(upstream: Upstream) -> int:
    with pytest.raises(NoAnswer, match="left alone") as error:
        await upstream.request("GET")
    return error.value.retry_after


async def test_a_retry_meets_the_open_circuit_and_ends(remote: Flaky, connect: Connect) -> None:
    remote.then = BUSY
    upstream = await connect(attempts=10, deadline_s=60)
    for _ in range(8):
        await upstream.request("POST")
    before = len(remote.received)
    with pytest.raises(NoAnswer, match="left alone"):
        await upstream.request("GET")
    assert len(remote.received) == before + 2


async def test_dripping_past_the_deadline_opens_it_too(remote: Flaky, connect: Connect) -> None:
    remote.then = "drip"
    upstream = await connect(read_timeout_s=0.4)
    await asyncio.gather(
        *(upstream.request("GET", deadline_s=0.8) for _ in range(12)), return_exceptions=True
    )
    assert measured(upstream, "breaker_state") == 2


async def test_the_impatient_do_not_open_it(remote: Flaky, connect: Connect) -> None:
    """An upstream that is well, and callers who wait for less time than it needs."""
    remote.delay_s = 0.2
    upstream = await connect()
    await asyncio.gather(
        *(upstream.request("GET", deadline_s=0.05) for _ in range(12)), return_exceptions=True
    )
    assert measured(upstream, "calls_total", outcome="deadline") == 12
    assert measured(upstream, "breaker_state") == 0
    assert (await upstream.request("GET")).status == 200


async def test_no_retry_begins_with_next_to_nothing_left(
    remote: Flaky, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.http_client.upstream.LEAST_LEFT_S", 10)
    remote.then = BUSY
    upstream = await connect()
    assert (await upstream.request("GET", deadline_s=9)).status == 503
    assert len(remote.received) == 1


async def test_a_client_that_goes_away_is_not_the_upstreams_fault(
    remote: Flaky, connect: Connect
) -> None:
    remote.then = "hang"
    upstream = await connect()
    calls = [asyncio.create_task(upstream.request("GET")) for _ in range(15)]
    await remote.arrived(15)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert measured(upstream, "breaker_state") == 0
