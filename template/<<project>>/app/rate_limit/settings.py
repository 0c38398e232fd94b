"""How many requests are admitted, and from whom."""

from __future__ import annotations

import re
from typing import Annotated
from typing import Any

from pydantic import BeforeValidator
from pydantic import Field
from pydantic_settings import NoDecode
from pydantic_settings import SettingsConfigDict

from app.about import MAX_REPLICAS
from app.about import NAME
from app.settings import Settings

# The largest integer of a structured field (RFC 9651).
LARGEST_LIMIT = 999_999_999_999_999
_TIER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}:-?[0-9]+")


def _tiers(value: Any) -> Any:
    """`standard:100, premium:1000` → {"standard": "100", "premium": "1000"}."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not parts or not all(_TIER.fullmatch(part) for part in parts):
        raise ValueError("it should look like standard:100,premium:1000, with names in lower case")
    limits = dict(part.split(":") for part in parts)
    if len(limits) < len(parts):
        raise ValueError("a tier is named twice")
    return limits


type Limit = Annotated[int, Field(ge=1, le=LARGEST_LIMIT)]
type Tiers = Annotated[dict[str, Limit], NoDecode, BeforeValidator(_tiers)]


class RateLimitSettings(Settings):
    """The part of the environment that starts with RATE_LIMIT_."""

    model_config = SettingsConfigDict(env_prefix="RATE_LIMIT_")

    # Requests in any window of so many seconds: of a principal by its tier, of an address without.
    window_s: int = Field(default=900, ge=1, le=86_400)
    tiers: Tiers = Field(default="standard:100,premium:1000", validate_default=True)
    anonymous: Limit = 100
    # While Redis is away each process admits its share: the limit divided by this.
    replicas: int = Field(default=MAX_REPLICAS, ge=1)
    # Of every key. Not what the keys of others begin with, who may delete all of theirs.
    prefix: str = Field(default=f"{NAME}-rate-limit", min_length=1)
