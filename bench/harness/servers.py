"""The servers that are compared, as their TOML files describe them, and the requests of each scenario."""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import re
import subprocess
import time
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import quote

from bench.harness.processes import Process

if TYPE_CHECKING:
    from bench.harness.measuring import Bench

BENCH = Path(__file__).parents[1]
Request = tuple[str, str, dict[str, str], str | None]  # method, path, headers, body
HOT_USERS = 1000  # ids 1 to this are read from the cache

ENDPOINTS = {
    "user": "GET /users/{id}",
    "items": "GET /items",
    "item_create": "POST /items",
    "items_bulk": "POST /items/bulk",
    "job_enqueue": "POST /jobs",
    "health": "GET /health",
    "metrics": "GET /metrics",
}
SHAPE = {
    "limit": "limit",
    "cursor": "cursor",
    "fields": "fields",
    "data": "data",
    "next_cursor": "pagination.nextCursor",
    "bulk_key": "items",
}
BODIES = {"job": '{"userId": $id}'}

# scenario -> the endpoint it needs
SCENARIOS = {
    "user_hit": "user",
    "items_page": "items",
    "items_page_gzip": "items",
    "items_fields": "items",
    "item_create": "item_create",
    "items_bulk": "items_bulk",
    "job_enqueue": "job_enqueue",
    "health": "health",
    "mixed": "user",
}


