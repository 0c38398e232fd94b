"""PostgreSQL: one bounded pool, compiled statements for what is hot, sessions for the rest."""

from app.database.migrations import MIGRATION_COMMANDS
from app.database.pool import Database
from app.database.settings import DatabaseSettings
from app.database.statement import Statement
from app.database.transaction import Transaction
from app.pattern import Check
from app.pattern import Pattern

__all__ = ["Database", "DatabaseSettings", "Statement", "Transaction", "pattern"]

pattern = Pattern(
    name="database",
    settings=DatabaseSettings,
    resources=lambda service: [Database(service.settings(DatabaseSettings))],
    commands=MIGRATION_COMMANDS,
    ready=lambda service: Check(ping=service.get(Database).ping),
    concurrency=lambda service: service.settings(DatabaseSettings).pool_max,
)
