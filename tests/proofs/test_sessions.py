"""Sessions are every process's: they outlive the one that began them, and end in all at once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from contextlib import AsyncExitStack
from itertools import cycle

from .harness.load import Answer
from .harness.load import Connection
from .harness.load import Request
from .harness.load import send
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.redis import Redis
from .harness.service import Api
from .harness.service import Service
from .harness.table import Table

PROCESSES, DEVICES, ROUNDS = 3, 20, 10
EMAIL, PASSWORD = "user1@example.com", "a password of the proofs"
ORIGIN = "Origin: https://proofs"
# A password is to cost little here: this is not about passwords.
CHEAP = {
    "SESSIONS_ARGON2_MEMORY_KIB": "64",
    "SESSIONS_ARGON2_PASSES": "1",
    "REDIS_TIMEOUT_S": "10",
}


def set_password(service: Service, postgres: Postgres) -> None:
    """Give the user a password, as the owner of a service does, by standard input."""
    postgres.sql(f"UPDATE users SET status = 'active' WHERE email = '{EMAIL}'")
    argv, _ = service._argv(None)
    subprocess.run(
        [*argv, "set-password", EMAIL],
        cwd=service.folder,
        env=service.environment | CHEAP,
        input=f"{PASSWORD}\n",
        text=True,
        check=True,
        capture_output=True,
    )


async def ask(api: Api, request: Request) -> Answer:
    async with Connection(api.port, "") as one:
        return await one.ask(request)


async def log_in(api: Api) -> tuple[str, ...]:
    """The headers of a new session."""
    credentials = {"email": EMAIL, "password": PASSWORD}
    answer = await ask(api, send("POST", "/session", credentials, ORIGIN))
    assert answer.status == 201, answer.body
    cookie = answer.headers["set-cookie"].partition(";")[0]
    return f"Cookie: {cookie}", f"X-CSRF-Token: {answer.json['csrfToken']}", ORIGIN


async def statuses(apis: list[Api], devices: list[tuple[str, ...]]) -> set[int]:
    """What all devices are answered by all processes, all at once."""
    async with AsyncExitStack() as stack:
        asked = []
        for api in apis:
            for headers in devices:
                one = await stack.enter_async_context(Connection(api.port, ""))
                asked.append(one.ask(Request("GET", "/users/1", headers=headers)))
        return {answer.status for answer in await asyncio.gather(*asked)}


def test_one_session_for_all(service: Service, postgres: Postgres, table: Table) -> None:
    """Begun by one process that is killed then, used and ended by others."""
    set_password(service, postgres)
    with service.processes(PROCESSES, **CHEAP) as apis:
        for place in range(PROCESSES):
            headers = asyncio.run(log_in(apis[place]))
            apis[place].process.end(signal.SIGKILL)
            apis[place] = service.start("api", **CHEAP)
            apis[place].wait_until_ready()
            assert asyncio.run(statuses(apis, [headers])) == {200}
            other = apis[(place + 1) % PROCESSES]
            item = {"name": "session", "price": 1, "description": ""}
            assert asyncio.run(ask(other, send("POST", "/items", item, *headers))).status == 201
            forged = send("POST", "/items", item, *headers[:2], "Origin: https://evil.example")
            assert asyncio.run(ask(other, forged)).status == 403
            ended = Request("DELETE", "/session", headers=headers)
            assert asyncio.run(ask(other, ended)).status == 204
            assert asyncio.run(statuses(apis, [headers])) == {401}
    table.add(
        "A session is the same to every process",
        f"begun by one of {PROCESSES} processes, which is killed with -9; used, then ended by another",
        f"{PROCESSES} times",
        "0 sessions; replayed after logout: 0 of 9 accepted",
    )


def test_all_end_at_once(service: Service, postgres: Postgres, table: Table) -> None:
    set_password(service, postgres)
    with service.processes(PROCESSES, **CHEAP) as apis:
        for _, api in zip(range(ROUNDS), cycle(apis), strict=False):
            devices = [asyncio.run(log_in(apis[n % PROCESSES])) for n in range(DEVICES)]
            assert asyncio.run(statuses(apis, devices)) == {200}
            ended = Request("DELETE", "/sessions", headers=devices[0])
            assert asyncio.run(ask(api, ended)).status == 204
            assert asyncio.run(statuses(apis, devices)) == {401}
    asked = ROUNDS * DEVICES * PROCESSES
    table.add(
        "Sessions that are ended are ended everywhere",
        f"{DEVICES} sessions of one user, all ended by one request, then asked of {PROCESSES} processes",
        f"{ROUNDS} times",
        f"0 of {asked} requests accepted afterwards",
    )


def test_redis_is_away(service: Service, postgres: Postgres, redis: Redis, table: Table) -> None:
    set_password(service, postgres)
    with service.processes(1, **CHEAP) as (api,):
        headers = asyncio.run(log_in(api))
        with redis.killed():
            assert asyncio.run(statuses([api], [headers])) == {503}
            with_key = [f"X-API-Key: {service.key}"]
            assert asyncio.run(statuses([api], [tuple(with_key)] * 50)) == {200}
            assert asyncio.run(statuses([api], [(*with_key, headers[0])] * 50)) == {200}
        # the Redis of the proofs keeps nothing: everybody has to log in again
        until(lambda: asyncio.run(statuses([api], [headers])) == {401}, "it is asked again", 10)
        assert asyncio.run(statuses([api], [asyncio.run(log_in(api))])) == {200}
    table.add(
        "An outage of Redis stops sessions, and nothing else",
        "Redis killed: requests with a session, with a key, with both",
        "1, 50 and 50",
        "503 with a session alone, 0 of 100 others",
    )
