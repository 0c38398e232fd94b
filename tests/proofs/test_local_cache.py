"""Copies in the processes' own memory: an invalidation reaches each, and no outage outdates them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextlib import AsyncExitStack
from itertools import count

import pytest

from .harness.load import Connection
from .harness.load import ask
from .harness.load import get
from .harness.load import send
from .harness.processes import until
from .harness.redis import Redis
from .harness.service import Api
from .harness.service import Service
from .harness.table import Table

PROCESSES = 4
WITHIN_S = 1.0
OUTAGE_S = 3.0
SETTLE_S = 3.0  # after an outage: for the processes to notice, and send the deletions they kept
USERS = 5
# The copies would live for a minute: what ends them is the invalidation, not their age.
LONG = {"LOCAL_CACHE_TTL_S": "60", "CACHE_PREFIX": "near"}


def hits(apis: list[Api]) -> float:
    """How many reads were answered from the processes' own memory."""
    return sum(api.metric("local_cache_hits_total") for api in apis)


async def copied(apis: list[Api], key: str, path: str) -> None:
    """Returns when each process has answered this from its own memory."""
    for api in apis:
        for _ in range(200):
            before = hits([api])
            assert (await ask(api.port, key, get(path))).status == 200
            if hits([api]) > before:
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("nothing is served from memory")


def test_an_invalidation_reaches_every_process(
    service: Service, redis: Redis, table: Table
) -> None:
    """A change through one of four processes, and a deletion by somebody else."""

    async def seen_after(name: str, since: float) -> float:
        """When all processes have shown the new name, in seconds; never again the old one."""
        while not all([await shown(api) == name for api in apis]):
            assert time.monotonic() - since < 10, "never seen"
        took_s = time.monotonic() - since
        for _ in range(10):
            assert [await shown(api) for api in apis] == [name] * len(apis)
        return took_s

    async def shown(api: Api) -> str:
        return str((await ask(api.port, service.key, get("/users/1"))).json["name"])

    async def change(number: int) -> float:
        await copied(apis, service.key, "/users/1")
        name = f"Changed {number}"
        began = time.monotonic()
        taker = apis[number % PROCESSES]
        changed = await ask(taker.port, service.key, send("PATCH", "/users/1", {"name": name}))
        assert changed.status == 200
        assert await shown(taker) == name, "at once where it was made"
        return await seen_after(name, began)

    rounds = 20
    with service.processes(PROCESSES, **LONG) as apis:
        took = [asyncio.run(change(number)) for number in range(rounds)]
        assert max(took) < WITHIN_S, took
        asyncio.run(copied(apis, service.key, "/users/1"))
        before = sum(
            api.metric("local_cache_evictions_total", reason="invalidated") for api in apis
        )
        redis.call("DEL", "near:user:1")
        until(
            lambda: (
                sum(api.metric("local_cache_evictions_total", reason="invalidated") for api in apis)
                >= before + PROCESSES
            ),
            "every process has forgotten its copy",
            WITHIN_S,
        )
    table.add(
        "An invalidation reaches every process",
        f"PATCH in one of {PROCESSES} processes that hold copies for 60 s; read in all",
        f"{rounds} changes, the slowest seen everywhere after {max(took) * 1000:.0f} ms",
        "0 old values after that",
    )


class Watch:
    """Changes users and reads them, everywhere, and notes each answer that is too old.

    Too old is a name that was changed before WITHIN_S, counted from the answer to the change.
    """

    def __init__(self, service: Service, apis: list[Api]) -> None:
        self._service, self._apis = service, apis
        self._changed: dict[int, list[tuple[float, int]]] = {user: [] for user in _users()}
        self._versions = count(1)
        self.stopped = self.paused = False
        self.reads = self.changes = 0
        self.failed: list[int] = []
        self.old: list[float] = []  # when they were asked for

    async def read(self, api: Api, user: int) -> None:
        """Read one user in one process until stopped."""
        async with Connection(api.port, self._service.key) as connection:
            while not self.stopped:
                began = time.monotonic()
                answer = await connection.ask(get(f"/users/{user}"))
                self.reads += 1
                if answer.status != 200:
                    self.failed.append(answer.status)
                elif int(answer.json["name"].split()[-1]) < self._oldest(user, began):
                    self.old.append(began)
                await asyncio.sleep(0.003)

    async def change(self) -> None:
        """Change one user after the other, in one process after the other, until stopped.

        While paused it changes nothing: a copy that has outlived a change is not helped by the
        next one.
        """
        async with AsyncExitStack() as stack:
            connections = [
                await stack.enter_async_context(Connection(api.port, self._service.key))
                for api in self._apis
            ]
            while not self.stopped:
                await asyncio.sleep(0.1)
                if self.paused:
                    continue
                version = next(self._versions)
                user = version % USERS + 1
                name = send("PATCH", f"/users/{user}", {"name": f"Changed {version}"})
                answer = await connections[version % 7 % len(connections)].ask(name)
                if answer.status != 200:
                    self.failed.append(answer.status)
                self._changed[user].append((time.monotonic(), version))
                self.changes += 1

    def _oldest(self, user: int, at: float) -> int:
        """The version that must be known by then."""
        return max((v for when, v in self._changed[user] if when < at - WITHIN_S), default=0)


def _users() -> range:
    return range(1, USERS + 1)


@pytest.mark.parametrize(
    "outage", [Redis.killed, pytest.param(Redis.frozen, marks=pytest.mark.slow)]
)
def test_an_outage_outdates_nothing(
    service: Service,
    redis: Redis,
    table: Table,
    outage: Callable[[Redis], AbstractContextManager[None]],
) -> None:
    """Redis goes and comes back, twice, while users are read and changed in every process; nothing
    is changed any more when it is back."""
    outages: list[tuple[float, float]] = []

    async def two_outages() -> Watch:
        watch = Watch(service, apis)
        for user in _users():
            first = send("PATCH", f"/users/{user}", {"name": "Changed 0"})
            assert (await ask(apis[0].port, service.key, first)).status == 200
        tasks = [asyncio.create_task(watch.read(api, user)) for api in apis for user in _users()]
        tasks.append(asyncio.create_task(watch.change()))
        for _ in range(2):
            watch.paused = False
            await asyncio.sleep(2)
            began = time.monotonic()
            with outage(redis):
                await asyncio.sleep(OUTAGE_S)
                watch.paused = True
            outages.append((began, time.monotonic() + SETTLE_S))
            await asyncio.sleep(SETTLE_S + 2)
        watch.stopped = True
        await asyncio.gather(*tasks)
        return watch

    with service.processes(PROCESSES, **LONG) as apis:
        watch = asyncio.run(two_outages())
        assert not watch.failed
        after = [at for at in watch.old if not any(a <= at <= b for a, b in outages)]
        assert not after, f"{len(after)} of {watch.reads} answers were too old"
        for api in apis:
            assert api.metric("local_cache_evictions_total", reason="disconnected") > 0
            assert api.metric("local_cache_tracking") == 1
        before = hits(apis)
        asyncio.run(copied(apis, service.key, "/users/1"))
        assert hits(apis) > before, "memory is used again"
    table.add(
        "No copy outlives the connection to Redis",
        f"Redis {outage.__name__} for {OUTAGE_S:g} s, twice; reads and {watch.changes} changes "
        f"in {PROCESSES} processes",
        f"{watch.reads:,} reads; older than {WITHIN_S:g} s while it was away and until all "
        f"deletions were sent: {len(watch.old)}",
        "0 too old after that, 0 5xx",
    )
