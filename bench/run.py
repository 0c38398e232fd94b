#!/usr/bin/env python3
"""Measures services side by side on one workload. See README.md for the contract and the measures.

Python 3.11+, standard library only. Starts its own Postgres and Redis, gives every server the same
fresh data, and ends by pid every process it started.
"""
# ruff: noqa: C901, RUF001, RUF012

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import gzip
import http.client
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
HZ = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PG_USER = PG_DATABASE = PG_PASSWORD = "bench"
HOT_USERS = 1000
PAGES = 50

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


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


# ------------------------------------------------------------------ processes


def children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            text = Path(f"/proc/{pid}/task/{task}/children").read_text()
        except OSError:
            continue
        found.extend(int(child) for child in text.split())
    return found


def tree(pid: int) -> list[int]:
    pids, queue = [], [pid]
    while queue:
        current = queue.pop()
        pids.append(current)
        queue.extend(children(current))
    return pids


def cpu_seconds(pid: int) -> float:
    """CPU of the process, of its live descendants and of the children they have reaped."""
    ticks = 0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(fields[i]) for i in (11, 12, 13, 14))
    return ticks / HZ


def memory(pid: int) -> tuple[float, float]:
    """(RSS, PSS) of the tree, in MiB. RSS counts pages shared by workers once per worker."""
    rss = pss = 0
    for one in tree(pid):
        try:
            rss += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * PAGE
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    pss += int(line.split()[1]) * 1024
        except OSError:
            continue
    return rss / 2**20, pss / 2**20


def cpu_busy(cpus: list[int]) -> float:
    """Busy seconds of these CPUs since boot, whoever used them."""
    busy = 0
    wanted = {f"cpu{n}" for n in cpus}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *values = line.split()
        if name in wanted:
            n = [int(v) for v in values]
            busy += n[0] + n[1] + n[2] + n[5] + n[6] + n[7]
    return busy / HZ


