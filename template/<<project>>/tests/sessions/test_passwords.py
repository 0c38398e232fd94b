"""Passwords are hashed off the event loop, a bounded number at a time."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from app.http.errors import Unavailable
from app.sessions import Passwords
from app.sessions import SessionsSettings
from app.sessions.passwords import MOST_WAITING

pytestmark = pytest.mark.anyio


def settings(**changed: int) -> SessionsSettings:
    cheap: dict[str, Any] = {"argon2_memory_kib": 64, "argon2_passes": 1, "argon2_lanes": 1}
    return SessionsSettings(**{**cheap, **changed})


async def test_a_password_is_known_again_and_no_other_is() -> None:
    async with Passwords(settings()) as passwords:
        stored = await passwords.hash("correct horse")
        assert stored.startswith("$argon2id$v=19$m=64,t=1,p=1$")
        assert "horse" not in stored
        assert await passwords.verify(stored, "correct horse")
        for other in ("", "correct hors", "correct horse ", "Correct horse"):
            assert not await passwords.verify(stored, other)
        assert stored != await passwords.hash("correct horse")


async def test_letters_may_be_composed_either_way() -> None:
    async with Passwords(settings()) as passwords:
        assert await passwords.verify(await passwords.hash("caf\u00e9"), "cafe\u0301")


async def test_nobody_has_a_password_and_what_is_no_hash_is_none() -> None:
    async with Passwords(settings()) as passwords:
        for stored in (None, "", "$argon2id$nonsense", "plain"):
            assert not await passwords.verify(stored, "")


async def test_for_nobody_the_same_is_done_as_for_somebody() -> None:
    """The library is asked to verify a hash with the same parameters."""
    seen: list[str] = []
    async with Passwords(settings(argon2_memory_kib=128, argon2_passes=2)) as passwords:
        hasher = passwords._hasher

        def watched(stored: str, password: bytes) -> Any:
            seen.append(stored)
            return hasher.verify(stored, password)

        replaced: Any = SimpleNamespace(hash=hasher.hash, verify=watched)
        passwords._hasher = replaced
        await passwords.verify(await passwords.hash("x"), "y")
        await passwords.verify(None, "y")
    somebody, nobody = seen
    assert somebody.split("$")[:4] == nobody.split("$")[:4]
    assert [len(part) for part in somebody.split("$")] == [len(p) for p in nobody.split("$")]


@pytest.mark.parametrize(
    ("changed", "weaker"),
    [
        ({"argon2_memory_kib": 128}, True),
        ({"argon2_passes": 3}, True),
        ({}, False),
        ({"argon2_memory_kib": 64, "argon2_passes": 1}, False),
        ({"argon2_memory_kib": 72, "argon2_lanes": 2}, False),
    ],
)
async def test_a_hash_that_took_less_is_weaker(changed: dict[str, int], weaker: bool) -> None:
    async with (
        Passwords(settings(argon2_memory_kib=72, argon2_passes=2)) as before,
        Passwords(settings(**{"argon2_passes": 2, "argon2_memory_kib": 72, **changed})) as now,
    ):
        assert now.is_weaker(await before.hash("x")) is weaker


async def test_so_many_are_hashed_at_a_time_and_the_loop_goes_on() -> None:
    now = most = 0
    lock, gate = threading.Lock(), threading.Event()
    async with Passwords(settings(argon2_at_once=2)) as passwords:

        def slow(_: bytes) -> str:
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            gate.wait(10)
            with lock:
                now -= 1
            return "hash"

        replaced: Any = SimpleNamespace(hash=slow)
        passwords._hasher = replaced
        tasks = [asyncio.create_task(passwords.hash("x")) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0.05)  # the loop is free
        with pytest.raises(Unavailable):
            await passwords.hash("x")
        gate.set()
        await asyncio.gather(*tasks)
        assert most == 2
        assert await passwords.hash("x") == "hash"
