"""When the event loop counts as blocked."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app.settings import Settings


class ProfilingSettings(Settings):
    """The part of the environment that starts with PROFILING_. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="PROFILING_")

    # Whatever holds the event loop up for longer is logged, with its stack.
    blocked_s: float = Field(default=0.25, ge=0.01, le=60)