def spin(cpu: int) -> float:
    """CPU milliseconds of a fixed loop on this CPU: how fast the CPU is just now.

    A busy neighbour (the sibling hyperthread, the host) slows it without showing up as load.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    started = time.thread_time()
    n = 0
    for i in range(400_000):
        n += i & 3
    took = time.thread_time() - started
    os.sched_setaffinity(0, before)
    return took * 1000


def parse_cpus(text: str) -> list[int]:
    cpus: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus


class Process:
    """A child that is pinned, logged, and ended by pid."""

    live: list[Process] = []

    def __init__(
        self,
        argv: list[str],
        cpus: str,
        log: Path,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        extra: dict[str, Any] = {}
        if user:
            entry = pwd.getpwnam(user)
            extra = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self.log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                ["taskset", "-c", cpus, *argv],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **extra,
            )
        self.pid = self.popen.pid
        Process.live.append(self)

    def alive(self) -> bool:
        return self.popen.poll() is None

    def stop(self, sig: int = signal.SIGTERM, wait: float = 15) -> None:
        if self not in Process.live:
            return
        started = {pid: starttime(pid) for pid in tree(self.pid)} if self.alive() else {}
        if self.alive():
            self.popen.send_signal(sig)
            try:
                self.popen.wait(wait)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for pid, when in started.items():  # descendants that outlived their parent
            if pid != self.pid and when is not None and starttime(pid) == when:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        Process.live.remove(self)


def starttime(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


# ------------------------------------------------------------------ Postgres and Redis


class PsqlError(RuntimeError):
    pass


class Backends:
    def __init__(self, work: Path, cpus: str, pg_port: int, redis_port: int) -> None:
        self.work, self.cpus, self.pg_port, self.redis_port = work, cpus, pg_port, redis_port
        self.owner = "postgres" if os.geteuid() == 0 else None
        self.bin = self.find_pg()

    @staticmethod
    def find_pg() -> Path:
        found = sorted(
            Path("/usr/lib/postgresql").glob("*/bin/initdb"),
            key=lambda p: float(p.parts[-3]) if p.parts[-3].replace(".", "").isdigit() else 0,
        )
        if found:
            return found[-1].parent
        if path := shutil.which("initdb"):
            return Path(path).parent
        sys.exit("initdb not found: see bench/README.md")

    def start(self) -> None:
        data = self.work / "pg"
        data.mkdir()
        if self.owner:
            self.work.chmod(0o755)
            shutil.chown(data, self.owner, self.owner)
        as_owner: dict[str, Any] = {}
        if self.owner:
            entry = pwd.getpwnam(self.owner)
            as_owner = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        subprocess.run(
            [
                str(self.bin / "initdb"),
                "-D",
                str(data),
                "-U",
                PG_USER,
                "-A",
                "trust",
                "--no-sync",
                "--locale=C.UTF-8",
                "-E",
                "UTF8",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **as_owner,
        )
        settings = {
            "port": self.pg_port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 100,
            "shared_buffers": "256MB",
            "work_mem": "8MB",
            # Durability off: the services are measured, not the disk. The same for everyone.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
            "jit": "off",
            "max_wal_size": "4GB",
            "checkpoint_timeout": "1h",
            "log_min_messages": "warning",
        }
        argv = [str(self.bin / "postgres"), "-D", str(data)]
        for key, value in settings.items():
            argv += ["-c", f"{key}={value}"]
        self.pg = Process(
            argv, self.cpus, self.work / "postgres.log", cwd=Path("/"), user=self.owner
        )
        self.redis = Process(
            [
                "redis-server",
                "--port",
                str(self.redis_port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                str(self.work),
            ],
            self.cpus,
            self.work / "redis.log",
            cwd=self.work,
        )
        self.wait(lambda: self.sql("SELECT 1", "postgres"), "Postgres")
        self.wait(lambda: self.redis_call("PING"), "Redis")
        self.sql("CREATE DATABASE bench_seed", "postgres")
        for name in ("schema.sql", "seed.sql"):
            self.psql("bench_seed", "-f", str(HERE / "sql" / name))
        self.sql("CHECKPOINT", "postgres")

    @staticmethod
    def wait(probe: Any, what: str) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                return probe()
            except (OSError, PsqlError):
                if time.monotonic() > deadline:
                    sys.exit(f"{what} did not start")
                time.sleep(0.1)

    def psql(self, database: str, *args: str) -> str:
        done = subprocess.run(
            [
                str(self.bin / "psql"),
                "-h",
                "127.0.0.1",
                "-p",
                str(self.pg_port),
                "-U",
                PG_USER,
                "-d",
                database,
                "-qAtX",
                "-v",
                "ON_ERROR_STOP=1",
                *args,
            ],
            capture_output=True,
            text=True,
            cwd="/",
        )
        if done.returncode:
            raise PsqlError(done.stderr.strip())
        return done.stdout.strip()

    def sql(self, statement: str, database: str = PG_DATABASE) -> str:
        return self.psql(database, "-c", statement)

    def redis_call(self, *args: str) -> str:
        """One command, whose reply is a simple or bulk string or an integer."""
        with socket.create_connection(("127.0.0.1", self.redis_port), 5) as sock:
            parts = [f"*{len(args)}\r\n"] + [f"${len(a.encode())}\r\n{a}\r\n" for a in args]
            sock.sendall("".join(parts).encode())
            stream = sock.makefile("rb")
            head = stream.readline().decode().strip()
            if head.startswith("$") and head != "$-1":
                return stream.read(int(head[1:])).decode()
            if head.startswith("-"):
                raise OSError(head)
            return head[1:]

    def redis_info(self, key: str) -> int:
        for line in self.redis_call("INFO", "all").splitlines():
            if line.startswith(key + ":"):
                return int(line.partition(":")[2])
        return 0

    def reset(self, seed: str = "bench_seed") -> None:
        self.redis_call("FLUSHALL")
        self.sql(f"DROP DATABASE IF EXISTS {PG_DATABASE} WITH (FORCE)", "postgres")
        self.sql(f"CREATE DATABASE {PG_DATABASE} TEMPLATE {seed} STRATEGY file_copy", "postgres")
        self.sql("CHECKPOINT", "postgres")
        self.sql("SELECT count(*), sum(length(description)) FROM items")  # into shared buffers

    def transactions(self) -> int:
        return int(
            self.sql(
                f"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{PG_DATABASE}'",
                "postgres",
            )
        )

    def cpu(self) -> float:
        return cpu_seconds(self.pg.pid) + cpu_seconds(self.redis.pid)

    def stop(self) -> None:
        for name, sig in (("pg", signal.SIGINT), ("redis", signal.SIGTERM)):
            process = getattr(self, name, None)
            if process:
                process.stop(sig)


# ------------------------------------------------------------------ server definitions


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

    # --- requests, as (method, path, headers, body)

    def request(
        self,
        endpoint: str,
        body: str | None = None,
        query: str = "",
        headers: dict[str, str] | None = None,
        **values: Any,
    ) -> tuple:
        method, path = self.endpoints[endpoint].split(" ", 1)
        path = path.format(**values)
        if query:
            path += ("&" if "?" in path else "?") + query
        head = {**self.headers, **(headers or {})}
        if body is not None:
            head["Content-Type"] = "application/json"
        return method, path, head, body

    def user(self, user_id: int) -> tuple:
        return self.request("user", id=user_id)

    def page(self, cursor: str | None = None, headers: dict[str, str] | None = None) -> tuple:
        query = f"{self.shape['limit']}=20"
        if cursor:
            query += f"&{self.shape['cursor']}={quote(cursor, safe='')}"
        return self.request("items", query=query, headers=headers)

    def projected(self) -> tuple:
        if not self.shape["fields"]:  # then `mixed` has whole pages in their place
            return self.page()
        return self.request("items", query=f"{self.shape['fields']}=id,name")

    def create(self, n: int) -> tuple:
        return self.request("item_create", json.dumps(item_doc(n)))

    def bulk(self, n: int) -> tuple:
        rows = [item_doc(n * 100 + i) for i in range(100)]
        key = self.shape["bulk_key"]
        return self.request("items_bulk", json.dumps({key: rows} if key else rows))

    def job(self, user_id: int) -> tuple:
        return self.request("job_enqueue", Template(self.bodies["job"]).substitute(id=user_id))

    def simple(self, endpoint: str) -> tuple:
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
        values = {
            "build": str(bench.build),
            "bench": str(HERE),
            "run": str(bench.work),
            "port": str(self.port),
            **bench.places,
            "database_url": bench.places["database_url"].rpartition("/")[0] + "/" + name,
        }
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        env.update({k: str(v).format(**values) for k, v in self.spec.get("env", {}).items()})
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
        backends.psql(name, "-f", str(HERE / "sql" / "seed.sql"))
        bench.seeds.add(name)
        return name

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

    def requests(self, scenario: str, cursors: list[str]) -> list[tuple]:
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
        values = {
            "build": str(bench.build),
            "bench": str(HERE),
            "run": str(bench.work),
            "port": str(self.port),
            **bench.places,
        }
        spec = self.spec
        argv = [part.format(**values) for part in spec["start"]]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        env.update({k: str(v).format(**values) for k, v in spec.get("env", {}).items()})
        cwd = Path(spec["cwd"].format(**values))
        if not cwd.is_dir():
            raise RuntimeError(f"{cwd} does not exist: see bench/README.md")
        started = time.monotonic()
        self.process = Process(
            argv, bench.args.server_cpus, bench.work / f"server-{self.name}.log", cwd=cwd, env=env
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

    def fetch(self, request: tuple, timeout: float = 10) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            return self.fetch_on(connection, request)
        finally:
            connection.close()

    @staticmethod
    def fetch_on(connection: http.client.HTTPConnection, request: tuple) -> tuple:
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


# ------------------------------------------------------------------ the contract


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

        def writes(request: tuple) -> int:
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


# ------------------------------------------------------------------ drain


async def drain(
    server: Server, connections: int, cursors: list[str], limit_s: float, lag: float
) -> dict[str, Any]:
    """SIGTERM under load from clients that keep their connections, as a balancer would.

    lag seconds after the signal the balancer has noticed: connections that end from then on are not
    opened again, those still open are used on.
    lost: connected and asked, and the connection ended without a byte of answer.
    truncated: it ended in mid-answer. refused: no connection within the lag.
    """
    assert server.process
    counts: Counter[str] = Counter()
    state: dict[str, Any] = {"termed": False, "stop": False, "at": 0.0}
    rng = random.Random(3)
    requests = [server.page(c) for c in cursors] + [server.user(i) for i in range(1, 51)]
    wire = []
    for method, path, headers, _ in requests:
        head = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        wire.append(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode())

    def note(what: str) -> None:
        counts[("after_" if state["termed"] else "before_") + what] += 1

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection can be used again."""
        got = False
        try:
            writer.write(rng.choice(wire))
            status_line = await reader.readline()
            if not status_line:
                note("lost")
                return False
            got = True
            length, chunked, close = 0, False, False
            while (line := await reader.readline()) not in (b"\r\n", b""):
                key, _, value = line.decode("latin-1").partition(":")
                key, value = key.lower(), value.strip().lower()
                if key == "content-length":
                    length = int(value)
                elif key == "transfer-encoding":
                    chunked = value == "chunked"
                elif key == "connection":
                    close = value == "close"
            if chunked:
                while size := int(await reader.readline() or b"x", 16):
                    await reader.readexactly(size + 2)
                await reader.readline()
            else:
                await reader.readexactly(length)
            note("ok" if status_line.split()[1][:1] == b"2" else "bad_status")
            if close:
                note("told_to_close")
            return not close
        except (OSError, asyncio.IncompleteReadError, ValueError):
            note("truncated" if got else "lost")
            return False

    def elsewhere() -> bool:
        return state["termed"] and time.monotonic() - state["at"] > lag

    async def client() -> None:
        while not state["stop"] and not elsewhere():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            except OSError:
                note("refused")
                await asyncio.sleep(0.05)
                continue
            try:
                while not state["stop"] and not reader.at_eof():
                    if not await one(reader, writer):
                        break
            finally:
                writer.close()

    tasks = [asyncio.create_task(client()) for _ in range(connections)]
    await asyncio.sleep(1.0)
    state["termed"] = True
    state["at"] = started = time.monotonic()
    server.process.popen.send_signal(signal.SIGTERM)
    while server.process.alive() and time.monotonic() - started < limit_s:
        await asyncio.sleep(0.01)
    took = time.monotonic() - started
    exited = not server.process.alive()
    state["stop"] = True
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "drain_s": round(took, 3),
        "exit": server.process.popen.returncode if exited else None,
        **{
            key: counts[key]
            for key in (
                "before_ok",
                "before_lost",
                "before_bad_status",
                "after_ok",
                "after_lost",
                "after_truncated",
                "after_bad_status",
                "after_told_to_close",
                "after_refused",
            )
        },
    }


