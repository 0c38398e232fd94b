"""Redis commands of a request are spans of its trace, without keys and values."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ResponseError

from app.redis import RedisClient
from tests.http.asgi import call
from tests.tracing.conftest import ME
from tests.tracing.conftest import Open
from tests.tracing.ingest import Ingest

pytestmark = pytest.mark.anyio

SECRET = "hunter2"


async def test_commands_of_concurrent_requests(open_service: Open, ingest: Ingest) -> None:
    """They leave in one batch, and each is part of its own trace."""
    async with open_service() as traced:
        redis = traced.service.get(RedisClient)

        @traced.api.get("/asks")
        async def asks() -> None:
            await redis.execute("SET", SECRET, SECRET)
            with pytest.raises(ResponseError):
                await redis.execute("LPUSH", SECRET, 1)
            asked = redis.execute("GET", SECRET)
            asked.cancel()

        await redis.execute("GET", SECRET)
        await asyncio.gather(*(call(traced.app, path="/asks", headers=ME) for _ in range(5)))
    requests = ingest.named("GET /asks")
    assert len({one.trace_id for one in requests}) == 5
    for request in requests:
        spans = [one for one in ingest.spans if one.trace_id == request.trace_id]
        found = {
            one.name: one
            for one in spans
            if one.attributes.get("db.system.name") == "redis" and "EVAL" not in one.name
        }
        assert {name: one.failed for name, one in found.items()} == {
            "SET": False,
            "LPUSH": True,
            "GET": False,
        }
        assert {one.parent_id for one in found.values()} == {request.span_id}
        assert found["SET"].kind == "CLIENT"
        assert found["LPUSH"].attributes == {
            "db.system.name": "redis",
            "db.operation.name": "LPUSH",
            "error.type": "ResponseError",
        }
    assert SECRET.encode() not in ingest.raw.replace(b"test_with_redis", b"")
