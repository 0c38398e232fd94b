"""What is shipped to look at shows something: a real Prometheus, every query of every panel and of every alert."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from math import isnan
from pathlib import Path

from .harness.ingest import Ingest
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.prometheus import Prometheus
from .harness.prometheus import scraping
from .harness.schedules import Schedules
from .harness.service import Service
from .harness.table import Table
from .test_sessions import CHEAP
from .test_sessions import EMAIL
from .test_sessions import PASSWORD
from .test_sessions import set_password
from .test_tracing import environment as traced

EVERY_SECOND = {"PROOF_SCHEDULES": json.dumps({"second": ("* * * * * *", "UTC")})}
JSON, GZIP = {"Content-Type": "application/json"}, {"Accept-Encoding": "gzip"}
ITEM = json.dumps({"name": "seen", "price": 1, "description": "by Prometheus"})
KEY, CSV = {"Idempotency-Key": "seen-once"}, {"Content-Type": "text/csv"}
LOGIN = json.dumps({"email": EMAIL, "password": PASSWORD})
ROWS = "name,price,description\nimported,1,\nbad,-1,\n"
# On the first page of all items, whatever is made meanwhile.
OWNED = """INSERT INTO items (name, price, description, created_at, owner_id)
SELECT 'owned', 1, '', now() + interval '1 day', n FROM generate_series(1, 3) n"""
# A bit of everything that the service does; what is refused belongs to it.
TRAFFIC: list[tuple[str, str, dict[str, str], str | None]] = [
    ("GET", "/users/1", {}, None),
    ("GET", "/users/1", {"X-API-Key": "guessed"}, None),
    ("GET", "/items?limit=100", GZIP, None),
    ("POST", "/items", JSON, ITEM),
    ("POST", "/jobs", JSON, '{"userId": 1}'),
    ("GET", "/nowhere", {}, None),
    ("GET", "/items/owned", {}, None),
    ("GET", "/items/1/price?currency=EUR", {}, None),
    ("POST", "/items", JSON | KEY, ITEM),
    ("POST", "/session", JSON, LOGIN),
    ("GET", "/items.csv", {}, None),
    ("POST", "/items.csv?on_error=skip", CSV, ROWS),
]


class Rates(BaseHTTPRequestHandler):
    """What one US dollar is worth."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The same to everybody."""
        body = b'{"rates": {"EUR": 0.92}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def rates() -> Iterator[dict[str, str]]:
    """The settings of a service that asks for rates."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Rates) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield {"HTTP_CLIENT_UPSTREAMS": f"rates=http://127.0.0.1:{server.server_port}"}
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def traffic(service: Service, port: int) -> Iterator[None]:
    """One client that goes round and round."""
    over = threading.Event()

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while not over.is_set():
            for method, path, headers, body in TRAFFIC:
                connection.request(method, path, body, {"X-API-Key": service.key} | headers)
                connection.getresponse().read()
            over.wait(0.05)
        connection.close()

    client = threading.Thread(target=send)
    client.start()
    try:
        yield
    finally:
        over.set()
        client.join()


def panels(monitoring: Path) -> dict[str, str]:
    """Every query of every panel, by dashboard, panel and its number there."""
    found = {}
    for path in sorted((monitoring / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for number, target in enumerate(panel["targets"], 1):
                name = f"{path.stem}: {panel['title']} {number}"
                found[name] = target["expr"].replace("$__rate_interval", "15s")
    return found


def test_every_panel_shows_data_and_every_rule_can_be_asked(
    service: Service, postgres: Postgres, work: Path, table: Table
) -> None:
    schedules = Schedules(service, postgres, work)
    set_password(service, postgres)
    postgres.sql(OWNED)
    monitoring, script = service.folder / "monitoring", schedules.script
    with (
        Ingest() as ingest,
        rates() as asked_by_api,
        service.processes(
            1, "api", script, **EVERY_SECOND, **CHEAP, **asked_by_api, **traced(ingest)
        ) as (api,),
        service.processes(1, "worker", script, **EVERY_SECOND) as (worker,),
        service.processes(1, "scheduler", script, **EVERY_SECOND) as (scheduler,),
    ):
        targets = [f"127.0.0.1:{one.internal_port}" for one in (api, worker, scheduler)]
        with scraping(work / "prometheus", monitoring, targets) as prometheus:
            with traffic(service, api.port):
                asked = panels(monitoring)
                empty: list[str] = []

                def all_show() -> bool:
                    empty[:] = [
                        name
                        for name, query in asked.items()
                        if all(isnan(value) for value in prometheus.query(query))
                    ]
                    return not empty

                try:
                    until(all_show, "every panel shows data", 60)
                except AssertionError:
                    assert empty == []
            rules = sound_rules(prometheus)
    postgres.sql("DELETE FROM items WHERE name IN ('owned', 'imported')")
    done = "a real Prometheus scrapes api, worker and scheduler"
    table.add(
        "what is shipped to look at shows something",
        done,
        f"{len(asked)} queries of panels",
        "0 empty",
    )
    table.add(
        "what is shipped to look at shows something",
        done,
        f"{rules} alerts",
        "0 that cannot be asked",
    )


def sound_rules(prometheus: Prometheus) -> int:
    """How many alerts there are; Prometheus must have been able to evaluate each of them."""

    def rules() -> list[dict[str, str]]:
        groups = prometheus.ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    until(lambda: all(rule["health"] != "unknown" for rule in rules()), "each is evaluated", 30)
    assert [rule for rule in rules() if rule["health"] != "ok"] == []
    return len(rules())
