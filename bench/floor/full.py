"""The floor with the features of the generated service, made by hand: about the least that Python can do.

One bare ASGI callable. It has an API key, a sliding window in Redis, a duration histogram, a request id, security
headers, gzip, signed cursors and partial answers, cache-aside with a TTL, validated bodies; and none of what makes a
service fit to stay up: no timeouts, no single flight, no retries, no shutdown in order, no problem documents.
"""

from __future__ import annotations

import hmac
import os
from base64 import urlsafe_b64decode
from base64 import urlsafe_b64encode
from bisect import bisect_left
from collections import defaultdict
from hashlib import sha256
from itertools import count
from time import perf_counter
from typing import Annotated
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import urlsplit

import asyncpg
import msgspec
from msgspec import Meta
from resp import connect
from zlib_ng import zlib_ng

DATABASE_URL, REDIS_URL = os.environ["DATABASE_URL"], os.environ["REDIS_URL"]
KEYS = {bytes.fromhex(os.environ["KEY_SHA256"]): b"bench"}
SECRET = os.environ["CURSOR_SECRET"].encode()
LIMIT = b"999999999999999"
GZIP_FROM, GZIP_LEVEL, GZIP_WINDOW = 1024, 6, 31

COLUMNS = ("id", "name", "price", "description", "created_at")
ALL = ", ".join(COLUMNS)
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
]
# Admissions of this second and of a share of the last one.
ADMIT = b"""
local time = redis.call('TIME')
local second, part = tonumber(time[1]), tonumber(time[2]) / 1000000
local now = redis.call('INCR', KEYS[1] .. second)
if now == 1 then redis.call('EXPIRE', KEYS[1] .. second, 2) end
local before = tonumber(redis.call('GET', KEYS[1] .. (second - 1)) or 0)
return math.floor(tonumber(ARGV[1]) - now - before * (1 - part))
"""


class NewItem(msgspec.Struct):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    price: Annotated[float, Meta(ge=0)]
    description: Annotated[str, Meta(max_length=10_000)]


class NewItems(msgspec.Struct):
    items: Annotated[list[NewItem], Meta(min_length=1, max_length=1000)]


class NewJob(msgspec.Struct):
    userId: Annotated[int, Meta(ge=1)]  # noqa: N815 (the contract's name)


class NoReset(asyncpg.Connection):
    """There is nothing to reset."""

    def get_reset_query(self) -> str:
        return ""


encode = msgspec.json.Encoder().encode
one_item = msgspec.json.Decoder(NewItem).decode
many_items = msgspec.json.Decoder(NewItems).decode
one_job = msgspec.json.Decoder(NewJob).decode
histograms: dict[Any, list[float]] = defaultdict(lambda: [0.0] * (len(BOUNDS) + 2))
numbers = count()
process = os.urandom(8).hex().encode()
pool: Any = None
redis: Any = None
script = b""


async def start() -> None:
    global pool, redis, script
    pool = await asyncpg.create_pool(
        DATABASE_URL, min_size=5, max_size=20, connection_class=NoReset
    )
    parts = urlsplit(REDIS_URL)
    redis = (await connect(parts.hostname or "127.0.0.1", parts.port or 6379)).call
    script = await redis(b"SCRIPT", b"LOAD", ADMIT)


async def body_of(receive: Any) -> bytes:
    message = await receive()
    parts = [message["body"]]
    while message.get("more_body"):
        message = await receive()
        parts.append(message["body"])
    body = b"".join(parts)
    if b"\\u0000" in body:  # PostgreSQL's text cannot hold it
        raise ValueError
    return body


def signed(item_id: int) -> bytes:
    text = urlsafe_b64encode(b"%d" % item_id)
    return text + b"." + urlsafe_b64encode(hmac.digest(SECRET, text, "sha256")[:15])


def verified(cursor: str) -> int | None:
    text, _, signature = cursor.encode().partition(b".")
    right = urlsafe_b64encode(hmac.digest(SECRET, text, "sha256")[:15])
    return int(urlsafe_b64decode(text)) if hmac.compare_digest(right, signature) else None


async def get_user(user_id: int) -> tuple[int, bytes]:
    key = b"user:%d" % user_id
    if (cached := await redis(b"GET", key)) is not None:
        return 200, cached
    sql = "SELECT id, name, email, status, tier, created_at FROM users WHERE id = $1"
    row = await pool.fetchrow(sql, user_id)
    if row is None:
        return 404, b'{"detail":"There is no such user."}'
    body = encode(dict(row))
    await redis(b"SETEX", key, b"3600", body)
    return 200, body


