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
from bench.harness.processes import Process
from bench.harness.processes import cpu_busy
from bench.harness.processes import cpu_seconds
from bench.harness.processes import memory
from bench.harness.processes import parse_cpus
from bench.harness.processes import say
from bench.harness.processes import spin
from bench.harness.servers import HOT_USERS
from bench.harness.servers import Server
from bench.harness.servers import dig

PAGES = 50  # consecutive ones are asked for at random

LUA = """
local data = %s
local reqs = {}
function init(args)
  for i, r in ipairs(data) do
    local h = {}
    for k, v in pairs(r[3]) do h[k] = v end
    reqs[i] = wrk.format(r[1], r[2], h, r[4])
  end
  math.randomseed(42)
end
function request() return reqs[math.random(#reqs)] end
function done(s, l, r)
  io.write(string.format(
    'JSON {"requests":%%d,"duration_us":%%d,"bytes":%%d,"connect":%%d,"read":%%d,"write":%%d,' ..
    '"status":%%d,"timeout":%%d,"p50_us":%%d,"p90_us":%%d,"p99_us":%%d,"max_us":%%d}\\n',
    s.requests, s.duration, s.bytes, s.errors.connect, s.errors.read, s.errors.write,
    s.errors.status, s.errors.timeout, l:percentile(50), l:percentile(90), l:percentile(99), l.max))
end
"""


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

    def wrk(
        self, server: Server, requests: list[tuple[Any, ...]], seconds: float, name: str
    ) -> dict[str, Any]:
        script = self.work / f"{name}.lua"
        rows = []
        for method, path, headers, body in requests:
            head = ", ".join(f"[{lua(k)}] = {lua(v)}" for k, v in headers.items())
            rows.append(f"{{{lua(method)}, {lua(path)}, {{{head}}}, {lua(body)}}}")
        script.write_text(LUA % ("{\n" + ",\n".join(rows) + "\n}"))
        whole = max(1, round(seconds))
        child = Process(
            [
                "wrk",
                "-t1",
                f"-c{self.args.connections}",
                f"-d{whole}s",
                "--timeout",
                "5s",
                "-s",
                str(script),
                f"http://127.0.0.1:{server.port}",
            ],
            self.args.load_cpus,
            out := self.work / f"{name}.wrk",
        )
        try:
            child.popen.wait(whole + 30)
        finally:
            child.stop()
        text = out.read_text(errors="replace")
        out.unlink()
        for line in text.splitlines():
            if line.startswith("JSON "):
                found: dict[str, Any] = json.loads(line[5:])
                return found
        raise RuntimeError(f"wrk said: {text[-400:]}")

    def measure(self, server: Server, scenario: str, cursors: list[str], turn: int) -> None:
        assert server.process
        requests = server.requests(scenario, cursors)
        name = f"{server.name}-{scenario}"
        if self.args.warmup:
            self.wrk(server, requests, self.args.warmup, name)
        cpus = parse_cpus(self.args.server_cpus)
        pid, back = server.process.pid, self.backends
        speed = [spin(cpus[0])]
        xacts, commands = back.transactions(), back.redis_info("total_commands_processed")
        started, cpu, busy, back_cpu = (
            time.monotonic(),
            cpu_seconds(pid),
            cpu_busy(cpus),
            back.cpu(),
        )
        result = self.wrk(server, requests, self.args.duration, name)
        wall = time.monotonic() - started
        cpu, busy, back_cpu = cpu_seconds(pid) - cpu, cpu_busy(cpus) - busy, back.cpu() - back_cpu
        commands = back.redis_info("total_commands_processed") - commands
        speed.append(spin(cpus[0]))
        time.sleep(0.2)
        n = max(result["requests"], 1)
        failed = sum(result[k] for k in ("connect", "read", "write", "status", "timeout"))
        self.samples.append(
            {
                "round": turn,
                "server": server.name,
                "scenario": scenario,
                "rps": result["requests"] / (result["duration_us"] / 1e6),
                "p50_ms": result["p50_us"] / 1000,
                "p99_ms": result["p99_us"] / 1000,
                "cpu_ms": cpu * 1000 / n,
                "backend_cpu_ms": back_cpu * 1000 / n,
                "server_cpu_share": cpu / wall,
                "other_cpu_share": max(busy - cpu, 0) / wall / len(cpus),
                "pg_xacts": (back.transactions() - xacts) / n,
                "redis_commands": commands / n,
                "spin_ms": sum(speed) / 2,
                "bytes": result["bytes"] / n,
                "requests": result["requests"],
                "failed": failed,
            }
        )
        s = self.samples[-1]
        say(
            f"  {server.name:24} {scenario:16} {s['rps']:8.0f} req/s  {s['cpu_ms']:.3f} CPU-ms/req  "
            f"p50 {s['p50_ms']:.1f}  p99 {s['p99_ms']:.1f} ms  failed {failed}  "
            f"(server {100 * s['server_cpu_share']:.0f}% of its CPU, others "
            f"{100 * s['other_cpu_share']:.0f}%, spin {s['spin_ms']:.0f} ms)"
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


def lua(value: str | None) -> str:
    if value is None:
        return "nil"
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    )
    return f'"{escaped}"'
