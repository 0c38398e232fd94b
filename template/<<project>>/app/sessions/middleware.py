"""The middleware: a cookie in, the principal that authentication would give out."""

from __future__ import annotations

from prometheus_client import Counter
from starlette.types import ASGIApp
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.auth import is_public
from app.http.errors import Unavailable
from app.http.errors import send_problem
from app.http.errors import send_unavailable
from app.sessions.cookie import Cookie
from app.sessions.csrf import FOREIGN
from app.sessions.csrf import Csrf
from app.sessions.store import Sessions

MISSING = "This needs a session, an API key or a token: log in, or send one of these."
_SAFE = frozenset({"GET", "HEAD"})

_REFUSED = Counter("sessions_refused", "Requests with a session that were refused", ["reason"])
REFUSED = {reason: _REFUSED.labels(reason) for reason in ("origin", "token", "unavailable")}


class SessionCookie:
    """ASGI middleware around authentication, which asks its principal for the usual scopes.

    Sets `scope["session"]` and `scope["principal"]`. A cookie of no session is as none. It is not
    looked at beside credentials in a header, which other sites cannot send, nor for what is public.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, cookie: Cookie, csrf: Csrf) -> None:
        self._app = app
        self._sessions = sessions
        self._cookie = cookie
        self._csrf = csrf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] == "OPTIONS" or is_public(scope):
            return await self._app(scope, receive, send)
        scope["missing"] = MISSING  # said by authentication, if there is no principal
        secret = self._cookie.secret(scope["headers"])
        if secret is None:
            return await self._app(scope, receive, send)
        try:
            session = await self._sessions.find(secret)
        except Unavailable as error:
            REFUSED["unavailable"].inc()
            return await send_unavailable(send, error)
        if session is not None:
            if scope["method"] not in _SAFE and (problem := self._csrf.problem(scope, secret)):
                REFUSED["origin" if problem == FOREIGN else "token"].inc()
                return await send_problem(send, 403, problem)
            scope["session"], scope["principal"] = session, session.principal
        await self._app(scope, receive, send)
