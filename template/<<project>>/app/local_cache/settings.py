"""How much is kept in a process, and for how long."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.local_cache.store import Bounds
from app.settings import Settings


class LocalCacheSettings(Settings):
    """The part of the environment that starts with LOCAL_CACHE_; for each cache that has a name."""

    model_config = SettingsConfigDict(env_prefix="LOCAL_CACHE_")

    ttl_s: float = Field(default=5, gt=0, le=86_400)
    jitter: float = Field(default=0.1, ge=0, lt=1)  # a life is up to this share shorter
    max_entries: int = Field(default=10_000, ge=1)
    max_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)

    @property
    def bounds(self) -> Bounds:
        """The same, as a store takes them."""
        return Bounds(self.ttl_s, self.jitter, self.max_entries, self.max_bytes)
