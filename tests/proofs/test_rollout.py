"""A rollout loses nothing: instances behind HAProxy are replaced one after the other, under load."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from .harness.fleet import Fleet
from .harness.fleet import fleet
from .harness.haproxy import balancer
from .harness.haproxy import find_haproxy
from .harness.load import Answer
from .harness.load import Load
from .harness.load import Request
from .harness.load import Tally
from .harness.load import get
from .harness.load import send
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.service import Service
from .harness.table import Table

INSTANCES, CLIENTS, PAUSE_S = 2, 24, 0.1
ITEM = {"name": "an item", "price": 1, "description": "made while instances are replaced"}
ITEMS = "SELECT count(*) FROM items"
JOBS = "SELECT count(*) FROM queue_jobs"

# The service's own worker, with mail that takes a while: there is always some in flight.
WORKER = """\
import asyncio, sys

from app import commands
from app.http.logs import log
from app.queue import example


class SlowMail(example.LoggedMail):
    async def send(self, to, text, key):
        log.info("mail_begun", key=key)
        await asyncio.sleep(0.25)
        await super().send(to, text, key)


example.LoggedMail = SlowMail
sys.exit(commands.main())
"""


def mixed(random: Random) -> Request:
    """Cached reads, pages, new items and new jobs."""
    dice, user = random.random(), random.randint(1, 100)
    if dice < 0.5:
        return get(f"/users/{user}")
    if dice < 0.7:
        return get("/items?limit=20")
    return send("POST", "/items", ITEM) if dice < 0.85 else send("POST", "/jobs", {"userId": user})


class Accepted:
    """Checks answers, and keeps what was promised: the jobs, by the keys of their mails."""

    def __init__(self) -> None:
        self.mails: list[str] = []

    def __call__(self, request: Request, answer: Answer) -> str | None:
        """What is wrong with the answer, or None."""
        if answer.status == 202:
            self.mails.append(f"welcome-{answer.json['id']}")
        if answer.status == 200 and request.path.startswith("/users/"):
            right = answer.json["id"] == int(request.path.removeprefix("/users/"))
            return None if right else f"{request.path} got {answer.json['id']}"
        return None


async def replaced(deployed: Fleet, service: Service, times: int, accepted: Accepted) -> Tally:
    """What became of the requests while every instance was replaced, one after the other."""
    ports = [deployed.balancer.port]
    load = Load(ports, service.key, mixed, clients=CLIENTS, check=accepted, pause=PAUSE_S)
    async with load:
        await asyncio.sleep(1)
        for _ in range(times):
            await asyncio.to_thread(deployed.replace, service)
        await asyncio.sleep(1)
    return load.tally


@pytest.mark.parametrize(
    ("times", "every_s", "drain_s"),
    [
        pytest.param(2, 0.2, 2.0, id="twice"),
        # what the service does by default, and a balancer that fits it
        pytest.param(
            10, 1.0, 5.0, id="ten-times", marks=[pytest.mark.slow, pytest.mark.timeout(600)]
        ),
    ],
)
def test_instances_are_replaced(
    service: Service,
    postgres: Postgres,
    work: Path,
    table: Table,
    times: int,
    every_s: float,
    drain_s: float,
) -> None:
    haproxy = find_haproxy()
    script, accepted = work / "slow_mail.py", Accepted()
    script.write_text(WORKER)
    postgres.sql("TRUNCATE queue_jobs")
    items = int(postgres.sql(ITEMS))
    with (
        balancer(work / f"haproxy-{times}", haproxy, INSTANCES, every_s) as before,
        fleet(before, service, script, SHUTDOWN_DRAIN_S=str(drain_s)) as deployed,
    ):
        tally = asyncio.run(replaced(deployed, service, times, accepted))
        until(lambda: postgres.sql(JOBS) == "0", "every job is done", 60)
        begun, sent = deployed.mails("mail_begun"), deployed.mails("mail")
    assert tally.failed == 0, f"{tally} {tally.wrong[:1]}"
    assert set(tally.outcomes) == {"200", "201", "202"}
    assert int(postgres.sql(ITEMS)) - items == tally.outcomes["201"]
    assert sorted(sent) == sorted(accepted.mails)
    assert sorted(begun) == sorted(accepted.mails)
    assert deployed.handed_over, "no job was in flight at any SIGTERM: this proves nothing"
    table.add(
        "A rollout loses nothing",
        f"{INSTANCES} api and {INSTANCES} worker processes behind HAProxy (`retries 0`), each "
        f"replaced under {CLIENTS} keep-alive clients",
        f"{times} times, exit code 0; {deployed.handed_over} jobs in flight at the SIGTERMs",
        f"0 of {tally.total:,} requests, 0 of {len(sent):,} jobs, 0 done twice",
    )
