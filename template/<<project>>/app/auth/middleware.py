"""The middleware: credentials in, principal out; what needs more than that is refused."""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Mapping
from hashlib import sha256

from starlette.routing import compile_path
from starlette.types import ASGIApp
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.auth.keys import KEY_LENGTH
from app.auth.keys import PREFIX
from app.auth.principal import Principal
from app.auth.refusal import Refusal
from app.auth.refusal import Refused
from app.auth.refusal import count
from app.auth.refusal import detail_of
from app.auth.tokens import Tokens
from app.http.errors import Unavailable
from app.http.errors import send_problem
from app.http.errors import send_unavailable

# Answered to everybody on the public port, for GET and HEAD.
PUBLIC_PATHS = frozenset({"/health"})

# A longer credential is refused before anything is done with it.
LONGEST_CREDENTIAL = 8192

_READS = frozenset({"GET", "HEAD"})
_HEADERS = frozenset({b"authorization", b"x-api-key"})


def is_public(scope: Scope) -> bool:
    """Whether everybody may ask this, whatever credentials are sent."""
    return scope["path"] in PUBLIC_PATHS and scope.get("method") in _READS


class Authentication:
    """ASGI middleware that sets `scope["principal"]`, or refuses the request.

    A request that is refused has the reason in `scope["refusal"]`. `scope["on_refusal"]`, where a
    layer further out has set it, is then awaited with the scope and `send`, and says whether it has
    answered.

    Reads need the scope `read`, everything else `write`. Only OPTIONS, PUBLIC_PATHS and
    `open_routes` (method and path) pass without credentials, and reads when `public_reads` is set;
    credentials that are sent must be valid even so. `open_routes` and `any_scope_routes` (method
    and path, as routes have it) need no scope. `principals` are those with an API key, by its
    SHA-256. Without credentials in a header the principal is the one that a layer further out has
    found, if it has.
    """

    def __init__(
        self,
        app: ASGIApp,
        principals: Mapping[bytes, Principal],
        tokens: Tokens | None = None,
        *,
        public_reads: bool = False,
        open_routes: Container[tuple[str, str]] = (),
        any_scope_routes: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._app = app
        self._principals = principals
        self._tokens = tokens
        self._public_reads = public_reads
        self._open_routes = open_routes
        self._any_scope = [(method, compile_path(path)[0]) for method, path in any_scope_routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        method = scope.get("method")  # a websocket has none, and may do what a write may
        if method != "OPTIONS" and not is_public(scope):
            try:
                await self._admit(scope, method in _READS)
            except Refused as refused:
                return await _refuse(scope, send, refused)
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, reads: bool) -> None:
        credential = _credential(scope["headers"])
        if credential is not None:
            value, is_key = credential
            if is_key or self._tokens is None:
                principal = self._with_key(value)
            else:
                principal = await self._with_token(self._tokens, value)
        elif found := scope.get("principal"):
            principal = found
        elif (reads and self._public_reads) or self._is_open(scope):
            return
        else:
            raise Refused(Refusal.MISSING)
        needed = "read" if reads else "write"
        if needed not in principal.scopes and not self._needs_no_scope(scope):
            raise Refused(Refusal.SCOPE)
        scope["principal"] = principal

    def _is_open(self, scope: Scope) -> bool:
        return (scope.get("method"), scope["path"]) in self._open_routes

    def _needs_no_scope(self, scope: Scope) -> bool:
        asked, path = scope.get("method"), scope["path"]
        return self._is_open(scope) or any(
            method == asked and pattern.match(path) for method, pattern in self._any_scope
        )

    def _with_key(self, key: bytes) -> Principal:
        # the time this takes says nothing of the keys: it finds a hash, and not a key
        found = None
        if len(key) == KEY_LENGTH and key.startswith(PREFIX):
            found = self._principals.get(sha256(key).digest())
        if found is None:
            raise Refused(Refusal.UNKNOWN_KEY)
        return found

    async def _with_token(self, tokens: Tokens, token: bytes) -> Principal:
        if known := tokens.known(token):
            return known
        try:
            return await tokens.verify(token)
        except Unavailable as error:
            raise Refused(Refusal.UNAVAILABLE, error.retry_after) from None


def _credential(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bool] | None:
    """The one credential of a request and whether it must be an API key; None without any."""
    found: tuple[bytes, bytes] | None = None
    for header in headers:
        if header[0] in _HEADERS:
            # of two, one of the servers on the way may have looked at the other
            if found:
                raise Refused(Refusal.MALFORMED)
            found = header
    if found is None:
        return None
    name, value = found
    is_key = name == b"x-api-key"
    if not is_key:
        scheme, _, value = value.partition(b" ")
        if scheme.lower() != b"bearer":
            raise Refused(Refusal.MALFORMED)
        value = value.lstrip(b" ")
        is_key = value.startswith(PREFIX)
    if not 0 < len(value) <= LONGEST_CREDENTIAL:
        raise Refused(Refusal.MALFORMED)
    return value, is_key


async def _refuse(scope: Scope, send: Send, refused: Refused) -> None:
    refusal = refused.refusal
    count(refusal)
    scope["refusal"] = refusal
    if scope["type"] == "websocket":
        # before it was accepted: the server answers 403
        return await send({"type": "websocket.close", "code": 1008})
    if (on_refusal := scope.get("on_refusal")) and await on_refusal(scope, send):
        return None
    if refused.retry_after is not None:
        return await send_unavailable(send, Unavailable(refusal.detail, refused.retry_after))
    headers = [(b"www-authenticate", refusal.challenge.encode())]
    await send_problem(send, refusal.status, detail_of(refusal, scope), headers)