async def get_items(query: bytes) -> tuple[int, bytes]:
    given = parse_qs(query.decode())
    limit = int(given.get("limit", ("20",))[0])
    wanted = given["fields"][0].split(",") if "fields" in given else COLUMNS
    if not 1 <= limit <= 100 or not set(wanted) <= set(COLUMNS):
        return 400, b'{"detail":"No such page."}'
    where, values = "", [limit + 1]
    if "cursor" in given:
        after = verified(given["cursor"][0])
        if after is None:
            return 400, b'{"detail":"No such cursor."}'
        where = "WHERE (created_at, id) < ((SELECT created_at FROM items WHERE id = $2), $2)"
        values.append(after)
    columns = ALL if wanted is COLUMNS else ", ".join(dict.fromkeys([*wanted, "id"]))
    sql = f"SELECT {columns} FROM items {where} ORDER BY created_at DESC, id DESC LIMIT $1"
    rows = await pool.fetch(sql, *values)
    more = len(rows) > limit
    page = rows[:limit] if more else rows
    shown = [dict(row) if wanted is COLUMNS else {n: row[n] for n in wanted} for row in page]
    follows = b'"%s"' % signed(page[-1]["id"]) if more else b"null"
    return 200, b'{"data":%s,"pagination":{"nextCursor":%s,"hasMore":%s}}' % (
        encode(shown),
        follows,
        b"true" if more else b"false",
    )


async def post_item(receive: Any) -> tuple[int, bytes]:
    new = one_item(await body_of(receive))
    sql = f"INSERT INTO items (name, price, description) VALUES ($1, $2, $3) RETURNING {ALL}"
    row = await pool.fetchrow(sql, new.name, new.price, new.description)
    await redis(b"UNLINK", b"item:%d" % row["id"])
    return 201, encode(dict(row))


async def post_items(receive: Any) -> tuple[int, bytes]:
    new = many_items(await body_of(receive)).items
    rows = await pool.fetch(
        "INSERT INTO items (name, price, description) "
        "SELECT * FROM unnest($1::text[], $2::float8[], $3::text[]) RETURNING id",
        [one.name for one in new],
        [one.price for one in new],
        [one.description for one in new],
    )
    await redis(b"UNLINK", *(b"item:%d" % row["id"] for row in rows))
    return 201, b'{"created":%d}' % len(rows)


async def post_job(receive: Any) -> tuple[int, bytes]:
    payload = await body_of(receive)
    one_job(payload)
    job = await pool.fetchval(
        "INSERT INTO queue_jobs (kind, payload, state, due_at, max_attempts) "
        "VALUES ('greet', $1, 'ready', now(), 3) RETURNING id",
        payload.decode(),
    )
    return 202, b'{"id":"%d"}' % job


async def answer(scope: Any, receive: Any) -> tuple[str, int, bytes]:
    """The route's template, the status and the body."""
    path, reads = scope["path"], scope["method"] == "GET"
    try:
        if path.startswith("/users/") and reads:
            return "/users/{id}", *await get_user(int(path[7:]))
        if path == "/items":
            found = get_items(scope["query_string"]) if reads else post_item(receive)
            return "/items", *await found
        if path == "/items/bulk":
            return "/items/bulk", *await post_items(receive)
        if path == "/jobs":
            return "/jobs", *await post_job(receive)
        if path == "/health":
            await pool.fetchval("SELECT 1")
            await redis(b"PING")
            return "/health", 200, b'{"status":"healthy"}'
    except (ValueError, msgspec.MsgspecError):
        return "bad", 422, b'{"detail":"That cannot be read."}'
    return "unmatched", 404, b'{"detail":"Not Found"}'


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    started = perf_counter()
    key, packs = b"", False
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            key = value
        elif name == b"accept-encoding":
            packs = b"gzip" in value
    who = KEYS.get(sha256(key).digest())
    if scope["path"] == "/health":
        route, status, body = await answer(scope, receive)
        extra = []
    elif who is None:
        route, status, body, extra = "refused", 401, b'{"detail":"Who are you?"}', []
    else:
        # sent in one write with what the route asks Redis for first
        left = await redis(b"EVALSHA", script, b"1", b"limit:%b:" % who, LIMIT)
        if left > 0:
            route, status, body = await answer(scope, receive)
        else:
            route, status, body = "limited", 429, b'{"detail":"Too often."}'
        extra = [(b"ratelimit-limit", LIMIT), (b"ratelimit-remaining", b"%d" % left)]
    if len(body) >= GZIP_FROM:
        extra.append((b"vary", b"Accept-Encoding"))
        if packs:
            body = zlib_ng.compress(body, GZIP_LEVEL, GZIP_WINDOW)
            extra.append((b"content-encoding", b"gzip"))
    request_id = b"%b%08x" % (process, next(numbers))
    head = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *SECURITY,
        (b"x-request-id", request_id),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
    took = perf_counter() - started
    histogram = histograms[scope["method"], route, status]
    histogram[bisect_left(BOUNDS, took)] += 1
    histogram[-1] += took


async def lifespan(receive: Any, send: Any) -> None:
    await receive()
    await start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await pool.close()
    await send({"type": "lifespan.shutdown.complete"})
