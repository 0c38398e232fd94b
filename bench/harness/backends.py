"""A PostgreSQL and a Redis of the bench's own, with fresh data for every server."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.harness.processes import Process
from bench.harness.processes import cpu_seconds

SQL = Path(__file__).parents[1] / "sql"
PG_USER = PG_DATABASE = PG_PASSWORD = "bench"


# The services are measured, not the disk. The same for everyone.
NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on"}


SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "8MB",
    "jit": "off",
    "max_wal_size": "4GB",
    "log_min_messages": "warning",
}


class PsqlError(RuntimeError):
    pass


class Backends:
    """Both servers. `durable`: what is committed survives a crash, as users run them; PostgreSQL
    by its defaults, Redis with an append-only file that is synchronized every second."""

    def __init__(
        self, work: Path, cpus: str, pg_port: int, redis_port: int, durable: bool = False
    ) -> None:
        self.work, self.cpus, self.pg_port, self.redis_port = work, cpus, pg_port, redis_port
        self.durable = durable
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
        """Both servers, and the data that every measured server begins with."""
        self.refuse_taken_ports()
        self.start_postgres()
        self.start_redis()
        self.wait(lambda: self.sql("SELECT 1", "postgres"), "Postgres")
        self.wait(lambda: self.redis_call("PING"), "Redis")
        self.sql("CREATE DATABASE bench_seed", "postgres")
        for name in ("schema.sql", "seed.sql"):
            self.psql("bench_seed", "-f", str(SQL / name))
        self.sql("CHECKPOINT", "postgres")

    def refuse_taken_ports(self) -> None:
        """A server that is there would be taken for ours, and emptied."""
        for port in (self.pg_port, self.redis_port):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    sys.exit(f"port {port} is taken: name others with --pg-port and --redis-port")

    def start_postgres(self) -> None:
        data = self.work / "pg"
        data.mkdir()
        self.init_postgres(data)
        settings = {
            **SETTINGS,
            **(DURABLE if self.durable else NOT_DURABLE),
            "port": str(self.pg_port),
        }
        argv = [str(self.bin / "postgres"), "-D", str(data)]
        for key, value in settings.items():
            argv += ["-c", f"{key}={value}"]
        log = self.work / "postgres.log"
        self.pg = Process(argv, self.cpus, log, cwd=Path("/"), user=self.owner)

    def init_postgres(self, data: Path) -> None:
        """An empty cluster in `data`, whose owner is the user that may run PostgreSQL."""
        as_owner: dict[str, Any] = {}
        if self.owner:
            self.work.chmod(0o755)
            shutil.chown(data, self.owner, self.owner)
            entry = pwd.getpwnam(self.owner)
            as_owner = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        options = f"-U {PG_USER} -A trust --no-sync --locale=C.UTF-8 -E UTF8".split()
        subprocess.run(
            [str(self.bin / "initdb"), "-D", str(data), *options],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **as_owner,
        )

    def start_redis(self) -> None:
        settings = {
            "port": str(self.redis_port),
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "dir": str(self.work),
        }
        argv = ["redis-server"]
        for key, value in settings.items():
            argv += [f"--{key}", value]
        self.redis = Process(argv, self.cpus, self.work / "redis.log", cwd=self.work)

    @staticmethod
    def wait(probe: Any, what: str) -> Any:
        deadline = time.monotonic() + 30
        while True:
            try:
                probe()
                return
            except (OSError, PsqlError):
                if time.monotonic() > deadline:
                    sys.exit(f"{what} did not start")
                time.sleep(0.1)

    def psql(self, database: str, *args: str) -> str:
        options = f"-h 127.0.0.1 -p {self.pg_port} -U {PG_USER} -qAtX -v ON_ERROR_STOP=1".split()
        done = subprocess.run(
            [str(self.bin / "psql"), *options, "-d", database, *args],
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
