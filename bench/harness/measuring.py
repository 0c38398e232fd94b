"""Load by wrk, and what it costs the server."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.harness.backends import PG_DATABASE
from bench.harness.backends import PG_PASSWORD
from bench.harness.backends import PG_USER
from bench.harness.backends import Backends
from bench.harness.contract import check
from bench.harness.drain import drain
from bench.harness.load import Load
from bench.harness.load import wrk
from bench.harness.processes import Process
from bench.harness.processes import cpu_busy
from bench.harness.processes import cpu_seconds
from bench.harness.processes import memory
from bench.harness.processes import parse_cpus
from bench.harness.processes import say
from bench.harness.processes import spin
from bench.harness.sampling import Counters
from bench.harness.sampling import Times
from bench.harness.sampling import sampled
from bench.harness.sampling import told
from bench.harness.servers import HOT_USERS
from bench.harness.servers import Request
from bench.harness.servers import Server
from bench.harness.servers import dig

PAGES = 50  # consecutive ones are asked for at random


class Bench:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.build = Path(args.build).resolve()
        self.build.mkdir(parents=True, exist_ok=True)
        self.work = Path(tempfile.mkdtemp(prefix="run-", dir=self.build))
        self.backends = Backends(self.work, args.backend_cpus, args.pg_port, args.redis_port)
        pg = f"postgresql://{PG_USER}:{PG_PASSWORD}@127.0.0.1:{args.pg_port}/{PG_DATABASE}"
        self.seeds: set[str] = set()  # databases with a server's own schema, seeded
        self.places = {
            "database_url": pg,
            "pg_host": "127.0.0.1",
            "pg_port": str(args.pg_port),
            "pg_user": PG_USER,
            "pg_password": PG_PASSWORD,
            "pg_database": PG_DATABASE,
            "redis_url": f"redis://127.0.0.1:{args.redis_port}",
            "redis_host": "127.0.0.1",
            "redis_port": str(args.redis_port),
        }
        self.samples: list[dict[str, Any]] = []
        self.facts: list[dict[str, Any]] = []
        self.problems: dict[str, dict[str, str]] = {}

    def wrk(self, server: Server, requests: list[Request], seconds: float, name: str) -> Load:
        place, args = self.work / name, self.args
        return wrk(server.port, requests, args.connections, seconds, place, args.load_cpus)

    def measure(self, server: Server, scenario: str, cursors: list[str], turn: int) -> None:
        """One scenario: the load, and what the gauges read before and after it."""
        requests = server.requests(scenario, cursors)
        name = f"{server.name}-{scenario}"
        if self.args.warmup:
            self.wrk(server, requests, self.args.warmup, name)
        cpus = parse_cpus(self.args.server_cpus)
        speed = [spin(cpus[0])]
        counted = self.counters()
        before = self.times(server)
        load = self.wrk(server, requests, self.args.duration, name)
        used = self.times(server) - before
        speed.append(spin(cpus[0]))
        time.sleep(0.2)  # until PostgreSQL has told of its last transactions
        asked = self.counters() - counted
        place = {"round": turn, "server": server.name, "scenario": scenario}
        sample = place | sampled(load, used, asked, len(cpus)) | {"spin_ms": sum(speed) / 2}
        self.samples.append(sample)
        say(told(sample))

    def times(self, server: Server) -> Times:
        assert server.process
        return Times(
            wall=time.monotonic(),
            server=cpu_seconds(server.process.pid),
            cpus=cpu_busy(parse_cpus(self.args.server_cpus)),
            backends=self.backends.cpu(),
        )

    def counters(self) -> Counters:
        return Counters(
            transactions=self.backends.transactions(),
            commands=self.backends.redis_info("total_commands_processed"),
        )

    def cursors(self, server: Server) -> list[str]:
        found: list[str] = []
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        cursor = None
        for _ in range(PAGES):
            _, _, body = server.fetch_on(connection, server.page(cursor))
            cursor = dig(json.loads(body), server.shape["next_cursor"])
            found.append(cursor)
        connection.close()
        return found

    def warm_users(self, server: Server) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for user_id in range(1, HOT_USERS + 1):
            server.fetch_on(connection, server.user(user_id))
        connection.close()

    def turn(self, server: Server, turn: int) -> None:
        """One server, on a fresh copy of the data: the contract, the scenarios, the drain."""
        self.backends.reset(server.seed(self))
        fact: dict[str, Any] = {"round": turn, "server": server.name}
        try:
            fact["startup_s"] = server.start(self)
            self._visit(server, turn, fact)
        except Exception as error:  # one broken server must not cost the others their run
            say(f"  {server.name}: {type(error).__name__}: {error}")
            self.problems.setdefault(server.name, {})["turn"] = str(error)
        finally:
            self.facts.append(fact)
            server.stop()

    def _visit(self, server: Server, turn: int, fact: dict[str, Any]) -> None:
        assert server.process
        fact["rss_idle"], fact["pss_idle"] = memory(server.process.pid)
        wrong = self._checked(server)
        if self.args.check_only:
            verdict = "NOT OK" if wrong else "contract ok"
            say(f"  {server.name}: {verdict}, first 200 after {fact['startup_s']:.2f} s")
            return
        chosen = [s for s in self.args.scenarios if server.has(s) and s not in wrong]
        pages = server.endpoints.get("items") and "items_page" not in wrong
        cursors = self.cursors(server) if pages else []
        if server.endpoints.get("user"):
            self.warm_users(server)
        for scenario in [] if self.args.drain_only else chosen:
            self.measure(server, scenario, cursors, turn)
        fact["rss_loaded"], fact["pss_loaded"] = memory(server.process.pid)
        if self.args.drain and cursors and "user_hit" not in wrong:
            fact |= self._drained(server, cursors)

    def _checked(self, server: Server) -> dict[str, str]:
        """What is wrong with the server, which is told and kept."""
        wrong = check(server, self.backends)
        if wrong:
            self.problems[server.name] = wrong
        for scenario, problem in wrong.items():
            say(f"  {server.name} breaks the contract for {scenario}: {problem}")
        return wrong

    def _drained(self, server: Server, cursors: list[str]) -> dict[str, Any]:
        os.sched_setaffinity(0, parse_cpus(self.args.load_cpus))
        found = asyncio.run(drain(server, self.args.connections, cursors, 35, self.args.lag))
        told = ", ".join(
            f"{what} {value}" for what, value in found.items() if not what.startswith("before_")
        )
        say(f"  {server.name:24} drain: {told}")
        return found

    def close(self) -> None:
        for process in list(Process.live):
            if process not in (
                getattr(self.backends, "pg", None),
                getattr(self.backends, "redis", None),
            ):
                process.stop(wait=5)
        self.backends.stop()
        if not self.args.keep:
            shutil.rmtree(self.work, ignore_errors=True)
