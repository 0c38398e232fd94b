"""What every server must do before it is measured."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING
from typing import Any

from bench.harness.servers import dig

if TYPE_CHECKING:
    from bench.harness.backends import Backends
    from bench.harness.servers import Server


def check(server: Server, backends: Backends) -> dict[str, str]:
    """Tries every endpoint for real. Returns scenario -> what is wrong, for those that fail."""
    wrong: dict[str, str] = {}
    shape = server.shape

    def attempt(scenarios: tuple[str, ...], needs: str, probe: Any) -> None:
        if not server.endpoints.get(needs):
            return
        try:
            problem = probe()
        except Exception as error:  # a broken answer is a finding, not a crash of the harness
            problem = f"{type(error).__name__}: {error}"
        if problem:
            for scenario in scenarios:
                wrong[scenario] = problem

    def count() -> int:
        return int(backends.sql("SELECT count(*) FROM items"))

    def user() -> str | None:
        status, _, body = server.fetch(server.user(7))
        doc = json.loads(body)
        if status != 200 or doc["id"] != 7 or doc["email"] != "user7@example.com":
            return f"user 7: {status} {body[:120]!r}"
        backends.sql("UPDATE users SET name = 'changed behind the cache' WHERE id = 7")
        again = json.loads(server.fetch(server.user(7))[2])
        backends.sql("UPDATE users SET name = 'User 7' WHERE id = 7")
        if again["name"] != doc["name"]:
            return "the second read of user 7 did not come from the cache"
        if server.fetch(server.user(99_999_999))[0] != 404:
            return "an unknown user is not 404"
        return None

    def items() -> str | None:
        status, _, body = server.fetch(server.page())
        doc = json.loads(body)
        rows = dig(doc, shape["data"])
        if status != 200 or len(rows) != 20 or rows[0]["id"] != 100_000:
            return f"first page: {status} {body[:120]!r}"
        if set(rows[0]) < {"id", "name", "price", "description", "created_at"}:
            return f"item keys: {sorted(rows[0])}"
        if len(rows[0]["description"]) != 300 or not isinstance(rows[0]["price"], (int, float)):
            return "item values are not as seeded"
        second = json.loads(server.fetch(server.page(dig(doc, shape["next_cursor"])))[2])
        if [r["id"] for r in dig(second, shape["data"])] != list(range(99_980, 99_960, -1)):
            return "the second page does not follow the first"
        return None

    def zipped() -> str | None:
        _, headers, body = server.fetch(server.page(headers={"Accept-Encoding": "gzip"}))
        if headers.get("content-encoding") != "gzip":
            return "no gzip although compression is named in features"
        json.loads(gzip.decompress(body))
        return None

    def fields() -> str | None:
        status, _, body = server.fetch(server.projected())
        rows = dig(json.loads(body), shape["data"])
        if status != 200 or len(rows) != 20 or any(set(r) != {"id", "name"} for r in rows):
            return f"fields=id,name: {status} {body[:120]!r}"
        return None

    def create() -> str | None:
        before = count()
        status, _, body = server.fetch(server.create(1))
        if status not in (200, 201) or count() != before + 1:
            return f"create: {status} {body[:120]!r}"
        return None

    def bulk() -> str | None:
        before = count()
        status, _, body = server.fetch(server.bulk(1))
        if status not in (200, 201) or count() != before + 100:
            return f"bulk: {status} {body[:120]!r}"
        return None

    def job() -> str | None:
        def stored() -> int:
            table = server.spec.get("jobs_table")
            return (
                int(backends.sql(f"SELECT count(*) FROM {table}"))
                if table
                else backends.redis_info("rdb_changes_since_last_save")
            )

        def writes(request: tuple[Any, ...]) -> int:
            before = stored()
            status, _, body = server.fetch(request)
            if not 200 <= status < 300:
                raise RuntimeError(f"{status} {body[:120]!r}")
            return stored() - before

        server.fetch(server.job(1))
        if writes(server.job(2)) <= writes(server.user(7)):
            return (
                "the job is not in its store (Redis, or the server's jobs_table) before the answer"
            )
        return None

    attempt(("user_hit", "mixed"), "user", user)
    attempt(("items_page", "items_page_gzip", "mixed"), "items", items)
    if "compression" in server.features:
        attempt(("items_page_gzip",), "items", zipped)
    if shape["fields"]:
        attempt(("items_fields", "mixed"), "items", fields)
    attempt(("item_create", "mixed"), "item_create", create)
    attempt(("items_bulk",), "items_bulk", bulk)
    attempt(("job_enqueue", "mixed"), "job_enqueue", job)
    if server.endpoints.get("metrics"):
        status, _, body = server.fetch(server.simple("metrics"))
        if status != 200 or b"http_request" not in body:
            wrong["metrics"] = f"{status} {body[:80]!r}"
    return wrong
