"""One request through seven patterns, as the service's README tells it."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

from .harness.ingest import Ingest
from .harness.load import Answer
from .harness.load import Request
from .harness.load import ask
from .harness.load import send
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.service import Api
from .harness.service import Service
from .harness.table import Table

OWNERS = 5
LISTING = "/items?fields=id,name,owner(name)&limit=50"
NAME = "Ada of the story"  # no other proof names anybody so
SETTINGS = {
    "OTEL_TRACES_SAMPLER_ARG": "1",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "ACCESS_LOG": "true",
    "RATE_LIMIT_TIERS": "standard:100",
}


def page(path: str = LISTING) -> Request:
    """As a client asks that reads gzip."""
    return Request("GET", path, headers=("Accept-Encoding: gzip",))


def shown(answer: Answer) -> list[dict[str, object]]:
    """The items of the page."""
    assert answer.status == 200, answer.body
    assert answer.headers["content-encoding"] == "gzip"
    items: list[dict[str, object]] = json.loads(gzip.decompress(answer.body))["data"]
    return items


def queries(api: Api) -> dict[str, float]:
    """How often this process has asked the database for what."""
    return {
        name: api.metric("database_query_duration_seconds_count", statement=name)
        for name in ("item_fields_first_page", "owners")
    }


def told(ingest: Any, trace_id: str) -> set[str]:
    """The names of the spans of a trace."""
    return {span.name for span in ingest.spans if span.trace_id == trace_id}


def test_one_request_through_all_of_it(service: Service, postgres: Postgres, table: Table) -> None:
    postgres.sql(f"UPDATE items SET owner_id = 1 + id % {OWNERS}")
    with Ingest() as ingest:
        settings = {**SETTINGS, "OTEL_EXPORTER_OTLP_ENDPOINT": ingest.url}
        with service.processes(1, **settings) as (api,):

            def get(path: str = LISTING) -> Answer:
                return asyncio.run(ask(api.port, service.key, page(path)))

            cold, warm = get(), get()
            assert shown(cold) == shown(warm)
            assert len(shown(cold)) == 50
            assert all(item.keys() == {"id", "name", "owner"} for item in shown(cold))
            assert queries(api) == {"item_fields_first_page": 2, "owners": 1}
            assert api.metric("dataloader_batch_keys_sum", loader="owners") == 2 * OWNERS
            assert api.metric("cache_requests_total", result="hit") == OWNERS
            assert cold.headers["ratelimit"].startswith('"standard";r=99;')
            assert warm.headers["ratelimit"].startswith('"standard";r=98;')

            change = send("PATCH", "/users/1", {"name": NAME})
            assert asyncio.run(ask(api.port, service.key, change)).status == 200
            owners = [item["owner"] for item in shown(get())]
            assert owners.count({"name": NAME}) == 50 // OWNERS

            following = warm.headers["link"].partition(">")[0].removeprefix("<")
            ids = [item["id"] for item in shown(get(f"/items{following}"))]
            assert set(ids).isdisjoint(item["id"] for item in shown(warm))
            assert get("/items?fields=id,owner(email)").status == 400

            until(lambda: len(ingest.named("GET /items")) == 5, "the requests are told", 30)
            logged = [line["trace_id"] for line in api.events("request")]
    first, second, *_ = (told(ingest, request.trace_id) for request in ingest.named("GET /items"))
    warmed = {"GET /items", "item_fields_first_page", "MGET", "EVALSHA"}  # the limit is a script
    assert first >= warmed | {"owners"}
    assert second == warmed
    assert {request.trace_id for request in ingest.named("GET /items")} <= set(logged)
    table.add(
        "One request through cache, fields, pages, loader, compression, limit and trace",
        "50 items with owners, asked for cold, warm, after a change of an owner, and the next page",
        "5 requests",
        "0 queries for owners when they are cached, 0 owners older than the change",
    )
