"""Users log in, and are what a key would make them to every route of the example."""

from __future__ import annotations

import asyncio
import io
import json
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import asyncpg
import httpx2
import pytest

from app.http.errors import Unavailable
from app.main import create_api
from app.main import create_app
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.service import Service
from app.sessions import Sessions
from app.sessions.example import MOST_BODY
from app.sessions.example import SessionUsers
from app.sessions.passwords import LONGEST_PASSWORD
from app.sessions.throttle import FREE_OF_ACCOUNT
from app.sessions.throttle import FREE_OF_ADDRESS
from app.sessions.with_example import SET_PASSWORD
from app.sessions.with_example import set_password
from app.unit_of_work import UnitOfWork
from app.users.store import UserChange
from tests.sessions.conftest import COOKIE
from tests.sessions.conftest import HOST
from tests.sessions.conftest import api_key
from tests.sessions.conftest import secret_of

pytestmark = pytest.mark.anyio

EMAIL, PASSWORD = "ann@example.com", "correct horse battery"
ITEM = {"name": "A hat", "price": 12.5, "description": "It is red."}


@pytest.fixture
async def rows(servers: dict[str, str], anyio_backend: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the tests' own, and Ann, who has a password, and Bob, who has none."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    await connection.execute(
        "INSERT INTO users (name, email) VALUES ('Ann', $1), ('Bob', 'bob@example.com')".replace(
            "$1", f"'{EMAIL}'"
        )
    )
    await set_password(EMAIL, PASSWORD)
    yield connection
    await connection.close()


@pytest.fixture
def service(rows: asyncpg.Connection) -> Service:
    """The service."""
    return Service(PATTERNS)


