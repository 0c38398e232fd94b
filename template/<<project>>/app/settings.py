"""Typed settings from the environment, one class a pattern; what is wrong is said in a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from enum import StrEnum
from ipaddress import IPv4Network
from ipaddress import IPv6Network
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import BeforeValidator
from pydantic import Field
from pydantic import ValidationError
from pydantic_settings import BaseSettings
from pydantic_settings import NoDecode
from pydantic_settings import SettingsConfigDict


def _split(value: Any) -> Any:
    """`a, b` → `["a", "b"]`."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


# A list in one environment variable, separated by commas: CommaSeparated[list[str]].
type CommaSeparated[T] = Annotated[T, NoDecode, BeforeValidator(_split)]


class Environment(StrEnum):
    """Where the service runs. Nothing said means production, so that nothing lax slips through."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


class SettingsError(Exception):
    """The environment does not hold what the service needs; `str()` lists one problem a line."""


class Settings(BaseSettings):
    """Base of every pattern's settings."""

    model_config = SettingsConfigDict(
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        env_ignore_empty=True,
        allow_inf_nan=False,
    )

    def problems(self) -> Iterator[str]:
        """What forbids a start in production, one sentence each."""
        return iter(())


class CoreSettings(Settings):
    """What every process of the service needs to know."""

    environment: Environment = Environment.PRODUCTION
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    internal_host: str = "127.0.0.1"
    internal_port: int = Field(default=9000, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    access_log: bool = True
    trusted_proxies: CommaSeparated[list[IPv4Network | IPv6Network]] = Field(default=[])
    cors_origins: CommaSeparated[list[str]] = Field(default=[])
    max_body_bytes: int = Field(default=1_048_576, ge=0)
    # A body that does not come holds its connection; less than a shutdown may take.
    body_timeout_s: float = Field(default=20, gt=0)
    # Longer than the balancer keeps idle connections, or it sends requests into closed ones.
    keep_alive_s: int = Field(default=75, ge=1)
    docs: bool | None = None  # none: in development only

    @property
    def production(self) -> bool:
        """Whether the strict rules of production hold."""
        return self.environment is Environment.PRODUCTION

    @property
    def serve_docs(self) -> bool:
        """Whether the internal port shows the API's documentation."""
        return not self.production if self.docs is None else self.docs


def load_settings(kinds: Iterable[type[Settings]]) -> dict[type[Settings], Settings]:
    """Read all settings from the environment, or raise SettingsError with every problem found."""
    loaded: dict[type[Settings], Settings] = {}
    wrong: list[str] = []
    every: list[type[Settings]] = [CoreSettings, *kinds]
    for kind in every:
        try:
            loaded[kind] = kind()
        except ValidationError as error:
            wrong += _sentences(kind, error)
    core = loaded.get(CoreSettings)
    if isinstance(core, CoreSettings) and core.production:
        wrong += [problem for settings in loaded.values() for problem in settings.problems()]
    if wrong:
        raise SettingsError("\n".join(wrong))
    return loaded


def _sentences(kind: type[Settings], error: ValidationError) -> Iterator[str]:
    prefix = kind.model_config.get("env_prefix", "")
    for detail in error.errors(include_url=False, include_input=False):
        name = (prefix + str(detail["loc"][0]) if detail["loc"] else kind.__name__).upper()
        if detail["type"] == "missing":
            yield f"{name} is not set."
        else:
            yield f"{name} is not usable: {detail['msg'].removeprefix('Value error, ')}."
