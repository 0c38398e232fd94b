"""How long a key holds, and whether one must be sent."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.settings import Settings


class IdempotencySettings(Settings):
    """The part of the environment that starts with IDEMPOTENCY_."""

    model_config = SettingsConfigDict(env_prefix="IDEMPOTENCY_")

    # Seconds for which a repeated request gets the stored answer; later it is a new one.
    ttl_s: int = Field(default=86_400, ge=1, le=31_536_000)
    # Whether the covered routes refuse a request without a key.
    required: bool = False
