"""What is compressed, and how hard."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.settings import Settings


class CompressionSettings(Settings):
    """The part of the environment that starts with COMPRESSION_. Level 0 switches one off."""

    model_config = SettingsConfigDict(env_prefix="COMPRESSION_")

    threshold_bytes: int = Field(default=1024, ge=1)  # smaller bodies are sent as they are
    zstd_level: int = Field(default=3, ge=0, le=19)  # beyond, windows that RFC 9659 forbids
    brotli_level: int = Field(default=3, ge=0, le=11)
    gzip_level: int = Field(default=6, ge=0, le=9)
