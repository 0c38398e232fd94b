"""Graceful shutdown: on SIGTERM the service leaves the balancer first, then finishes its work."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.pattern import Pattern
from app.settings import Settings
from app.shutdown.drain import Drain


class ShutdownSettings(Settings):
    """How long a shutdown may take, in seconds."""

    model_config = SettingsConfigDict(env_prefix="SHUTDOWN_")

    # The time a balancer needs to notice that /readyz fails; requests are still answered.
    drain_s: float = Field(default=5, ge=0)
    # After this, whatever is unfinished is cut off.
    force_s: float = Field(default=30, gt=0)


pattern = Pattern(
    name="shutdown",
    settings=ShutdownSettings,
    middleware=lambda app, service: Drain(app, service),
)
