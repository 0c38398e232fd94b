"""The database's part of the environment, and the budget of its connections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator
from pydantic import Field
from pydantic import SecretStr
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from app.about import MAX_CONNECTIONS
from app.about import MAX_REPLICAS
from app.about import PROCESSES
from app.settings import Settings

# While a new version is rolled out there is one instance more of each process.
SURGE = 1
# A migration holds two connections; five stay free for people, backups and monitoring.
MIGRATION, RESERVED = 2, 5


def pools() -> int:
    """How many processes of the service there may be at once, each with a pool."""
    return MAX_REPLICAS + SURGE + sum(most + SURGE for most in PROCESSES.values())


def connections_needed(pool_max: int) -> int:
    """The connections that the whole service may open at once, with pools of this size."""
    return pools() * pool_max + MIGRATION + RESERVED


def largest_pool() -> int:
    """The largest pool, at most 20, with which all processes together fit MAX_CONNECTIONS."""
    return min(20, (MAX_CONNECTIONS - MIGRATION - RESERVED) // pools())


_SCHEMES = ("postgresql://", "postgres://", "postgresql+asyncpg://")


def _postgresql(url: SecretStr) -> SecretStr:
    # to asyncpg, a URL that says nothing means whatever server this machine has
    if not url.get_secret_value().startswith(_SCHEMES):
        raise PydanticCustomError("url", "it does not begin with postgresql://")
    return url


class DatabaseSettings(Settings):
    """Where PostgreSQL is, and how its pool behaves. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="DATABASE_")

    url: Annotated[SecretStr, AfterValidator(_postgresql)]
    pool_min: int = Field(default=5, ge=0)
    pool_max: int = Field(default=largest_pool(), ge=1)
    pool_acquire_s: float = Field(default=30, gt=0)
    pool_idle_s: float = Field(default=10, ge=0)
    slow_query_s: float = Field(default=0.5, gt=0)
    statement_timeout_s: float = Field(default=30, gt=0)
    connect_timeout_s: float = Field(default=5, gt=0)
    start_timeout_s: float = Field(default=60, ge=0)
    # PgBouncer in transaction mode: no prepared statements kept, no session settings sent.
    pgbouncer: bool = False

    @property
    def dsn(self) -> str:
        """The URL as asyncpg wants it, also when it is written as SQLAlchemy does."""
        return self.url.get_secret_value().replace("postgresql+asyncpg://", "postgresql://", 1)

    def problems(self) -> Iterator[str]:
        """A production start needs a server of its own."""
        if self.dsn.partition("://")[2].startswith("embedded:"):  # the user's name
            yield "DATABASE_URL names the embedded database, which is for development only."
