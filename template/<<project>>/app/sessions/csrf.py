"""Whether a write that comes with a session was meant by its user: no other site's page sent it.

Browsers add the cookie by themselves. SameSite=Lax keeps it from what other sites post; what
another host of the same site posts is known by Origin, which pages cannot change; and whatever
browser or proxy leaves that out, nobody but a page of ours can read the token.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import Self

from starlette.types import Scope

from app.service import Service
from app.sessions.cookie import is_secure
from app.sessions.settings import SessionsSettings

TOKEN_HEADER = b"x-csrf-token"
FOREIGN = "This was sent by a page of another site."
UNPROVED = "Send the session's token as X-CSRF-Token; GET /session tells it."


def token_of(secret: bytes) -> str:
    """The token of a session. It follows from the secret, so that it needs no place, and leads to
    the session but not back to the secret."""
    return urlsafe_b64encode(hmac.digest(secret, b"csrf", "sha256")).rstrip(b"=").decode()


class Csrf:
    """Checks writes. `origins` are those of pages that count as ours beside those of our host."""

    def __init__(self, origins: Iterable[str], *, secure: bool) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)
        self._schemes = (b"https",) if secure else (b"https", b"http")

    @classmethod
    def of(cls, service: Service) -> Self:
        """As the settings have it."""
        return cls(service.settings(SessionsSettings).origins, secure=is_secure(service))

    def problem(self, scope: Scope, secret: bytes) -> str | None:
        """Why a write with a session is refused; None when it is not."""
        if self.is_foreign(scope):
            return FOREIGN
        given = [value for name, value in scope["headers"] if name == TOKEN_HEADER]
        expected = token_of(secret).encode()
        if len(given) == 1 and hmac.compare_digest(given[0], expected):
            return None
        return UNPROVED

    def is_foreign(self, scope: Scope) -> bool:
        """Whether a browser says that a page of another site sent this."""
        headers = dict(scope["headers"])
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if origin is not None:
            return not (origin in self._origins or self._is_ours(origin, headers.get(b"host")))
        return site not in (None, b"same-origin", b"none")

    def _is_ours(self, origin: bytes, host: bytes | None) -> bool:
        scheme, _, place = origin.lower().partition(b"://")
        if scheme not in self._schemes or not host:
            return False
        usual = b":443" if scheme == b"https" else b":80"
        return place.removesuffix(usual) == host.lower().removesuffix(usual)
