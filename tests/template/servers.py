"""A corner of a server for a service under proof."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from tests.proofs.harness.postgres import Postgres


@contextmanager
def database(server: Postgres) -> Iterator[str]:
    """The URL of a new database, dropped afterwards; its user may do everything."""
    name = f"perfgen_{secrets.token_hex(6)}"
    server.sql(f"CREATE DATABASE {name}", "postgres")
    try:
        yield f"postgresql://postgres@127.0.0.1:{server.port}/{name}"
    finally:
        server.sql(f"DROP DATABASE {name} WITH (FORCE)", "postgres")
