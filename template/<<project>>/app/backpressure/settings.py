"""How much is served at once, how much may wait, and for how long."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.settings import CommaSeparated
from app.settings import Settings

type PathPrefix = Annotated[str, Field(pattern=r"^/[^\s,]*$")]


class BackpressureSettings(Settings):
    """The part of the environment that starts with BACKPRESSURE_. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="BACKPRESSURE_")

    # Requests served at once by one process; none: twice what its scarcest resource serves.
    limit: int | None = Field(default=None, ge=1, le=10_000)
    # Requests that may wait for a place, and how long.
    queue: int = Field(default=200, ge=0, le=10_000)
    wait_s: float = Field(default=0.5, gt=0, le=60)
    # Until the answer begins, waiting included. With SHUTDOWN_DRAIN_S less than SHUTDOWN_FORCE_S.
    deadline_s: float = Field(default=20, gt=0, le=3600)
    # When a tenth of the answers take longer than this, fewer are served at once; none: never.
    latency_s: float | None = Field(default=None, gt=0, le=60)
    # What is refused first: requests whose path begins so.
    low_priority: CommaSeparated[list[PathPrefix]] = Field(default=[])
