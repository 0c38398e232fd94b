"""How long what is cached lives."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.about import NAME
from app.settings import Settings


class CacheSettings(Settings):
    """The part of the environment that starts with CACHE_. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="CACHE_")

    prefix: str = Field(default=NAME, min_length=1)  # of every key, as Redis may be shared
    ttl_s: float = Field(default=3600, gt=0)
    negative_ttl_s: float = Field(default=60, gt=0)  # for "there is no such thing"
    jitter: float = Field(default=0.1, ge=0, lt=1)  # a TTL is up to this share shorter
    early: float = Field(default=1, ge=0)  # how eagerly hot entries are refreshed; 0: never
    lease_s: float = Field(default=3, gt=0)  # how long a process that died holds others up
