"""A request with a key is done once, and answered alike."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx2
import pytest
from fastapi import HTTPException
from structlog.testing import capture_logs

from app.database import Database
from app.http.errors import Unavailable
from app.idempotency import IdempotencyKeys
from app.idempotency.keys import BATCH
from app.main import create_api
from app.main import create_app
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.service import Service
from tests.conftest import KEY as API_KEY
from tests.idempotency.conftest import BOB
from tests.idempotency.conftest import Shop
from tests.idempotency.conftest import add_routes

pytestmark = pytest.mark.anyio

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


async def count(rows: asyncpg.Connection, table: str = "orders") -> int:
    return int(await rows.fetchval(f"SELECT count(*) FROM {table}"))


def is_problem(answer: httpx2.Response, status: int) -> bool:
    document = answer.json()
    assert (answer.status_code, document["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["detail"]
    return True


async def test_the_same_again_is_answered_as_before(
    client: httpx2.AsyncClient, shop: Shop, rows: asyncpg.Connection
) -> None:
    first = await client.post("/orders", content="hat", headers=KEY)
    assert first.status_code == 201
    assert "idempotent-replayed" not in first.headers
    for _ in range(3):
        again = await client.post("/orders", content="hat", headers=KEY)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["location"] == first.headers["location"]
        assert again.headers["content-type"] == "application/json"
        assert again.headers["idempotent-replayed"] == "true"
        assert "set-cookie" not in again.headers
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert (shop.begun, await count(rows)) == (1, 1)


async def test_quotes_are_no_part_of_the_key(client: httpx2.AsyncClient, shop: Shop) -> None:
    for key in ("a-1", '"a-1"'):
        headers = {"Idempotency-Key": key}
        assert (await client.post("/orders", headers=headers)).status_code == 201
    assert shop.begun == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/orders", "hats"), ("POST", "/orders?a=1", "hat"), ("POST", "/refused", "hat")],
)
async def test_a_key_of_another_request_is_refused(
    client: httpx2.AsyncClient, shop: Shop, method: str, path: str, body: str
) -> None:
    await client.post("/orders", content="hat", headers=KEY)
    assert is_problem(await client.request(method, path, content=body, headers=KEY), 422)
    assert shop.begun == 1


async def test_somebody_elses_key_is_another(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    made = [
        await client.post("/orders", headers=KEY | {"X-API-Key": key})
        for key in (client.headers["X-API-Key"], BOB)
    ]
    assert made[0].json() != made[1].json()
    assert await count(rows) == 2


async def test_without_a_key_every_request_is_another(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    for _ in range(2):
        assert (await client.post("/orders", content="hat")).status_code == 201
    assert (await count(rows), await count(rows, "idempotency_keys")) == (2, 0)


async def test_what_is_not_covered_takes_no_key(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    """And says so where it might be done twice: PUT is the same however often it is sent."""
    assert is_problem(await client.post("/uncovered", headers=KEY), 400)
    assert await count(rows) == 0
    assert (await client.post("/uncovered")).status_code == 201
    assert (await client.put("/orders", headers=KEY)).status_code == 201
    assert await count(rows) == 2


async def test_a_path_may_have_parameters(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    for shop_id, status in ((1, 201), (1, 201), (2, 422)):
        answer = await client.post(f"/shops/{shop_id}/orders", headers=KEY)
        assert answer.status_code == status
    assert await count(rows) == 1


@pytest.mark.parametrize(
    "keys",
    [[b""], [b" "], [b"x" * 129], [b"a b"], [b'"a'], [b'a"b'], [b"a\\b"], [b'""'], [b"\xc3\xa9"],
     [b"a", b"a"], [b"a\tb"]],
)  # fmt: skip
async def test_what_is_no_key_is_400(
    client: httpx2.AsyncClient, shop: Shop, keys: list[bytes]
) -> None:
    headers: Any = [(b"Idempotency-Key", key) for key in keys]
    assert is_problem(await client.post("/orders", headers=headers), 400)
    assert shop.begun == 0


@pytest.mark.parametrize("key", ["x" * 128, '"' + "x" * 128 + '"', "!", "~" * 36])
async def test_what_is_just_a_key_is_one(client: httpx2.AsyncClient, key: str) -> None:
    answers = [await client.post("/orders", headers={"Idempotency-Key": key}) for _ in range(2)]
    assert [a.headers.get("idempotent-replayed") for a in answers] == [None, "true"]


async def test_one_that_is_being_worked_on_is_409(
    client: httpx2.AsyncClient, shop: Shop, rows: asyncpg.Connection
) -> None:
    shop.gate.clear()
    first = asyncio.create_task(client.post("/orders", headers=KEY))
    await shop.entered.wait()
    busy = await client.post("/orders", headers=KEY)
    assert is_problem(busy, 409)
    assert busy.headers["retry-after"] == "1"
    shop.gate.set()
    assert (await first).status_code == 201
    assert (await client.post("/orders", headers=KEY)).content == (await first).content
    assert await count(rows) == 1


async def test_fifty_at_once_make_one(
    client: httpx2.AsyncClient, shop: Shop, rows: asyncpg.Connection
) -> None:
    answers = await asyncio.gather(
        *(client.post("/orders", content="hat", headers=KEY) for _ in range(50))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert (shop.begun, await count(rows)) == (1, 1)


def _raise_http() -> None:
    raise HTTPException(400, "Never.")


def _raise_unavailable() -> None:
    raise Unavailable("Later.", 7)


def _raise() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("fail", "status"), [(_raise_http, 400), (_raise_unavailable, 503), (_raise, 500)]
)
async def test_what_fails_is_undone_and_its_key_is_free(
    client: httpx2.AsyncClient, shop: Shop, rows: asyncpg.Connection, fail: Any, status: int
) -> None:
    shop.fail, works = fail, shop.fail
    answer = await client.post("/orders", content="hat", headers=KEY)
    assert is_problem(answer, status)
    assert answer.headers.get("retry-after") == ("7" if status == 503 else None)
    assert (await count(rows), await count(rows, "idempotency_keys")) == (0, 0)
    shop.fail = works
    assert (await client.post("/orders", content="coat", headers=KEY)).status_code == 201
    assert await count(rows) == 1


async def test_what_fails_at_the_commit_is_not_answered_as_done(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    await rows.execute("ALTER TABLE orders ADD UNIQUE (what) DEFERRABLE INITIALLY DEFERRED")
    answers = [
        await client.post("/orders", content="hat", headers={"Idempotency-Key": key})
        for key in ("k1", "k2", "k2")
    ]
    assert [answer.status_code for answer in answers] == [201, 500, 500]
    assert (await count(rows), await count(rows, "idempotency_keys")) == (1, 1)


async def test_what_goes_on_after_a_failed_statement_is_not_answered_as_done(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    await rows.execute("ALTER TABLE orders ADD UNIQUE (what)")
    assert is_problem(await client.post("/forgiven", headers=KEY), 500)
    assert (await count(rows), await count(rows, "idempotency_keys")) == (0, 0)


async def test_what_fails_after_its_answer_is_not_answered_as_done(
    client: httpx2.AsyncClient, shop: Shop, rows: asyncpg.Connection
) -> None:
    calls: list[int] = []

    def fail_later() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ZeroDivisionError

    shop.fail = fail_later
    assert is_problem(await client.post("/noticed", headers=KEY), 500)
    assert (await count(rows), await count(rows, "idempotency_keys")) == (0, 0)


async def test_a_commit_that_is_not_answered_is_503_and_done_at_most_once(
    client: httpx2.AsyncClient, shop: Shop, rows: asyncpg.Connection
) -> None:
    shop.gate.clear()
    first = asyncio.create_task(client.post("/orders", headers=KEY))
    await shop.entered.wait()
    await rows.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND state = 'idle in transaction'"
    )
    shop.gate.set()
    assert is_problem(await first, 503)
    assert await count(rows) == 0
    assert (await client.post("/orders", headers=KEY)).status_code == 201
    assert await count(rows) == 1


async def test_a_client_that_goes_away_leaves_nothing_half_done(
    client: httpx2.AsyncClient, shop: Shop, rows: asyncpg.Connection
) -> None:
    shop.gate.clear()
    first = asyncio.create_task(client.post("/orders", headers=KEY))
    await shop.entered.wait()
    first.cancel()
    await asyncio.wait({first})
    assert await count(rows) == 0
    shop.gate.set()
    assert (await client.post("/orders", headers=KEY)).status_code == 201
    assert await count(rows) == 1


async def test_a_body_beyond_the_limit_is_413(client: httpx2.AsyncClient, shop: Shop) -> None:
    async def chunks() -> Any:
        for _ in range(20):
            yield b"x" * 100_000

    answer = await client.post("/orders", content=chunks(), headers=KEY)
    assert is_problem(answer, 413)
    assert answer.headers["connection"] == "close"
    assert shop.begun == 0


async def test_what_has_expired_is_a_new_request(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    await client.post("/orders", content="hat", headers=KEY)
    await rows.execute("UPDATE idempotency_keys SET expires_at = now()")
    answer = await client.post("/orders", content="coat", headers=KEY)
    assert "idempotent-replayed" not in answer.headers
    again = await client.post("/orders", content="coat", headers=KEY)
    assert again.headers["idempotent-replayed"] == "true"
    assert (await count(rows), await count(rows, "idempotency_keys")) == (2, 1)


async def test_what_has_expired_is_deleted_by_whoever_stores_next(
    client: httpx2.AsyncClient, service: Service, rows: asyncpg.Connection
) -> None:
    await rows.execute(
        "INSERT INTO idempotency_keys SELECT sha256(n::text::bytea), '', 201, '[]', '', "
        "now() + (n - $1) * interval '1 hour' FROM generate_series(1, $1 + 5) n",
        2 * BATCH,
    )
    assert (await client.post("/orders", headers=KEY)).status_code == 201
    for _ in range(500):
        if await count(rows, "idempotency_keys") == 5 + 1:
            break
        await asyncio.sleep(0.01)
    assert await count(rows, "idempotency_keys") == 5 + 1


async def test_whoever_cannot_delete_what_has_expired_does_so_later(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    await rows.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'never'; END $$;"
        "CREATE TRIGGER never BEFORE DELETE ON idempotency_keys EXECUTE FUNCTION refuse()"
    )
    try:
        with capture_logs() as logs:
            assert (await client.post("/orders", headers=KEY)).status_code == 201
            for _ in range(500):
                if any(line["event"] == "idempotency_prune_failed" for line in logs):
                    break
                await asyncio.sleep(0.01)
        assert any(line["event"] == "idempotency_prune_failed" for line in logs)
    finally:
        await rows.execute("DROP FUNCTION refuse CASCADE")


async def test_what_is_stored_says_nothing_of_key_and_principal(
    client: httpx2.AsyncClient, rows: asyncpg.Connection
) -> None:
    await client.post("/orders", content="hat", headers={"Idempotency-Key": "my-secret-key"})
    row = await rows.fetchrow("SELECT * FROM idempotency_keys")
    assert row
    text = repr(dict(row))
    assert "my-secret" not in text
    assert "ann" not in text
    assert "secret=1" not in text


async def test_the_document_tells_of_keys(service: Service, client: httpx2.AsyncClient) -> None:
    api = create_api(service)
    add_routes(api, Shop(service.get(Database)))
    paths = api.openapi()["paths"]
    operation = paths["/shops/{shop_id}/orders"]["post"]
    [header] = [p for p in operation["parameters"] if p["in"] == "header"]
    assert (header["name"], header["required"]) == ("Idempotency-Key", False)
    assert {"400", "409", "422"} <= operation["responses"].keys()
    assert "Idempotent-Replayed" in operation["responses"]["200"]["headers"]
    assert not paths["/uncovered"]["post"].get("parameters")
    assert not paths["/orders"]["put"].get("parameters")


@pytest.mark.parametrize("value", ["true", "false"])
async def test_a_key_may_be_required(
    monkeypatch: pytest.MonkeyPatch, servers: dict[str, str], value: str
) -> None:
    monkeypatch.setenv("IDEMPOTENCY_REQUIRED", value)
    service = Service(PATTERNS)
    api = create_api(service)

    @api.post("/made")
    @api.post("/other")
    async def make() -> str:
        return "made"

    service.get(IdempotencyKeys).cover("/made")
    transport = httpx2.ASGITransport(create_app(service, api, MIDDLEWARE))
    async with service.running(), httpx2.AsyncClient(transport=transport) as client:
        client.headers["X-API-Key"] = API_KEY
        answer = await client.post("http://service/made")
        assert answer.status_code == (400 if value == "true" else 200)
        assert (await client.post("http://service/made", headers=KEY)).status_code == 200
        assert (await client.post("http://service/other")).status_code == 200
    [header] = api.openapi()["paths"]["/made"]["post"]["parameters"]
    assert header["required"] is (value == "true")
