"""What every server must do before it is measured."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.harness.servers import Request
from bench.harness.servers import dig

if TYPE_CHECKING:
    from bench.harness.backends import Backends
    from bench.harness.servers import Server

OF_AN_ITEM = {"id", "name", "price", "description", "created_at"}


def check(server: Server, backends: Backends) -> dict[str, str]:
    """Tries every endpoint for real. Returns scenario -> what is wrong, for those that fail."""
    contract = Contract(server, backends)
    wrong: dict[str, str] = {}
    for scenarios, endpoint, probe in contract.probes():
        if not server.endpoints.get(endpoint):
            continue
        try:
            problem = probe()
        except Exception as error:  # a broken answer is a finding, not a crash of the harness
            problem = f"{type(error).__name__}: {error}"
        if problem:
            wrong |= dict.fromkeys(scenarios, problem)
    return wrong


class Contract:
    """Each method tries one endpoint and returns what is wrong with it, or None."""

    def __init__(self, server: Server, backends: Backends) -> None:
        self._server = server
        self._backends = backends

    def probes(self) -> list[tuple[tuple[str, ...], str, Callable[[], str | None]]]:
        """The scenarios that cannot be measured if it fails, the endpoint it needs, the probe."""
        found: list[tuple[tuple[str, ...], str, Callable[[], str | None]]] = [
            (("user_hit", "mixed"), "user", self.user),
            (("items_page", "items_page_gzip", "mixed"), "items", self.items),
            (("item_create", "mixed"), "item_create", self.create),
            (("items_bulk",), "items_bulk", self.bulk),
            (("job_enqueue", "mixed"), "job_enqueue", self.job),
            (("metrics",), "metrics", self.metrics),
        ]
        if "compression" in self._server.features:
            found.append((("items_page_gzip",), "items", self.zipped))
        if self._server.shape["fields"]:
            found.append((("items_fields", "mixed"), "items", self.fields))
        return found

    def user(self) -> str | None:
        """A user, whose second read comes from the cache."""
        server, sql = self._server, self._backends.sql
        status, _, body = server.fetch(server.user(7))
        doc = json.loads(body)
        if status != 200 or doc["id"] != 7 or doc["email"] != "user7@example.com":
            return f"user 7: {status} {body[:120]!r}"
        sql("UPDATE users SET name = 'changed behind the cache' WHERE id = 7")
        again = json.loads(server.fetch(server.user(7))[2])
        sql("UPDATE users SET name = 'User 7' WHERE id = 7")
        if again["name"] != doc["name"]:
            return "the second read of user 7 did not come from the cache"
        if server.fetch(server.user(99_999_999))[0] != 404:
            return "an unknown user is not 404"
        return None

    def items(self) -> str | None:
        """Two pages, which follow one another."""
        server, shape = self._server, self._server.shape
        status, _, body = server.fetch(server.page())
        doc = json.loads(body)
        rows = dig(doc, shape["data"])
        if status != 200 or len(rows) != 20 or rows[0]["id"] != 100_000:
            return f"first page: {status} {body[:120]!r}"
        if set(rows[0]) < OF_AN_ITEM:
            return f"item keys: {sorted(rows[0])}"
        if len(rows[0]["description"]) != 300 or not isinstance(rows[0]["price"], (int, float)):
            return "item values are not as seeded"
        second = json.loads(server.fetch(server.page(dig(doc, shape["next_cursor"])))[2])
        if [r["id"] for r in dig(second, shape["data"])] != list(range(99_980, 99_960, -1)):
            return "the second page does not follow the first"
        return None

    def zipped(self) -> str | None:
        """A page in gzip."""
        server = self._server
        _, headers, body = server.fetch(server.page(headers={"Accept-Encoding": "gzip"}))
        if headers.get("content-encoding") != "gzip":
            return "no gzip although compression is named in features"
        json.loads(gzip.decompress(body))
        return None

    def fields(self) -> str | None:
        """A page of two fields."""
        status, _, body = self._server.fetch(self._server.projected())
        rows = dig(json.loads(body), self._server.shape["data"])
        if status != 200 or len(rows) != 20 or any(set(r) != {"id", "name"} for r in rows):
            return f"fields=id,name: {status} {body[:120]!r}"
        return None

    def create(self) -> str | None:
        """One row more."""
        return self._made(self._server.create(1), 1)

    def bulk(self) -> str | None:
        """A hundred rows more."""
        return self._made(self._server.bulk(1), 100)

    def _made(self, request: Request, rows: int) -> str | None:
        before = self._items()
        status, _, body = self._server.fetch(request)
        if status not in (200, 201) or self._items() != before + rows:
            return f"{request[0]} {request[1]}: {status} {body[:120]!r}"
        return None

    def _items(self) -> int:
        return int(self._backends.sql("SELECT count(*) FROM items"))

    def job(self) -> str | None:
        """The job is in its store before the answer."""
        server = self._server
        server.fetch(server.job(1))
        if self._stored_by(server.job(2)) <= self._stored_by(server.user(7)):
            return (
                "the job is not in its store (Redis, or the server's jobs_table) before the answer"
            )
        return None

    def _stored_by(self, request: Request) -> int:
        before = self._stored()
        status, _, body = self._server.fetch(request)
        if not 200 <= status < 300:
            raise RuntimeError(f"{status} {body[:120]!r}")
        return self._stored() - before

    def _stored(self) -> int:
        if table := self._server.spec.get("jobs_table"):
            return int(self._backends.sql(f"SELECT count(*) FROM {table}"))
        return self._backends.redis_info("rdb_changes_since_last_save")

    def metrics(self) -> str | None:
        """Metrics of requests."""
        status, _, body = self._server.fetch(self._server.simple("metrics"))
        if status != 200 or b"http_request" not in body:
            return f"{status} {body[:80]!r}"
        return None