# ------------------------------------------------------------------ measuring


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
        self, server: Server, requests: list[tuple], seconds: float, name: str
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
                return json.loads(line[5:])
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
        self.backends.reset(server.seed(self))
        fact: dict[str, Any] = {"round": turn, "server": server.name}
        try:
            fact["startup_s"] = server.start(self)
            assert server.process
            fact["rss_idle"], fact["pss_idle"] = memory(server.process.pid)
            wrong = check(server, self.backends)
            if wrong:
                self.problems[server.name] = wrong
                for scenario, problem in wrong.items():
                    say(f"  {server.name} breaks the contract for {scenario}: {problem}")
            if self.args.check_only:
                say(
                    f"  {server.name}: {'NOT OK' if wrong else 'contract ok'}, "
                    f"first 200 after {fact['startup_s']:.2f} s"
                )
                return
            chosen = [s for s in self.args.scenarios if server.has(s) and s not in wrong]
            cursors = (
                self.cursors(server)
                if server.endpoints.get("items") and "items_page" not in wrong
                else []
            )
            if server.endpoints.get("user"):
                self.warm_users(server)
            for scenario in [] if self.args.drain_only else chosen:
                self.measure(server, scenario, cursors, turn)
            fact["rss_loaded"], fact["pss_loaded"] = memory(server.process.pid)
            if self.args.drain and cursors and "user_hit" not in wrong:
                os.sched_setaffinity(0, parse_cpus(self.args.load_cpus))
                fact.update(
                    asyncio.run(drain(server, self.args.connections, cursors, 35, self.args.lag))
                )
                say(
                    f"  {server.name:24} drain: "
                    + ", ".join(
                        f"{k} {fact[k]}"
                        for k in (
                            "drain_s",
                            "exit",
                            "after_ok",
                            "after_lost",
                            "after_truncated",
                            "after_bad_status",
                            "after_told_to_close",
                            "after_refused",
                        )
                    )
                )
        except Exception as error:  # one broken server must not cost the others their run
            say(f"  {server.name}: {type(error).__name__}: {error}")
            self.problems.setdefault(server.name, {})["turn"] = str(error)
        finally:
            self.facts.append(fact)
            server.stop()

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


