"""Where Redis is and how long it may take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import parse_qsl
from urllib.parse import urlsplit

from pydantic import AfterValidator
from pydantic import Field
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict
from redis.asyncio import ConnectionPool

from app.settings import Settings

# The development tooling starts a Redis inside its own process and marks its URL with this name.
EMBEDDED = ("client_name", "embedded")


def usable_url(url: SecretStr) -> SecretStr:
    """The URL, if redis-py understands it and it gives bytes; ValueError otherwise, without the
    text of the URL, which is a secret."""
    try:
        pool = ConnectionPool.from_url(url.get_secret_value())
        pool.make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError):
        raise ValueError(
            "it should look like redis://[user:password@]host:6379/0, rediss:// (TLS) or "
            "unix://, with options that redis-py knows"
        ) from None
    if "decode_responses" in pool.connection_kwargs:
        raise ValueError("decode_responses is not possible, the service stores bytes")
    return url


class RedisSettings(Settings):
    """REDIS_URL and how the service uses what is there. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="REDIS_")

    # redis://, rediss:// or unix://, with user and password where there are any
    url: Annotated[SecretStr, AfterValidator(usable_url)]
    timeout_s: float = Field(default=0.5, gt=0)  # for one round trip, connecting included
    required: bool = False  # whether the service is unready without Redis
    in_flight: int = Field(default=4, ge=1)  # pipelines under way at once
    max_connections: int = Field(default=20, ge=1)  # of the plain client

    def problems(self) -> Iterator[str]:
        """The embedded Redis is for development: it is slow, and gone with the process."""
        if EMBEDDED in parse_qsl(urlsplit(self.url.get_secret_value()).query):
            yield "REDIS_URL is the embedded Redis of development; set the URL of a real one."
