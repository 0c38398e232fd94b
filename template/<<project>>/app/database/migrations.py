"""`python -m app migrate` and `revision`. Alembic is imported only when one of them runs."""

import asyncio
import logging
from argparse import ArgumentParser
from argparse import Namespace

from app.http import logs
from app.pattern import Command


def _migrate(_: Namespace) -> int:
    from app.database.migrate import database_settings
    from app.database.migrate import upgrade

    logs.configure("info")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    asyncio.run(upgrade(database_settings()))
    return 0


def _revision_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("-m", "--message", required=True, help="what it changes, in a few words")
    parser.add_argument("--empty", action="store_true", help="do not compare models and database")


def _revision(arguments: Namespace) -> int:
    from app.database.migrate import database_settings
    from app.database.migrate import revise

    made = asyncio.run(revise(database_settings(), arguments.message, not arguments.empty))
    for path in made:
        print(path)
    if not made:
        print("Models and database do not differ; --empty makes a revision to fill in.")
    return 0


MIGRATION_COMMANDS = (
    Command(name="migrate", help="bring the database to this version", run=_migrate),
    Command(
        name="revision",
        help="write a migration from the difference between models and database",
        run=_revision,
        arguments=_revision_arguments,
    ),
)