# ------------------------------------------------------------------ the report


def paired(
    samples: list[dict[str, Any]],
    scenario: str,
    name: str,
    ref: str,
    key: str,
    less_is_better: bool,
) -> float | None:
    """Median over rounds of the ratio to the reference in the same round; above 1 is better."""

    def by_round(server: str) -> dict[int, float]:
        return {
            s["round"]: s[key]
            for s in samples
            if (s["scenario"], s["server"]) == (scenario, server) and s[key]
        }

    mine, theirs = by_round(name), by_round(ref)
    ratios = [
        theirs[r] / mine[r] if less_is_better else mine[r] / theirs[r] for r in mine.keys() & theirs
    ]
    return statistics.median(ratios) if ratios else None


def report(bench: Bench, servers: list[Server], ratio_to: str) -> tuple[str, dict[str, Any]]:
    args = bench.args
    keys = (
        "rps",
        "p50_ms",
        "p99_ms",
        "cpu_ms",
        "backend_cpu_ms",
        "server_cpu_share",
        "other_cpu_share",
        "spin_ms",
        "pg_xacts",
        "redis_commands",
        "bytes",
    )
    medians: dict[str, dict[str, dict[str, float]]] = {}
    for sample in bench.samples:
        medians.setdefault(sample["scenario"], {}).setdefault(sample["server"], {})
    for scenario, by_server in medians.items():
        for name, row in by_server.items():
            mine = [s for s in bench.samples if (s["scenario"], s["server"]) == (scenario, name)]
            row.update({k: statistics.median(s[k] for s in mine) for k in keys})
            row["rps_ratio"] = paired(bench.samples, scenario, name, ratio_to, "rps", False)
            row["cpu_ratio"] = paired(bench.samples, scenario, name, ratio_to, "cpu_ms", True)
            row["cpu_ms_best"] = min(s["cpu_ms"] for s in mine)
            row["cpu_ms_spread"] = max(s["cpu_ms"] for s in mine) - min(s["cpu_ms"] for s in mine)
            row["failed"] = sum(s["failed"] for s in mine)
    facts: dict[str, dict[str, Any]] = {}
    for server in servers:
        mine = [f for f in bench.facts if f["server"] == server.name]
        row = {}
        for key in ("startup_s", "rss_idle", "pss_idle", "rss_loaded", "pss_loaded", "drain_s"):
            values = [f[key] for f in mine if f.get(key) is not None]
            row[key] = statistics.median(values) if values else None
        for key in (
            "after_ok",
            "after_lost",
            "after_truncated",
            "after_bad_status",
            "after_refused",
        ):
            row[key] = sum(f.get(key, 0) for f in mine)
        row["exits"] = [f.get("exit") for f in mine if "drain_s" in f]
        row["features"] = server.features
        facts[server.name] = row

    others = [s["other_cpu_share"] for s in bench.samples]
    noise = statistics.median(others) if others else 0
    spins = [s["spin_ms"] for s in bench.samples] or [0]
    order = [s.name for s in servers]
    lines = [
        "# Benchmark report",
        "",
        f"{args.rounds} round(s), {args.duration:g} s per scenario after {args.warmup:g} s of warm-up, "
        f"{args.connections} connections; server on CPU {args.server_cpus}, load on {args.load_cpus}, "
        f"Postgres and Redis on {args.backend_cpus}. Medians over rounds. Ratios are to `{ratio_to}`; "
        "above 1 is better than it, in both columns.",
        "",
        f"CPU time on the server's CPU that was not the server's: median {100 * noise:.0f} %, "
        f"worst {100 * max(others, default=0):.0f} % of the wall time "
        "(kernel network work is part of it even on a quiet machine). A fixed loop took between "
        f"{min(spins):.0f} and {max(spins):.0f} ms of CPU, median {statistics.median(spins):.0f}: where that "
        "range is wide, the CPU itself was slowed by neighbours, and CPU-ms with it.",
        "",
        "## CPU-ms per request (server process tree)",
        "",
    ]
    scenarios = [s for s in SCENARIOS if s in medians]

    def number(value: float | None, digits: int) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    def matrix(cell: Any) -> list[str]:
        out = ["| server | " + " | ".join(scenarios) + " |", "|---|" + "---:|" * len(scenarios)]
        for name in order:
            cells = [cell(medians[s].get(name)) for s in scenarios]
            if any(c != "–" for c in cells):
                out.append(f"| {name} | " + " | ".join(cells) + " |")
        return out

    lines += matrix(lambda row: f"{row['cpu_ms']:.3f}" if row else "–")
    if args.rounds > 1:
        lines += ["", "## CPU-ms per request, each server's best round (noise only ever adds)", ""]
        lines += matrix(lambda row: f"{row['cpu_ms_best']:.3f}" if row else "–")
    lines += [
        "",
        f"## CPU efficiency relative to {ratio_to} (its CPU per request / this one's)",
        "",
    ]
    lines += matrix(lambda row: number(row["cpu_ratio"], 2) if row else "–")
    lines += ["", "## Requests per second", ""]
    lines += matrix(lambda row: f"{row['rps']:.0f}" if row else "–")
    lines += ["", "## p99 latency, ms", ""]
    lines += matrix(lambda row: f"{row['p99_ms']:.1f}" if row else "–")

    lines += [
        "",
        "## Servers",
        "",
        "| server | features | first 200, s | RSS idle, MiB | RSS after load | PSS after load | "
        "drain, s | exit | ok after TERM | lost | truncated | 5xx | refused |",
        "|---|---|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|",
    ]

    for name in order:
        f = facts[name]
        drained = bool(f["exits"])
        tail = " | ".join(
            str(f[k]) if drained else "–"
            for k in (
                "after_ok",
                "after_lost",
                "after_truncated",
                "after_bad_status",
                "after_refused",
            )
        )
        lines.append(
            f"| {name} | {', '.join(f['features']) or '–'} | {number(f['startup_s'], 2)} | "
            f"{number(f['rss_idle'], 0)} | {number(f['rss_loaded'], 0)} | {number(f['pss_loaded'], 0)} | "
            f"{number(f['drain_s'], 2)} | {', '.join(map(str, f['exits'])) or '–'} | {tail} |"
        )

    for scenario in scenarios:
        lines += [
            "",
            f"## {scenario}",
            "",
            "| server | req/s | × | CPU-ms/req | × | ± | p50 ms | p99 ms | Postgres+Redis CPU-ms/req | "
            "Postgres transactions/req | Redis commands/req | bytes/req | failed | server CPU % | others % |",
            "|---|" + "---:|" * 14,
        ]
        for name in order:
            row = medians[scenario].get(name)
            if not row:
                continue
            speed, cpu = number(row["rps_ratio"], 2), number(row["cpu_ratio"], 2)
            lines.append(
                f"| {name} | {row['rps']:.0f} | {speed} | {row['cpu_ms']:.3f} | {cpu} | "
                f"{row['cpu_ms_spread']:.3f} | {row['p50_ms']:.2f} | {row['p99_ms']:.1f} | "
                f"{row['backend_cpu_ms']:.3f} | {row['pg_xacts']:.2f} | {row['redis_commands']:.2f} | "
                f"{row['bytes']:.0f} | {row['failed']} | {100 * row['server_cpu_share']:.0f} | "
                f"{100 * row['other_cpu_share']:.0f} |"
            )
    if bench.problems:
        lines += ["", "## Problems", ""]
        for name, wrong in bench.problems.items():
            lines += [f"- {name}, {what}: {text}" for what, text in wrong.items()]
    document = {
        "settings": {
            k: v
            for k, v in vars(args).items()
            if k
            in (
                "rounds",
                "duration",
                "warmup",
                "connections",
                "server_cpus",
                "load_cpus",
                "backend_cpus",
            )
        },
        "ratio_to": ratio_to,
        "cpus": os.cpu_count(),
        "noise_median": noise,
        "medians": medians,
        "servers": facts,
        "problems": bench.problems,
        "samples": bench.samples,
        "turns": bench.facts,
    }
    return "\n".join(lines) + "\n", document


