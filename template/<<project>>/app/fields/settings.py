"""What a client may ask for, and how much of it is remembered."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.settings import Settings


class FieldsSettings(Settings):
    """The part of the environment that starts with FIELDS_."""

    model_config = SettingsConfigDict(env_prefix="FIELDS_")

    # Characters, names, and levels of one selection; `owner(name)` has two levels.
    max_length: int = Field(default=1_000, ge=1, le=8_000)
    max_count: int = Field(default=50, ge=1, le=1_000)
    max_depth: int = Field(default=3, ge=1, le=10)
    # Selections whose statements are kept, of each listing; a rarer one is compiled anew.
    max_statements: int = Field(default=200, ge=1, le=10_000)