@pytest.fixture
def sessions(service: Service) -> Sessions:
    """Its sessions."""
    return service.get(Sessions)


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without a key."""
    transport = httpx2.ASGITransport(create_app(service, create_api(service), MIDDLEWARE))
    async with (
        service.running(),
        httpx2.AsyncClient(transport=transport, base_url=HOST) as client,
    ):
        yield client


async def log_in(
    client: httpx2.AsyncClient, email: str = EMAIL, password: str = PASSWORD, **headers: str
) -> httpx2.Response:
    body = {"email": email, "password": password}
    client.cookies.clear()
    return await client.post("/session", json=body, headers=headers)


def known(answer: httpx2.Response) -> dict[str, str]:
    """The headers of whoever has logged in so."""
    assert answer.status_code == 201, answer.text
    token = answer.json()["csrfToken"]
    return {"Cookie": f"{COOKIE}={secret_of(answer)}", "Origin": HOST, "X-CSRF-Token": token}


async def test_who_has_logged_in_uses_the_service(client: httpx2.AsyncClient) -> None:
    answer = await log_in(client)
    headers = known(answer)
    assert answer.json()["user"] == "user:1"
    assert (await client.get("/items", headers=headers)).status_code == 200
    assert (await client.post("/items", json=ITEM, headers=headers)).status_code == 201
    del headers["X-CSRF-Token"]
    assert (await client.get("/users/1", headers=headers)).status_code == 200
    assert (await client.post("/items", json=ITEM, headers=headers)).status_code == 403
    client.cookies.clear()
    assert (await client.get("/items")).status_code == 401


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "wrong"),
        (EMAIL, PASSWORD + " "),
        ("bob@example.com", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ],
)
async def test_who_is_wrong_is_told_the_same(
    client: httpx2.AsyncClient, email: str, password: str
) -> None:
    answer = await log_in(client, email, password)
    assert answer.status_code == 401
    assert answer.json()["detail"] == "The email or the password is wrong."
    assert answer.headers["www-authenticate"]
    assert "set-cookie" not in answer.headers


async def test_who_is_not_active_does_not_get_in(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    await rows.execute("UPDATE users SET status = 'inactive'")
    assert (await log_in(client)).status_code == 401


async def test_for_a_wrong_email_a_password_is_verified_as_well(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str | None] = []

    async def verify(_: object, stored: str | None, __: str) -> bool:
        verified.append(stored)
        return False

    monkeypatch.setattr("app.sessions.passwords.Passwords.verify", verify)
    for email in (EMAIL, "nobody@example.com", "bob@example.com"):
        await log_in(client, email)
    assert [bool(stored) for stored in verified] == [True, False, False]


async def test_who_guesses_is_slowed_down_also_with_the_right_password(
    client: httpx2.AsyncClient,
) -> None:
    for _ in range(FREE_OF_ACCOUNT):
        assert (await log_in(client, password="wrong")).status_code == 401
    answer = await log_in(client)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


async def test_a_login_that_nobody_could_verify_is_no_guess(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> bool:
        raise Unavailable("Too many.")

    with monkeypatch.context() as patched:
        patched.setattr("app.sessions.passwords.Passwords.verify", fail)
        for _ in range(FREE_OF_ADDRESS + 1):
            assert (await log_in(client)).status_code == 503
    assert (await log_in(client)).status_code == 201


async def test_who_does_not_wait_for_the_answer_has_guessed(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def left(*_: object) -> bool:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr("app.sessions.passwords.Passwords.verify", left)
        for _ in range(FREE_OF_ACCOUNT):
            with suppress(asyncio.CancelledError):
                await log_in(client)
    assert (await log_in(client)).status_code == 429


async def test_with_a_session_one_changes_only_oneself(client: httpx2.AsyncClient) -> None:
    headers = known(await log_in(client))
    for change in ({"name": "Eve"}, {"status": "inactive"}):
        for user in ("2", "3", "x", "01"):
            answer = await client.patch(f"/users/{user}", json=change, headers=headers)
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/problem+json"
    mine = await client.patch("/users/1", json={"name": "Anna"}, headers=headers)
    assert (mine.status_code, mine.json()["name"]) == (200, "Anna")
    assert (await client.get("/users/2", headers=headers)).json()["name"] == "Bob"
    client.cookies.clear()
    named = await client.patch("/users/2", json={"name": "Robert"}, headers=api_key())
    assert (named.status_code, named.json()["name"]) == (200, "Robert")


async def test_who_is_made_inactive_has_no_session_any_more(client: httpx2.AsyncClient) -> None:
    headers = known(await log_in(client))
    client.cookies.clear()
    answer = await client.patch("/users/1", json={"name": "Anna"}, headers=api_key())
    assert answer.status_code == 200
    assert (await client.get("/session", headers=headers)).status_code == 200
    client.cookies.clear()
    answer = await client.patch("/users/1", json={"status": "inactive"}, headers=api_key())
    assert (answer.status_code, answer.json()["status"]) == (200, "inactive")
    assert (await client.post("/items", json=ITEM, headers=headers)).status_code == 401


async def test_within_a_transaction_sessions_end_again_with_its_commit(
    client: httpx2.AsyncClient, sessions: Sessions
) -> None:
    class Users:
        async def get(self, _: int) -> bytes | None: ...

        async def update(self, _: int, __: UserChange) -> bytes | None: ...

    users, work = SessionUsers(Users(), sessions), UnitOfWork()
    first = known(await log_in(client))
    with work.begun():
        await users.update(1, UserChange(status="inactive"))
    assert (await client.get("/session", headers=first)).status_code == 401
    later = known(await log_in(client))  # others do not see the change yet
    await work.committed()
    assert (await client.get("/session", headers=later)).status_code == 401


async def test_the_body_of_a_login_is_small(client: httpx2.AsyncClient) -> None:
    longest = {"email": "😀" * 320, "password": "😀" * LONGEST_PASSWORD}
    body = json.dumps(longest).encode()
    headers = {"Content-Type": "application/json"}
    assert len(body) < MOST_BODY
    assert (await client.post("/session", content=body, headers=headers)).status_code == 401
    body = b" " * (MOST_BODY + 1)
    assert (await client.post("/session", content=body, headers=headers)).status_code == 413


async def test_a_session_begins_anew_and_the_one_before_ends(client: httpx2.AsyncClient) -> None:
    first = known(await log_in(client))
    second = known(await log_in(client, **first))
    assert first["Cookie"] != second["Cookie"]
    assert (await client.get("/session", headers=first)).status_code == 401
    assert (await client.get("/session", headers=second)).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_no_other_site_logs_anybody_in(
    client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await log_in(client, **headers)).status_code == 403
    form = {"Content-Type": "text/plain"}
    assert (await client.post("/session", content="{}", headers=form)).status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": EMAIL},
        {"email": "", "password": "x"},
        {"email": "x" * 321, "password": "x"},
        {"email": "a\0", "password": "x"},
        {"email": EMAIL, "password": "x" * 1025},
        {"email": EMAIL, "password": PASSWORD, "user": 1},
        [],
    ],
)
async def test_what_is_no_login_is_422(client: httpx2.AsyncClient, body: Any) -> None:
    answer = await client.post("/session", json=body)
    assert answer.status_code == 422
    assert "xxx" not in answer.text


async def test_a_hash_that_is_weak_by_now_is_replaced(
    client: httpx2.AsyncClient, rows: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await rows.fetchval("SELECT password_hash FROM credentials")
    known(await log_in(client))
    assert await rows.fetchval("SELECT password_hash FROM credentials") == before
    monkeypatch.setenv("SESSIONS_ARGON2_PASSES", "2")
    service = Service(PATTERNS)
    transport = httpx2.ASGITransport(create_app(service, create_api(service), MIDDLEWARE))
    async with (
        service.running(),
        httpx2.AsyncClient(transport=transport, base_url=HOST) as later,
    ):
        known(await log_in(later))
        after = await rows.fetchval("SELECT password_hash FROM credentials")
        assert "t=2" in after
        known(await log_in(later))
    assert await rows.fetchval("SELECT password_hash FROM credentials") == after


async def test_a_new_password_ends_the_sessions(client: httpx2.AsyncClient) -> None:
    headers = known(await log_in(client))
    assert await set_password(EMAIL, "another horse battery") == 1
    assert (await client.get("/items", headers=headers)).status_code == 401
    assert (await log_in(client)).status_code == 401
    assert (await log_in(client, password="another horse battery")).status_code == 201


def test_the_command_takes_no_short_password_and_no_stranger(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("too short\n"))
    assert SET_PASSWORD.run(Namespace(email=EMAIL, generate=False)) == 1
    assert "15 to 1024" in capsys.readouterr().err
    assert SET_PASSWORD.run(Namespace(email="nobody@example.com", generate=True)) == 1
    assert "no user" in capsys.readouterr().err


async def test_the_document_needs_nobody_for_the_login(client: httpx2.AsyncClient) -> None:
    document = create_api(Service(PATTERNS)).openapi()
    assert document["paths"]["/session"]["post"]["security"] == []