class Server:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.name: str = spec["name"]
        self.group: str = spec.get("group", self.name)
        self.spec = spec
        self.port: int = spec["port"]
        self.features: list[str] = spec.get("features", [])
        self.headers: dict[str, str] = spec.get("headers", {})
        self.endpoints = {**ENDPOINTS, **spec.get("endpoints", {})}
        self.shape = {**SHAPE, **spec.get("shape", {})}
        self.bodies = {**BODIES, **spec.get("bodies", {})}
        self.startup_timeout = float(spec.get("startup_timeout", 60))
        self.process: Process | None = None

    # --- requests

    def request(
        self,
        endpoint: str,
        body: str | None = None,
        query: str = "",
        headers: dict[str, str] | None = None,
        **values: Any,
    ) -> Request:
        method, path = self.endpoints[endpoint].split(" ", 1)
        path = path.format(**values)
        if query:
            path += ("&" if "?" in path else "?") + query
        head = {**self.headers, **(headers or {})}
        if body is not None:
            head["Content-Type"] = "application/json"
        return method, path, head, body

    def user(self, user_id: int) -> Request:
        return self.request("user", id=user_id)

    def page(self, cursor: str | None = None, headers: dict[str, str] | None = None) -> Request:
        query = f"{self.shape['limit']}=20"
        if cursor:
            query += f"&{self.shape['cursor']}={quote(cursor, safe='')}"
        return self.request("items", query=query, headers=headers)

    def projected(self) -> Request:
        if not self.shape["fields"]:  # then `mixed` has whole pages in their place
            return self.page()
        return self.request("items", query=f"{self.shape['fields']}=id,name")

    def create(self, n: int) -> Request:
        return self.request("item_create", json.dumps(item_doc(n)))

    def bulk(self, n: int) -> Request:
        rows = [item_doc(n * 100 + i) for i in range(100)]
        key = self.shape["bulk_key"]
        return self.request("items_bulk", json.dumps({key: rows} if key else rows))

    def job(self, user_id: int) -> Request:
        return self.request("job_enqueue", Template(self.bodies["job"]).substitute(id=user_id))

    def simple(self, endpoint: str) -> Request:
        return self.request(endpoint)

    # --- schema: the workload's, or with `prepare` the server's own

    def seed(self, bench: Bench) -> str:
        """Name of the database to copy. `prepare` makes the server's own schema, once, in an empty one."""
        if not self.spec.get("prepare"):
            return "bench_seed"
        name = "bench_seed_" + re.sub(r"\W", "_", self.name)
        if name in bench.seeds:
            return name
        backends = bench.backends
        backends.sql(f"CREATE DATABASE {name}", "postgres")
        values = self._values(bench)
        values["database_url"] = values["database_url"].rpartition("/")[0] + "/" + name
        env = self._environment(values)
        for command in self.spec["prepare"]:
            done = subprocess.run(
                [part.format(**values) for part in command],
                env=env,
                text=True,
                capture_output=True,
                cwd=self.spec["cwd"].format(**values),
            )
            if done.returncode:
                raise RuntimeError(f"prepare {command}: {(done.stderr or done.stdout)[-600:]}")
        backends.psql(name, "-f", str(BENCH / "sql" / "seed.sql"))
        bench.seeds.add(name)
        return name

    def _values(self, bench: Bench) -> dict[str, str]:
        """What stands for the placeholders of servers.toml."""
        return {
            "build": str(bench.build),
            "bench": str(BENCH),
            "run": str(bench.work),
            "port": str(self.port),
            **bench.places,
        }

    def _environment(self, values: dict[str, str]) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        return env | {k: str(v).format(**values) for k, v in self.spec.get("env", {}).items()}

    def has(self, scenario: str) -> bool:
        if not self.endpoints.get(SCENARIOS[scenario]):
            return False
        if scenario == "items_page_gzip":
            return "compression" in self.features
        if scenario == "items_fields":
            return bool(self.shape["fields"])
        if scenario == "mixed":
            return all(
                self.endpoints.get(e) for e in ("user", "items", "item_create", "job_enqueue")
            )
        return True

    def requests(self, scenario: str, cursors: list[str]) -> list[Request]:
        rng = random.Random(7)
        if scenario == "user_hit":
            return [self.user(i) for i in range(1, HOT_USERS + 1)]
        if scenario == "items_page":
            return [self.page(c) for c in cursors]
        if scenario == "items_page_gzip":
            return [self.page(c, {"Accept-Encoding": "gzip"}) for c in cursors]
        if scenario == "items_fields":
            return [self.projected()]
        if scenario == "item_create":
            return [self.create(n) for n in range(200)]
        if scenario == "items_bulk":
            return [self.bulk(n) for n in range(4)]
        if scenario == "job_enqueue":
            return [self.job(n) for n in range(1, 201)]
        if scenario == "health":
            return [self.simple("health")]
        mix = [self.user(rng.randint(1, HOT_USERS)) for _ in range(350)]
        mix += [self.page(rng.choice(cursors)) for _ in range(75)]
        mix += [self.projected() for _ in range(25)]
        mix += [self.create(n) for n in range(25)]
        mix += [self.job(n) for n in range(1, 26)]
        return mix

    # --- life

    def start(self, bench: Bench) -> float:
        """Start it; seconds until it answers."""
        values = self._values(bench)
        cwd = Path(self.spec["cwd"].format(**values))
        if not cwd.is_dir():
            raise RuntimeError(f"{cwd} does not exist: see bench/README.md")
        started = time.monotonic()
        self.process = Process(
            [part.format(**values) for part in self.spec["start"]],
            bench.args.server_cpus,
            bench.work / f"server-{self.name}.log",
            cwd=cwd,
            env=self._environment(values),
        )
        while True:
            try:
                if self.fetch(self.simple("health"), timeout=5)[0] == 200:
                    return time.monotonic() - started
            except (OSError, http.client.HTTPException):
                pass
            if not self.process.alive():
                raise RuntimeError(f"exited with {self.process.popen.returncode}: {self.tail()}")
            if time.monotonic() - started > self.startup_timeout:
                raise RuntimeError(f"no 200 from health: {self.tail()}")
            time.sleep(0.005)

    def tail(self) -> str:
        assert self.process
        return self.process.log.read_text(errors="replace")[-600:]

    def fetch(self, request: Request, timeout: float = 10) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            return self.fetch_on(connection, request)
        finally:
            connection.close()

    @staticmethod
    def fetch_on(
        connection: http.client.HTTPConnection, request: Request
    ) -> tuple[int, dict[str, str], bytes]:
        method, path, headers, body = request
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()

    def stop(self) -> None:
        if self.process:
            self.process.stop(wait=35)
            self.process = None


def item_doc(n: int) -> dict[str, Any]:
    text = base64.b64encode(random.Random(n).randbytes(225)).decode()
    return {"name": f"New item {n}", "price": 10 + n % 990 + 0.5, "description": text}


def dig(doc: Any, path: str) -> Any:
    for part in path.split(".") if path else []:
        doc = doc[int(part)] if isinstance(doc, list) else doc.get(part)
    return doc
