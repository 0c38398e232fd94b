"""Why a request is refused, and what its sender is told."""

from enum import Enum

from prometheus_client import Counter
from starlette.types import Scope

from app.about import NAME

REFUSED = Counter("auth_refused_total", "Requests refused by authentication", ["reason"])


class Refusal(Enum):
    """A reason: label of the metric, status, what the sender is told, RFC 6750's error code."""

    MISSING = "missing", 401, "This needs an API key or a token.", None
    MALFORMED = (
        "malformed",
        401,
        "Send one credential: Authorization: Bearer …, or X-API-Key: ….",
        "invalid_request",
    )
    UNKNOWN_KEY = "unknown_key", 401, "The API key is not valid.", "invalid_token"
    BAD_TOKEN = "bad_token", 401, "The token is not valid.", "invalid_token"
    EXPIRED = "expired", 401, "The token has expired.", "invalid_token"
    SCOPE = "scope", 403, "The credential does not allow this.", "insufficient_scope"
    UNAVAILABLE = "unavailable", 503, "Tokens cannot be checked at the moment.", None

    def __init__(self, reason: str, status: int, detail: str, error: str | None) -> None:
        self.reason = reason
        self.status = status
        self.detail = detail
        self.challenge = f'Bearer realm="{NAME}"' + (f', error="{error}"' if error else "")


# Who sends one of these has shown nothing that was ever valid. An expired token is none of them:
# only one that the issuer has signed is told that it expired.
GUESSES = frozenset({Refusal.MISSING, Refusal.MALFORMED, Refusal.UNKNOWN_KEY, Refusal.BAD_TOKEN})


def detail_of(refusal: Refusal, scope: Scope) -> str:
    """What the sender is told; a layer further out may know of more ways to be known, and say so in
    `scope["missing"]`."""
    found: str | None = scope.get("missing") if refusal is Refusal.MISSING else None
    return found or refusal.detail


class Refused(Exception):
    """The request is refused; `retry_after` seconds later it may not be."""

    def __init__(self, refusal: Refusal, retry_after: int | None = None) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.retry_after = retry_after


_COUNTERS = {refusal: REFUSED.labels(refusal.reason) for refusal in Refusal}


def count(refusal: Refusal) -> None:
    """Count one refusal."""
    _COUNTERS[refusal].inc()
