"""Redis away or unwilling: each process admits its share, and nobody gets an error."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Scope

from app.auth import Principal
from app.rate_limit import Policy
from app.rate_limit.local import CELLS
from app.rate_limit.local import MOST_SENDERS
from app.rate_limit.local import LocalLogs
from tests.rate_limit.conftest import StartProcess
from tests.rate_limit.conftest import decisions
from tests.redis.private import PrivateRedis
from tests.redis.private import free_port

pytestmark = pytest.mark.anyio

ACME: Scope = {"principal": Principal("key:acme", "standard", frozenset())}


@pytest.mark.parametrize(("limit", "replicas", "share"), [(100, 3, 33), (5, 5, 1), (2, 3, 1)])
async def test_with_redis_away_a_process_admits_its_share(
    start: StartProcess, limit: int, replicas: int, share: int
) -> None:
    process = await start(
        f"redis://127.0.0.1:{free_port()}/0", tiers=f"standard:{limit}", replicas=replicas
    )
    before = decisions("admitted", "process"), decisions("refused", "process")
    answers = [await process.limits.admit(ACME) for _ in range(limit + 1)]
    assert [one.remaining for one in answers[:share]] == [*range(share - 1, -1, -1)]
    assert not any(one.admitted for one in answers[share:])
    after = decisions("admitted", "process"), decisions("refused", "process")
    assert after == (before[0] + share, before[1] + limit + 1 - share)


async def test_when_redis_is_back_it_decides_again(
    start: StartProcess, private: PrivateRedis
) -> None:
    first, second = [await start(private.url, tiers="standard:6", replicas=2) for _ in range(2)]
    both = (first, second)
    assert [(await one.limits.admit(ACME)).remaining for one in both] == [5, 4]
    private.kill()
    answers = [await one.limits.admit(ACME) for one in both for _ in range(4)]
    assert [one.admitted for one in answers] == ([True] * 3 + [False]) * 2
    private.start()  # it has forgotten everything
    for one in both:
        async with asyncio.timeout(5):
            await one.redis.until_available()
    answers = [await one.limits.admit(ACME) for one in both for _ in range(4)]
    assert [one.remaining for one in answers] == [5, 4, 3, 2, 1, 0, -1, -1]


@pytest.mark.parametrize("wrong", ["full", "forbidden", "another kind"])
async def test_a_redis_that_refuses_is_as_one_that_is_away(
    start: StartProcess, private: PrivateRedis, wrong: str
) -> None:
    process = await start(private.url, tiers="standard:4", replicas=2)
    if wrong == "full":
        await process.redis.execute("CONFIG", "SET", "maxmemory", "1")
    elif wrong == "forbidden":
        await process.redis.execute("ACL", "SETUSER", "default", "-rpush")
    else:
        await process.redis.execute("SET", f"{process.prefix}:key:acme", "text")
    answers = [await process.limits.admit(ACME) for _ in range(3)]
    assert [one.admitted for one in answers] == [True, True, False]
    assert process.redis.available


async def test_what_a_process_keeps_is_bounded() -> None:
    logs, policy = LocalLogs(1), Policy("policy", 10**15 - 1, 1)
    for number in range(MOST_SENDERS + 50):
        logs.admit(policy, f"address:{number}")
    assert len(logs._logs) == MOST_SENDERS
    assert "address:49" not in logs._logs
    assert "address:50" in logs._logs


async def test_who_is_heard_of_is_not_forgotten() -> None:
    logs, policy = LocalLogs(1), Policy("policy", 1, 900)
    logs.admit(policy, "key:acme")
    for number in range(2 * MOST_SENDERS):
        logs.admit(policy, f"address:{number}")
        if number % 1000 == 0:
            assert logs.admit(policy, "key:acme")[0] == -1


async def test_the_runs_of_one_sender_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    logs, policy = LocalLogs(1), Policy("policy", 10**15 - 1, 1)
    for at in range(0, 3_000_000_000, 1_234_567):
        monkeypatch.setattr("app.rate_limit.local.monotonic_ns", lambda now=at: now)
        logs.admit(policy, "key:acme")
        assert len(logs._logs["key:acme"]) <= CELLS + 2
