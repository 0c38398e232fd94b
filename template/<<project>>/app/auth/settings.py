"""Which keys and which issuer are trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from typing import Any

from pydantic import BeforeValidator
from pydantic import Field
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode
from pydantic_settings import SettingsConfigDict

from app.auth.keys import BadEntry
from app.auth.keys import Entry
from app.auth.principal import Principal
from app.settings import Settings
from app.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs the tokens that are trusted, whom they must be meant for, where the keys are."""

    name: str
    audience: str
    keys_url: str


def _entries(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return Entry.parse_all(value)
    except BadEntry as error:
        raise PydanticCustomError("api_key", "{problem}", {"problem": str(error)}) from None


class AuthSettings(Settings):
    """API keys by their hash, and one issuer of tokens: either, or both."""

    model_config = SettingsConfigDict(env_prefix="AUTH_", env_ignore_empty=True)

    api_keys: Annotated[list[Entry], NoDecode, BeforeValidator(_entries)] = Field(default=[])
    # Whether GET and HEAD are answered without credentials.
    public_reads: bool = False
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwks_url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None

    def problems(self) -> Iterator[str]:
        """Production needs somebody who may come in, and keys that nobody can replace underway."""
        if incomplete := self._incomplete():
            yield incomplete
        elif not self.api_keys and not self.jwt_issuer:
            yield "AUTH_API_KEYS or AUTH_JWT_ISSUER must be set: nobody could use the service."
        if self.jwks_url and not self.jwks_url.startswith("https://"):
            yield "AUTH_JWKS_URL must begin with https://."

    def principals(self) -> dict[bytes, Principal]:
        """Who has an API key, by the key's SHA-256."""
        return {entry.digest: entry.principal for entry in self.api_keys}

    def issuer(self) -> Issuer | None:
        """The issuer of tokens; None without one; SettingsError when only half of it is set."""
        if incomplete := self._incomplete():
            raise SettingsError(incomplete)
        if self.jwt_issuer and self.jwt_audience and self.jwks_url:
            return Issuer(self.jwt_issuer, self.jwt_audience, self.jwks_url)
        return None

    def _incomplete(self) -> str | None:
        given = {
            "AUTH_JWT_ISSUER": self.jwt_issuer,
            "AUTH_JWT_AUDIENCE": self.jwt_audience,
            "AUTH_JWKS_URL": self.jwks_url,
        }
        absent = [name for name, value in given.items() if not value]
        if absent and len(absent) < len(given):
            return f"{' and '.join(absent)} must be set as well: tokens need all of {len(given)}."
        return None
