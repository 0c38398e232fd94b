"""What the tests of items share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest


@pytest.fixture
async def rows(servers: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the tests' own, to make and see rows."""
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    yield connection
    await connection.close()
