"""Real servers for a service under proof, with a corner of its own on each."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from urllib.parse import urlunsplit

import pytest

from tests.proofs.harness.processes import Process
from tests.proofs.harness.processes import free_port
from tests.proofs.harness.processes import until
from tests.template import machine

POSTGRESQL = "postgresql://postgres@127.0.0.1:5432/postgres"
STATEMENT = """
import asyncio, asyncpg, sys
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    await connection.execute(sys.argv[2])
    await connection.close()
asyncio.run(main())
"""


def listens(url: str) -> bool:
    """Whether somebody listens where the URL points."""
    parts = urlsplit(url)
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex((parts.hostname or "127.0.0.1", parts.port or 5432)) == 0


def _missing(what: str) -> NoReturn:
    """On somebody's machine the proof is skipped; CI must not pass without it."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def postgresql_url() -> str:
    """The server that DATABASE_URL names, else the one on the usual port; skips without one."""
    url = os.environ.get("DATABASE_URL", POSTGRESQL)
    if not listens(url):
        _missing("no PostgreSQL on 127.0.0.1:5432; name one with DATABASE_URL")
    return url


@contextmanager
def database(tools: Path) -> Iterator[str]:
    """The URL of a new database, dropped afterwards. `tools`: programs of a full environment."""
    server = postgresql_url()
    name = f"perfgen_{secrets.token_hex(6)}"
    _execute(tools, server, f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        _execute(tools, server, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(tools: Path, server: str, statement: str) -> None:
    machine.run(tools / "python", "-c", STATEMENT, server, statement, cwd=tools)


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """The URL of a Redis of our own; skips where there is no redis-server."""
    binary = shutil.which("redis-server")
    if not binary:
        _missing("redis-server is not installed")
    port = free_port()
    options = ["--port", str(port), "--save", "", "--bind", "127.0.0.1", "--dir", str(folder)]
    process = Process([binary, *options], folder / "redis.log")
    try:
        url = f"redis://127.0.0.1:{port}/0"
        until(lambda: listens(url), "redis-server listens")
        yield url
    finally:
        process.end()
