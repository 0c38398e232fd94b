"""A session, as it is stored and as it is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from hashlib import sha256
from secrets import token_urlsafe
from time import time
from typing import Any
from typing import Self

import msgspec
from starlette.types import Scope

from app.auth import Principal
from app.http.address import client_network

# What the cookie holds: 256 random bits.
SECRET = re.compile(rb"[A-Za-z0-9_-]{43}")
LONGEST_AGENT = 200


def new_secret() -> bytes:
    """The secret of a new session."""
    return token_urlsafe(32).encode()


def id_of(secret: bytes) -> str:
    """The id of a session, which tells nothing of its secret. A slow hash would slow nobody down:
    there is nothing to guess."""
    return sha256(secret).hexdigest()


def as_time(seconds: float) -> datetime:
    """Seconds since 1970 as the API shows times."""
    return datetime.fromtimestamp(seconds, UTC)


class Data(msgspec.Struct, frozen=True):
    """What is stored of a session beside its times."""

    user: str
    tier: str
    scopes: list[str]
    begun_at: float
    address: str
    agent: str

    @classmethod
    def of(cls, principal: Principal, scope: Scope) -> Self:
        """Of somebody who logs in by this request."""
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
        return cls(
            user=principal.id,
            tier=principal.tier,
            scopes=sorted(principal.scopes),
            begun_at=time(),
            address=client_network(scope) or "",
            agent=agent[:LONGEST_AGENT].decode("latin-1"),
        )


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has logged in.

    id:      names it to its user; not what the cookie holds
    ends_at: at the latest, in seconds since 1970; earlier when nothing is asked for SESSIONS_IDLE_S
    secret:  what the cookie holds; empty where the session is not that of the request
    """

    id: str
    data: Data
    ends_at: float
    secret: bytes = field(default=b"", repr=False)

    @classmethod
    def stored(cls, session_id: str, found: Sequence[bytes], secret: bytes = b"") -> Self:
        """What Redis has of it: milliseconds and JSON; ValueError when it is something else."""
        ends_ms, data = found
        return cls(session_id, msgspec.json.decode(data, type=Data), int(ends_ms) / 1000, secret)

    @property
    def principal(self) -> Principal:
        """Whoever has logged in."""
        return Principal(self.data.user, self.data.tier, frozenset(self.data.scopes))

    def shown(self, current: str | None) -> dict[str, Any]:
        """What its user sees of it; `current` is the session that asks."""
        return {
            "id": self.id,
            "current": self.id == current,
            "begunAt": as_time(self.data.begun_at),
            "endsAt": as_time(self.ends_at),
            "address": self.data.address,
            "agent": self.data.agent,
        }
