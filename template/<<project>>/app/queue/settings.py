"""How a worker works."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.settings import Settings


class QueueSettings(Settings):
    """The part of the environment that starts with QUEUE_. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="QUEUE_")

    concurrency: int = Field(default=10, ge=1, le=1000)  # jobs of one worker at a time
    # After which a worker that says nothing is dead; it says something three times as often.
    lease_s: float = Field(default=15, ge=0.3)
    # How late a delayed job may be, and a job whose notification was lost.
    poll_s: float = Field(default=1, ge=0.05)
    # How long a job that is done still answers for its idempotency key.
    key_ttl_s: float = Field(default=86_400, ge=0)
