"""A service that is used for a long time needs no more memory and no more files than before.

PERFGEN_SOAK_S says for how many seconds; ten minutes if it does not.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from random import Random

import pytest

from .harness.load import Load
from .harness.load import Request
from .harness.load import Tally
from .harness.load import get
from .harness.load import send
from .harness.processes import until
from .harness.service import Api
from .harness.service import Service
from .harness.table import Table

SOAK_S = float(os.environ.get("PERFGEN_SOAK_S", "600"))
WARM_UP_S = max(20.0, SOAK_S / 5)
GROWTH = 0.05
KINDS = ("api", "worker", "scheduler")
ITEM = {"name": "an item", "price": 1, "description": "made while the service soaks"}


def mixed(random: Random) -> Request:
    """Everything that the example has, some of it refused."""
    user, limit = random.randint(1, 300), random.randint(1, 100)
    status = random.choice(["active", "inactive"])
    fields = ",".join(random.sample(["id", "name", "price", "owner(name)"], 2))
    shares = {
        get(f"/users/{user}"): 45,
        get(f"/items?limit={limit}"): 7,
        get(f"/items?fields={fields}&limit={limit}"): 6,
        get("/items/owned"): 2,
        get(f"/items/{random.randint(1, 2000)}"): 10,
        send("PATCH", f"/users/{user}", {"status": status}): 10,
        send("POST", "/items", ITEM): 6,
        send("POST", "/items", ITEM, f"Idempotency-Key: {random.getrandbits(64):x}"): 2,
        send("POST", "/items/bulk", {"items": [ITEM] * 50}): 2,
        send("POST", "/jobs", {"userId": user}): 4,
        get("/nowhere"): 2,
        get("/users/x"): 1,
        get("/items?cursor=x"): 2,
        send("POST", "/items", {}): 1,
    }
    [chosen] = random.choices([*shares], [*shares.values()])
    return chosen


async def load(api: Api, key: str, seconds: float) -> Tally:
    async with Load([api.port], key, mixed, clients=16, pause=0.05) as under:
        await asyncio.sleep(seconds)
    return under.tally


def files(process: Api) -> int:
    """Open files of a process."""
    return sum(1 for _ in Path(f"/proc/{process.process.pid}/fd").iterdir())


def resident(process: Api) -> int:
    """Bytes of memory of a process."""
    pages = Path(f"/proc/{process.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def settled(processes: list[Api]) -> list[int]:
    """Open files once idle connections have been closed: the same for three seconds."""
    last, since = [files(one) for one in processes], time.monotonic()

    def steady() -> bool:
        nonlocal last, since
        now = [files(one) for one in processes]
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.2)
        return time.monotonic() - since > 12  # the pool closes what was idle for ten seconds

    until(steady, "the number of open files is steady", 90)
    return last


@pytest.mark.slow
@pytest.mark.timeout(SOAK_S + WARM_UP_S + 300)
def test_nothing_grows(service: Service, table: Table) -> None:
    started = [service.start(kind) for kind in KINDS]
    try:
        for one in started:
            one.wait_until_ready()
        api = started[0]
        asyncio.run(load(api, service.key, WARM_UP_S))
        open_before = settled(started)
        before = [resident(one) for one in started]
        tally = asyncio.run(load(api, service.key, SOAK_S))
        open_after = settled(started)
        after = [resident(one) for one in started]
        assert not [outcome for outcome in tally.outcomes if not outcome.isdigit()], str(tally)
        assert not [outcome for outcome in tally.outcomes if outcome.startswith("5")], str(tally)
        assert open_after == open_before
        grown = [later / earlier - 1 for earlier, later in zip(before, after, strict=True)]
        assert max(grown) < GROWTH, dict(zip(KINDS, grown, strict=True))
    finally:
        for one in started:
            one.process.end(signal.SIGKILL)
    said = ", ".join(
        f"{kind} {100 * growth:+.1f} %" for kind, growth in zip(KINDS, grown, strict=True)
    )
    table.add(
        "A service that is used for long does not grow",
        f"mixed load for {SOAK_S:g} s, after {WARM_UP_S:g} s to warm up: memory {said}",
        f"{tally.total:,} requests",
        f"open files equal: {', '.join(map(str, open_after))}",
    )


def test_every_process_can_be_profiled(service: Service, table: Table) -> None:
    """Under load, while it is told to end as well; and nothing is left of it."""
    for kind in KINDS:
        with service.processes(1, kind) as (process,):
            before, threads = files(process), process.metric("process_open_fds")
            status, body = process.probe("/profile/cpu?seconds=1", timeout=30)
            assert status == 200, body
            document = json.loads(body)
            assert "MainThread" in {profile["name"] for profile in document["profiles"]}
            status, body = process.probe("/profile/memory?seconds=0.5", timeout=30)
            assert status == 200, body
            assert set(json.loads(body)) == {"lines", "objects"}
            assert process.metric("event_loop_lag_seconds_count") > 0
            assert files(process) <= before + 1
            assert threads
            process.process.send(signal.SIGTERM)
            assert process.process.wait(15) == 0
    table.add(
        "Every process can be profiled while it runs",
        f"CPU and memory profile of {', '.join(KINDS)}, then SIGTERM",
        len(KINDS),
        "exit code 0",
    )
