"""How a scheduler works."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.settings import Settings


class SchedulerSettings(Settings):
    """The part of the environment that starts with SCHEDULER_. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="SCHEDULER_")

    # How soon a tick is done by others whose scheduler died while it did it.
    poll_s: float = Field(default=1, ge=0.05, le=60)
    # A tick that is later than this was missed.
    grace_s: float = Field(default=60, ge=1, le=3600)
