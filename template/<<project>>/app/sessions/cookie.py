"""The cookie that holds the secret of a session."""

from __future__ import annotations

from collections.abc import Iterable
from time import time
from typing import Self

from starlette.responses import Response

from app.service import Service
from app.sessions.session import SECRET
from app.sessions.session import Session
from app.sessions.settings import SessionsSettings
from app.settings import Environment

# Who sends one of these says who they are by it, and not by the cookie that comes along.
_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})


class Cookie:
    """`__Host-session`: the browser takes it over https only, from this host only, for all paths,
    so that no other site, not even a subdomain, can plant one. Not for scripts (HttpOnly), and not
    sent with what another site posts (SameSite=Lax). In development it is plain `session`."""

    def __init__(self, *, secure: bool) -> None:
        self.name = "__Host-session" if secure else "session"
        self._prefix = f"{self.name}=".encode()
        self._attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")

    @classmethod
    def of(cls, service: Service) -> Self:
        """As the settings have it."""
        return cls(secure=is_secure(service))

    def secret(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """What it holds; None without it, with two of it, and beside other credentials."""
        found: list[bytes] = []
        for name, value in headers:
            if name in _CREDENTIALS:
                return None
            if name == b"cookie" and self._prefix in value:
                parts = (part.strip() for part in value.split(b";"))
                found += [part for part in parts if part.startswith(self._prefix)]
        if len(found) != 1:
            return None
        secret = found[0].removeprefix(self._prefix)
        return secret if SECRET.fullmatch(secret) else None

    def set(self, response: Response, session: Session) -> None:
        """Hand a session to the browser, which may keep it as long as it can last."""
        lasts_s = max(0, int(session.ends_at - time()))
        self._set(response, session.secret.decode(), lasts_s)

    def clear(self, response: Response) -> None:
        """Have the browser forget it."""
        self._set(response, "", 0)

    def _set(self, response: Response, value: str, max_age_s: int) -> None:
        text = f"{self.name}={value}; Max-Age={max_age_s}{self._attributes}"
        response.headers.append("Set-Cookie", text)


def is_secure(service: Service) -> bool:
    """Whether the cookie is for https only."""
    secure = service.settings(SessionsSettings).secure
    return service.core.environment is not Environment.DEVELOPMENT if secure is None else secure
