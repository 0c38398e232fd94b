"""A private PostgreSQL that may be broken in every way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .processes import as_user
from .processes import free_port
from .processes import until

PASSWORD = "a-secret-of-the-proofs"
MAX_CONNECTIONS = 300  # so that every process may have a pool of 20
SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "max_connections": str(MAX_CONNECTIONS),
    "fsync": "off",
    "shared_preload_libraries": "'pg_stat_statements'",
}
# The most connections of an application that the server ever had in the given time.
PEAK = """
CREATE FUNCTION peak(application text, seconds float) RETURNS int LANGUAGE plpgsql AS $$
DECLARE most int := 0; now_there int; until timestamptz := clock_timestamp() + seconds * '1s'::interval;
BEGIN
  WHILE clock_timestamp() < until LOOP
    PERFORM pg_stat_clear_snapshot();
    SELECT count(*) INTO now_there FROM pg_stat_activity WHERE application_name = application;
    most := greatest(most, now_there);
    PERFORM pg_sleep(0.005);
  END LOOP;
  RETURN most;
END $$
"""
SEED = """
CREATE FUNCTION seed(users int, items int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO users (name, email)
    SELECT 'User ' || n, 'user' || n || '@example.com' FROM generate_series(1, users) n;
  INSERT INTO items (name, price, description, created_at)
    SELECT 'Item ' || n, n, repeat('words ', 50), now() - n * interval '1 minute'
    FROM generate_series(1, items) n;
$$
"""


def find_binaries() -> Path | None:
    """The folder with initdb; None when PostgreSQL is not installed."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    if installed:
        return installed[-1].parent
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class Postgres:
    """One server. The service is an ordinary role in it, `app`, with a database of its own."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._data = folder / "data"
        self._bin = binaries
        self._owner = "postgres" if os.geteuid() == 0 else None
        self._create()

    @property
    def url(self) -> str:
        """The service's DATABASE_URL."""
        return f"postgresql://app:{PASSWORD}@127.0.0.1:{self.port}/app"

    def _create(self) -> None:
        self._folder.mkdir(parents=True)
        if self._owner:
            shutil.chown(self._folder, self._owner)
        initdb = ["initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync"]
        self._run(*initdb, "--locale=C.UTF-8", "-E", "UTF8")
        with (self._data / "postgresql.conf").open("a") as configuration:
            for name, value in {**SETTINGS, "port": str(self.port)}.items():
                configuration.write(f"{name} = {value}\n")
        self.start()
        self.sql(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'", "postgres")
        self.sql("CREATE DATABASE app OWNER app", "postgres")
        self.sql("CREATE EXTENSION pg_stat_statements", "app")
        self.sql(PEAK, "app")

    def _run(self, *command: str) -> None:
        program, *arguments = command
        done = subprocess.run(
            [self._bin / program, *arguments],
            capture_output=True,
            text=True,
            cwd="/",
            **as_user(self._owner),
        )
        assert done.returncode == 0, done.stderr or done.stdout

    def _control(self, action: str, *more: str) -> None:
        log = ["-l", str(self._data / "log.txt")] if action != "stop" else []
        self._run("pg_ctl", action, "-w", "-s", "-D", str(self._data), *log, *more)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._control("start")

    def restart(self, mode: str) -> None:
        """Restart it: `fast` ends every session in order, `immediate` is a crash."""
        self._control("restart", "-m", mode)

    def stop(self, mode: str = "fast") -> None:
        """Stop it; it must not have been frozen."""
        self._control("stop", "-m", mode)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """For the block it accepts connections and says nothing: a black hole."""
        main = int((self._data / "postmaster.pid").read_text().split()[0])
        backends = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        every = [main, *map(int, backends)]
        for pid in every:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in every:
                os.kill(pid, signal.SIGCONT)

    def _psql(self, database: str) -> list[str]:
        there = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database]
        return [str(self._bin / "psql"), *there, "-qAtX", "-v", "ON_ERROR_STOP=1"]

    def sql(self, statement: str, database: str = "app") -> str:
        """Run a statement as superuser; its rows as lines of text."""
        command = [*self._psql(database), "-c", statement]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @contextmanager
    def locked(self, statement: str) -> Iterator[None]:
        """Hold, for the block, the locks that a statement takes."""
        session = subprocess.Popen(
            self._psql("app"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
        )
        assert session.stdin
        assert session.stdout
        try:
            session.stdin.write(f"BEGIN;\n{statement};\n\\echo locked\n")
            session.stdin.flush()
            assert any(line == "locked\n" for line in session.stdout), statement
            yield
        finally:
            session.stdin.close()
            session.stdout.close()
            session.wait(10)

    def waiting(self) -> int:
        """How many of the service's statements wait for a lock."""
        return int(
            self.sql(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE usename = 'app' AND wait_event_type = 'Lock'"
            )
        )

    def connections(self) -> int:
        """How many connections the service has."""
        return int(self.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"))

    def reads_of_users(self) -> int:
        """How often a single user was read, as the server counts it."""
        return int(
            self.sql(
                "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
                " WHERE query ~* '^select users.id.*where users.id = '"
            )
        )

    def seed(self, users: int, items: int) -> None:
        """Put this many users and items in."""
        self.sql(f"{SEED}; SELECT seed({users}, {items}); ANALYZE")


def wait_for(postgres: Postgres) -> None:
    """Return when it answers."""

    def answers() -> bool:
        try:
            return postgres.sql("SELECT 1") == "1"
        except AssertionError:
            return False

    until(answers, "PostgreSQL answers")
