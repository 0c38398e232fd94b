"""How much is looked up at once."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.settings import Settings


class DataLoaderSettings(Settings):
    """The part of the environment that starts with DATALOADER_."""

    model_config = SettingsConfigDict(env_prefix="DATALOADER_")

    # Keys in one query; more are several queries, one after the other.
    max_batch: int = Field(default=500, ge=1, le=10_000)
