"""How long sessions last, where they are, and what a password costs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator
from pydantic import Field
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from app.about import NAME
from app.redis import usable_url
from app.settings import CommaSeparated
from app.settings import Settings

YEAR_S = 31_536_000

_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError("an origin looks like https://shop.example, in lower case")
    return text


type Origin = Annotated[str, AfterValidator(_origin)]


class SessionsSettings(Settings):
    """The part of the environment that starts with SESSIONS_. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="SESSIONS_")

    # A Redis of their own, which evicts nothing; by default that of REDIS_URL.
    redis_url: Annotated[SecretStr, AfterValidator(usable_url)] | None = None
    prefix: str = Field(default=f"{NAME}-sessions", min_length=1)
    # A session ends so long after its last request, and in any case so long after the login.
    idle_s: int = Field(default=86_400, ge=1, le=YEAR_S)
    max_age_s: int = Field(default=604_800, ge=1, le=YEAR_S)
    # Of more sessions of one user the oldest is ended.
    per_user: int = Field(default=50, ge=1, le=1000)
    # Whether the cookie is for https only; none: everywhere but in development.
    secure: bool | None = None
    # Where a proxy changes Host: the origins of pages that may write with a session.
    origins: CommaSeparated[list[Origin]] = Field(default=[])
    # What one password costs (RFC 9106: 64 MiB, 3 passes, 4 lanes), and how many at a time.
    argon2_memory_kib: int = Field(default=65_536, ge=64, le=4_194_304)
    argon2_passes: int = Field(default=3, ge=1, le=100)
    argon2_lanes: int = Field(default=4, ge=1, le=8)
    argon2_at_once: int = Field(default=2, ge=1, le=64)

    def problems(self) -> Iterator[str]:
        """A session that is sent in the clear is everybody's, and so is a page."""
        if self.secure is False:
            yield "SESSIONS_SECURE=false is for development only; leave it out."
        if any(origin.startswith("http://") for origin in self.origins):
            yield "SESSIONS_ORIGINS must begin with https://."
