"""What a client asks for with a key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from starlette.types import Scope

HEADER = b"idempotency-key"
# A string of RFC 9651, as the draft has it, or the same without quotes, as most clients send it.
_KEY = re.compile(rb'"([\x21\x23-\x5b\x5d-\x7e]{1,128})"|([\x21\x23-\x5b\x5d-\x7e]{1,128})')
SYNTAX = "Send one Idempotency-Key of 1 to 128 visible characters without quotes and backslashes."


def parse_key(values: Sequence[bytes]) -> bytes | None:
    """The key in the values of the header; None when it is not exactly one that can be used."""
    found = _KEY.fullmatch(values[0]) if len(values) == 1 else None
    return found and (found[1] or found[2])


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with a key.

    id:          one for each principal and key
    fingerprint: one for each method, path, query and body
    """

    id: bytes
    fingerprint: bytes

    @classmethod
    def by(cls, principal: str, key: bytes, scope: Scope, body: bytes) -> Self:
        """What this principal asks for."""
        # a token's subject is any text, also half a surrogate pair
        who = principal.encode(errors="surrogatepass")
        path = scope["path"].encode(errors="surrogatepass")
        what = [scope["method"].encode(), path, scope["query_string"], body]
        return cls(_digest(who, key), _digest(*what))

    @property
    def lock(self) -> int:
        """The number of PostgreSQL's advisory lock for it."""
        return int.from_bytes(self.id[:8], signed=True)


def _digest(*parts: bytes) -> bytes:
    """SHA-256 of the parts, which are told apart wherever one ends."""
    return sha256(b"".join(sha256(part).digest() for part in parts)).digest()
