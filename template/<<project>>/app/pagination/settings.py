"""The secrets that sign cursors."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from app.settings import CommaSeparated
from app.settings import Settings

SHORTEST_SECRET = 32

# Known to everybody, so that on a developer's machine cursors outlive a reload.
DEVELOPMENT_SECRET = "for-development-and-tests-only-never-in-production"  # noqa: S105


class PaginationSettings(Settings):
    """PAGINATION_SECRETS: the first one signs, all of them verify."""

    model_config = SettingsConfigDict(env_prefix="PAGINATION_")

    secrets: CommaSeparated[list[SecretStr]] = Field(default=[])

    def problems(self) -> Iterator[str]:
        """Production needs secrets of its own."""
        if not self.secrets:
            yield "PAGINATION_SECRETS is not set."
        for number, secret in enumerate(self.secrets, 1):
            if len(secret) < SHORTEST_SECRET:
                least = f"at least {SHORTEST_SECRET} characters"
                yield f"PAGINATION_SECRETS: secret {number} is too short, it needs {least}."
            elif secret.get_secret_value() == DEVELOPMENT_SECRET:
                yield f"PAGINATION_SECRETS: secret {number} is the one for development."

    def keys(self) -> list[bytes]:
        """The secrets as bytes, the signing one first."""
        return [secret.get_secret_value().encode() for secret in self.secrets] or [
            DEVELOPMENT_SECRET.encode()
        ]