def arguments() -> argparse.Namespace:
    cpus = sorted(os.sched_getaffinity(0))
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--servers",
        action="append",
        default=[],
        metavar="FILE",
        help="one more TOML file of servers (servers.toml here is always read; repeatable)",
    )
    p.add_argument("--only", default="", help="comma-separated server or group names")
    p.add_argument("--skip", default="", help="comma-separated server or group names to leave out")
    p.add_argument(
        "--scenarios", default=",".join(SCENARIOS), help="comma-separated; all by default"
    )
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--duration", type=float, default=6, help="seconds measured per scenario")
    p.add_argument(
        "--warmup", type=float, default=2, help="seconds of load before each measurement"
    )
    p.add_argument(
        "--quick", action="store_true", help="1 round, 2 s after 1 s: to see that it works"
    )
    p.add_argument("--connections", type=int, default=32)
    p.add_argument("--server-cpus", default=str(cpus[0]))
    p.add_argument("--load-cpus", default=str(cpus[1] if len(cpus) > 1 else cpus[0]))
    p.add_argument(
        "--backend-cpus",
        default="",
        help="CPUs of Postgres and Redis: by default two of their own where there are "
        "four or more, else those of the load generator",
    )
    p.add_argument("--pg-port", type=int, default=15432)
    p.add_argument("--redis-port", type=int, default=16379)
    p.add_argument("--build", default=os.environ.get("BENCH_BUILD", "/tmp/bench-build"))
    p.add_argument("--out", default="", help="folder for report.md and results.json")
    p.add_argument("--ratio-to", default="")
    p.add_argument("--no-drain", dest="drain", action="store_false")
    p.add_argument(
        "--lag",
        type=float,
        default=1.0,
        help="drain: seconds after SIGTERM until the balancer opens no new connection",
    )
    p.add_argument("--drain-only", action="store_true", help="the contract and the drain, no load")
    p.add_argument("--check-only", action="store_true", help="only the contract, no load")
    p.add_argument("--keep", action="store_true", help="keep logs and the database folder")
    p.add_argument("--list", action="store_true", help="print the servers and stop")
    args = p.parse_args()
    if args.quick:
        args.rounds, args.duration, args.warmup = 1, 2, 1
    if args.check_only:
        args.rounds = 1
    if not args.backend_cpus:
        args.backend_cpus = f"{cpus[2]},{cpus[3]}" if len(cpus) >= 4 else args.load_cpus
    args.scenarios = [s for s in args.scenarios.split(",") if s]
    if unknown := set(args.scenarios) - set(SCENARIOS):
        p.error(f"unknown scenarios: {', '.join(sorted(unknown))}")
    return args


