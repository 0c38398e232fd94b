"""Whom the service may ask, and for how long it waits."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from urllib.parse import urlsplit

from pydantic import AfterValidator
from pydantic import BeforeValidator
from pydantic import Field
from pydantic_settings import NoDecode
from pydantic_settings import SettingsConfigDict

from app.settings import Settings


def _named(value: Any) -> Any:
    """`rates=https://a, avatars=https://b` → {"rates": "https://a", "avatars": "https://b"}."""
    if not isinstance(value, str):
        return value
    parts = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    urls = {name.strip(): url.strip() for name, _, url in parts}
    if len(urls) < len(parts):
        raise ValueError("an upstream is named twice")
    return urls


def _base(url: str) -> str:
    """The URL that paths are added to; what it holds of secrets would be logged."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an upstream looks like name=https://host[:port][/path], without a query")
    return url.rstrip("/")


type UpstreamName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
type Upstreams = Annotated[
    dict[UpstreamName, Annotated[str, AfterValidator(_base)]],
    NoDecode,
    BeforeValidator(_named),
]


class HttpClientSettings(Settings):
    """The part of the environment that starts with HTTP_CLIENT_. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="HTTP_CLIENT_")

    # Nobody else is ever asked: name=URL, and what is added to the URL is a path below it.
    upstreams: Upstreams = Field(default="", validate_default=True)
    deadline_s: float = Field(default=10, gt=0)  # of a call, with all its attempts and pauses
    pool_timeout_s: float = Field(default=1, gt=0)  # to wait while `concurrency` are under way
    connect_timeout_s: float = Field(default=1, gt=0)
    write_timeout_s: float = Field(default=5, gt=0)  # until the request is sent
    # Until the next byte of the answer; a deadline that is shorter tells the breaker nothing.
    read_timeout_s: float = Field(default=2, gt=0)
    concurrency: int = Field(default=20, ge=1, le=10_000)  # requests to one upstream at once
    max_body_bytes: int = Field(default=1_048_576, ge=0)  # of an answer, unpacked
    attempts: int = Field(default=3, ge=1, le=10)  # of one call, the first included
    retry_ratio: float = Field(default=0.1, ge=0, le=1)  # of calls, in the long run
    breaker_pause_s: float = Field(
        default=5, gt=0
    )  # before the first probe; doubles up to a minute
