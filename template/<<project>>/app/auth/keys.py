"""API keys: random, shown once, stored as SHA-256.

A key has 256 random bits, so there is nothing to guess and nothing for a slow hash to slow down;
a salt would only hide that two keys are equal, which they never are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field
from hashlib import sha256
from secrets import token_urlsafe

from app.auth.principal import Principal

PREFIX = b"pk_"
KEY_LENGTH = 46

# Short and in lower case: a key or a hash pasted in the wrong place is not taken for an id, and so
# never appears in a message.
_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")
_WORD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_HASH = re.compile(r"[0-9a-f]{64}")


class BadEntry(ValueError):
    """An entry of AUTH_API_KEYS is not usable; `str()` says why, without the hash."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One API key as it is stored: `id:tier:scope+scope:sha256`."""

    principal: Principal
    digest: bytes = field(repr=False)

    @classmethod
    def parse_all(cls, text: str) -> list[Entry]:
        """Read entries separated by commas. BadEntry if one is wrong, or two have the same key."""
        parts = [part.strip() for part in text.split(",") if part.strip()]
        entries = [cls.parse(part, number) for number, part in enumerate(parts, 1)]
        seen: dict[bytes, str] = {}
        for entry in entries:
            if entry.digest in seen:
                raise BadEntry(f"{seen[entry.digest]} and {entry.principal.id} have the same key")
            seen[entry.digest] = entry.principal.id
        return entries

    @classmethod
    def parse(cls, text: str, number: int) -> Entry:
        """Read one entry; `number` names it where its id is not one. BadEntry if it is wrong."""
        parts = text.split(":")
        if len(parts) != 4 or not _ID.fullmatch(parts[0]):
            raise BadEntry(f"entry {number} is not of the form id:tier:scope+scope:sha256")
        name, tier, scopes, digest = parts
        if not _HASH.fullmatch(digest):
            raise BadEntry(f"the hash of '{name}' is not 64 hexadecimal digits in lower case")
        return cls(_principal(name, tier, scopes.split("+")), bytes.fromhex(digest))


def new_key(name: str, tier: str, scopes: list[str]) -> tuple[str, str]:
    """A new API key, and its entry for AUTH_API_KEYS. BadEntry for names that cannot be used."""
    if not _ID.fullmatch(name):
        raise BadEntry(f"the name {name!r} is not of the form [a-z0-9][a-z0-9.-]*, 40 at most")
    _principal(name, tier, scopes)
    key = PREFIX.decode() + token_urlsafe(32)
    return key, f"{name}:{tier}:{'+'.join(scopes)}:{sha256(key.encode()).hexdigest()}"


def _principal(name: str, tier: str, scopes: list[str]) -> Principal:
    if not _WORD.fullmatch(tier):
        raise BadEntry(f"the tier of '{name}' is not a name")
    if not all(_WORD.fullmatch(scope) for scope in scopes):
        raise BadEntry(f"the scopes of '{name}' are not names")
    return Principal(f"key:{name}", tier, frozenset(scopes))
