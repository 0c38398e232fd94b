"""JSON Web Tokens of one issuer. A token is verified once and remembered for up to a minute."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from hashlib import sha256
from time import time
from typing import Any

import jwt
import msgspec

from app.auth.keyset import ALGORITHMS
from app.auth.keyset import KeySet
from app.auth.principal import Principal
from app.auth.refusal import Refusal
from app.auth.refusal import Refused
from app.auth.settings import Issuer

LEEWAY_S = 30
REMEMBER_S = 60
REMEMBERED = 10_000
DEFAULT_TIER = "standard"

_LONGEST_HEADER = 1024
_TIER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_OPTIONS: Any = {
    "require": ["exp", "iss", "aud", "sub"],
    "enforce_minimum_key_length": True,
}


class _Header(msgspec.Struct):
    alg: str
    kid: str


_decode_header = msgspec.json.Decoder(_Header).decode


class Tokens:
    """Tells whose a token is."""

    def __init__(self, issuer: Issuer, keys: KeySet) -> None:
        self._issuer = issuer
        self._keys = keys
        # Only tokens that passed get in here, so that nobody can fill it with others.
        self._known: dict[bytes, tuple[Principal, float]] = {}
        self._known_under = keys.version

    def known(self, token: bytes) -> Principal | None:
        """Whose token it is, if it was verified a short while ago."""
        found = self._known.get(sha256(token).digest())
        if found and time() < found[1] and self._known_under == self._keys.version:
            return found[0]
        return None

    async def verify(self, token: bytes) -> Principal:
        """Whose token it is. Refused if it is not valid; Unavailable if there are no keys yet."""
        key = await self._key(token)
        if key is None or not _signed(token, key):
            raise Refused(Refusal.BAD_TOKEN)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                options=_OPTIONS,
                audience=self._issuer.audience,
                issuer=self._issuer.name,
                leeway=LEEWAY_S,
            )
        except jwt.ExpiredSignatureError:
            raise Refused(Refusal.EXPIRED) from None
        except (jwt.PyJWTError, ValueError):
            raise Refused(Refusal.BAD_TOKEN) from None
        principal = _principal(claims)
        self._remember(token, principal, min(int(claims["exp"]), time() + REMEMBER_S))
        return principal

    async def _key(self, token: bytes) -> jwt.PyJWK | None:
        header = token.partition(b".")[0]
        if len(header) > _LONGEST_HEADER or token.count(b".") != 2:
            return None
        try:
            stated = _decode_header(_decode(header))
        except ValueError:
            return None
        if stated.alg not in ALGORITHMS:
            return None
        return await self._keys.find(stated.kid)

    def _remember(self, token: bytes, principal: Principal, until: float) -> None:
        if self._known_under != self._keys.version:
            # a key may have been withdrawn
            self._known.clear()
            self._known_under = self._keys.version
        if len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[sha256(token).digest()] = principal, until


def _signed(token: bytes, key: jwt.PyJWK) -> bool:
    """Whether the signature is right: `jwt.decode` finds that out as well, but only after looking
    at every character of the token in Python, which makes long forged tokens expensive."""
    signed, _, signature = token.rpartition(b".")
    try:
        return bool(key.Algorithm.verify(signed, key.key, _decode(signature)))
    except ValueError:
        return False


def _decode(segment: bytes) -> bytes:
    return urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))


def _principal(claims: dict[str, Any]) -> Principal:
    subject, tier, scopes = claims["sub"], claims.get("tier"), claims.get("scope")
    if not 0 < len(subject) <= 255:
        raise Refused(Refusal.BAD_TOKEN)
    return Principal(
        f"jwt:{subject}",
        tier if isinstance(tier, str) and _TIER.fullmatch(tier) else DEFAULT_TIER,
        frozenset(scopes.split()) if isinstance(scopes, str) else frozenset(),
    )
