"""What a process decides together with the others."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from starlette.types import Scope

from app.auth import Principal
from tests.rate_limit.conftest import StartProcess
from tests.rate_limit.conftest import decisions

pytestmark = pytest.mark.anyio

SMALL = {"tiers": "standard:3,premium:5", "anonymous": 2}


def of(name: str, tier: str = "standard") -> Scope:
    """A request of a principal."""
    return {"principal": Principal(f"key:{name}", tier, frozenset({"read"}))}


def from_address(host: str) -> Scope:
    """A request of nobody in particular."""
    return {"client": (host, 5000)}


async def test_processes_admit_exactly_the_limit_together(start: StartProcess) -> None:
    processes = [await start(tiers="standard:100") for _ in range(3)]
    asked = [one.limits.admit(of("acme")) for one in processes for _ in range(50)]
    answers = await asyncio.gather(*asked)
    assert Counter(one.admitted for one in answers) == {True: 100, False: 50}
    assert sorted(one.remaining for one in answers if one.admitted) == [*range(100)]


@pytest.mark.parametrize(
    ("tier", "limit"), [("standard", 3), ("premium", 5), ("never-heard-of", 3)]
)
async def test_a_principal_has_the_limit_of_its_tier(
    start: StartProcess, tier: str, limit: int
) -> None:
    limits = (await start(**SMALL)).limits
    answers = [await limits.admit(of("acme", tier)) for _ in range(limit + 2)]
    assert [one.admitted for one in answers] == [True] * limit + [False] * 2
    assert {one.policy.limit for one in answers} == {limit}


async def test_senders_do_not_share(start: StartProcess) -> None:
    limits = (await start(tiers="standard:1", anonymous=1)).limits
    senders = [of("a"), of("b"), from_address("192.0.2.1"), from_address("192.0.2.2")]
    token: Scope = {"principal": Principal("jwt:a", "standard", frozenset())}
    senders += [token, from_address("2001:db8::1"), from_address("2001:db8:0:1::1")]
    for expected in (True, False):
        answers = [await limits.admit(sender) for sender in senders]
        assert [one.admitted for one in answers] == [expected] * len(senders)


async def test_a_principal_has_one_log_whatever_its_tier(start: StartProcess) -> None:
    limits = (await start(**SMALL)).limits
    assert [(await limits.admit(of("acme", "premium"))).remaining for _ in range(4)] == [4, 3, 2, 1]
    assert not (await limits.admit(of("acme", "standard"))).admitted
    assert (await limits.admit(of("acme", "premium"))).remaining == 0


async def test_who_waits_as_long_as_it_is_told_gets_in(start: StartProcess) -> None:
    """In real time, and over two processes."""
    first, second = [await start(tiers="standard:2", window_s=1) for _ in range(2)]
    assert (await first.limits.admit(of("acme"))).admitted
    await asyncio.sleep(0.3)
    assert (await second.limits.admit(of("acme"))).admitted
    refused = await first.limits.admit(of("acme"))
    assert not refused.admitted
    assert refused.wait_s == 1
    assert refused.wait_us <= 700_000
    await asyncio.sleep(refused.wait_us / 1e6)
    assert (await second.limits.admit(of("acme"))).admitted
    assert not (await first.limits.admit(of("acme"))).admitted


async def test_what_nobody_uses_is_gone(start: StartProcess) -> None:
    process = await start(tiers="standard:5", window_s=1)
    await process.limits.admit(of("acme"))
    await process.limits.admit(of("acme"))
    lives_ms = await process.redis.execute("PTTL", f"{process.prefix}:key:acme")
    assert 0 < lives_ms <= 1001  # a window, and what is less than a millisecond


async def test_any_text_is_somebody(start: StartProcess) -> None:
    limits = (await start(tiers="standard:1")).limits
    for subject in ("\ud800", "ü", "a b\r\nc", "x" * 255, "{a}{b}", "*"):
        sender: Scope = {"principal": Principal(f"jwt:{subject}", "standard", frozenset())}
        assert [(await limits.admit(sender)).admitted for _ in range(2)] == [True, False]


async def test_decisions_are_counted(start: StartProcess) -> None:
    limits = (await start(tiers="standard:1")).limits
    before = decisions("admitted", "redis"), decisions("refused", "redis")
    for _ in range(3):
        await limits.admit(of("acme"))
    after = decisions("admitted", "redis"), decisions("refused", "redis")
    assert after == (before[0] + 1, before[1] + 2)
