"""`python -m app seed`: a few users and items to look at."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import select

from app.database import Database
from app.database import DatabaseSettings
from app.items.models import Item
from app.pattern import Command
from app.settings import load_settings
from app.users.models import User

USERS, ITEMS = 10, 100


async def seed(database: Database) -> int:
    """Fill empty tables; the number of rows made, 0 when there are users already."""
    users = [{"name": f"User {n}", "email": f"user{n}@example.com"} for n in range(1, USERS + 1)]
    async with database, database.session() as session:
        if await session.scalar(select(func.count()).select_from(User)):
            return 0
        owners = (await session.scalars(insert(User).returning(User.id), users)).all()
        items = [
            {
                "owner_id": owners[n % USERS],
                "name": f"Item {n}",
                "price": 10 + n / 4,
                "description": f"The example's item number {n}.",
            }
            for n in range(1, ITEMS + 1)
        ]
        await session.execute(insert(Item), items)
    return USERS + ITEMS


def _run(_: Namespace) -> int:
    settings = load_settings([DatabaseSettings])[DatabaseSettings]
    assert isinstance(settings, DatabaseSettings)
    made = asyncio.run(seed(Database(settings)))
    print(f"{made} rows made" if made else "the tables have rows already; none made")
    return 0


SEED = Command(name="seed", help="fill empty tables with a few users and items", run=_run)
