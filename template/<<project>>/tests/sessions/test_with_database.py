"""The passwords' table."""

import pytest
from sqlalchemy import select

from app.database import Database
from app.service import Service
from app.sessions.with_database import TABLE
from app.sessions.with_database import Credentials

pytestmark = pytest.mark.anyio


async def test_a_password_is_set_and_only_an_unchanged_one_is_rehashed(service: Service) -> None:
    database = service.get(Database)
    credentials = Credentials(database)

    async def stored() -> list[str]:
        async with database.session() as session:
            return list(await session.scalars(select(TABLE.c.password_hash)))

    await credentials.set(7, "one")
    assert await stored() == ["one"]
    await credentials.set(7, "two")
    await credentials.rehash(7, "one", "stronger one")
    assert await stored() == ["two"]
    await credentials.rehash(7, "two", "stronger two")
    assert await stored() == ["stronger two"]
