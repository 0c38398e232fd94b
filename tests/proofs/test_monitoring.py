"""What is shipped to look at shows something: a real Prometheus, every query of every panel and of every alert."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .harness.postgres import Postgres
from .harness.processes import until
from .harness.prometheus import Prometheus
from .harness.prometheus import scraping
from .harness.schedules import Schedules
from .harness.service import Service
from .harness.table import Table

EVERY_SECOND = {"PROOF_SCHEDULES": json.dumps({"second": ("* * * * * *", "UTC")})}
JSON, GZIP = {"Content-Type": "application/json"}, {"Accept-Encoding": "gzip"}
ITEM = json.dumps({"name": "seen", "price": 1, "description": "by Prometheus"})
# A bit of everything that the service does; what is refused belongs to it.
TRAFFIC: list[tuple[str, str, dict[str, str], str | None]] = [
    ("GET", "/users/1", {}, None),
    ("GET", "/users/1", {"X-API-Key": "guessed"}, None),
    ("GET", "/items?limit=100", GZIP, None),
    ("POST", "/items", JSON, ITEM),
    ("POST", "/jobs", JSON, '{"userId": 1}'),
    ("GET", "/nowhere", {}, None),
]


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
    monitoring, script = service.folder / "monitoring", schedules.script
    with (
        service.processes(1, "api", script, **EVERY_SECOND) as (api,),
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
                        name for name, query in asked.items() if not prometheus.query(query)
                    ]
                    return not empty

                try:
                    until(all_show, "every panel shows data", 60)
                except AssertionError:
                    assert empty == []
            rules = sound_rules(prometheus)
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
