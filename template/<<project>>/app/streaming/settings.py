"""How many files are on their way at once, how long that may take, and how large they may be."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.settings import Settings


class StreamingSettings(Settings):
    """The part of the environment that starts with STREAMING_. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="STREAMING_")

    # Files at once; each holds a connection of the pool, and others need some as well. None: a
    # quarter of the pool.
    concurrency: int | None = Field(default=None, ge=1)
    # A file that takes longer is given up, and its transaction with it.
    timeout_s: float = Field(default=600, gt=0)
    # So is one whose client sends nothing, or takes nothing, for this long.
    stall_s: float = Field(default=20, gt=0)
    # The largest import, compressed or not: what it has before and after.
    import_bytes: int = Field(default=1_073_741_824, ge=1)
    gzip_level: int = Field(default=3, ge=1, le=9)