def main() -> int:
    args = arguments()
    specs: list[dict[str, Any]] = []
    ratio_to = args.ratio_to
    for path in [HERE / "servers.toml", *map(Path, args.servers)]:
        document = tomllib.loads(path.read_text())
        ratio_to = ratio_to or document.get("defaults", {}).get("ratio_to", "")
        specs += document.get("server", [])
    servers = [Server(spec) for spec in specs]
    only, skip = set(filter(None, args.only.split(","))), set(filter(None, args.skip.split(",")))
    servers = [
        s
        for s in servers
        if (not only or {s.name, s.group} & only) and not {s.name, s.group} & skip
    ]
    if args.list:
        for server in servers:
            print(f"{server.name:26} {server.group:10} {', '.join(server.features)}")
        return 0
    if not servers:
        sys.exit("no server selected")
    for tool in ("wrk", "redis-server", "taskset"):
        if not shutil.which(tool):
            sys.exit(f"{tool} not found: see bench/README.md")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    bench = Bench(args)
    try:
        say(
            f"starting Postgres and Redis, seeding ({len(servers)} servers, {args.rounds} round(s))"
        )
        bench.backends.start()
        for turn in range(1, args.rounds + 1):
            for server in servers:
                say(f"round {turn}: {server.name}")
                bench.turn(server, turn)
    except KeyboardInterrupt:
        say("interrupted: reporting what there is")
    finally:
        bench.close()
    if args.check_only:
        return 1 if bench.problems else 0
    text, document = report(bench, servers, ratio_to)
    out = Path(args.out) if args.out else bench.build / "results" / time.strftime("%Y%m%d-%H%M%S")
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text(text)
    (out / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    print(text)
    say(f"written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
