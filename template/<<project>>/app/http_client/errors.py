"""Why there is no answer. Each is Unavailable, so a route that lets it pass answers 503."""

from __future__ import annotations

from errno import errorcode
from typing import ClassVar

from app.http.errors import Unavailable


def _kind(error: BaseException) -> str:
    """`ClientConnectorError: ECONNREFUSED`, or the class alone where there is no number."""
    number = error.errno if isinstance(error, OSError) else None
    code = errorcode.get(number or 0)
    return f"{type(error).__name__}: {code}" if code else type(error).__name__


class NoAnswer(Unavailable):
    """An upstream was not asked, or gave no answer that can be used.

    outcome:  the value of the metric's label
    answered: whether the upstream is there all the same, for the circuit breaker
    again:    whether another attempt may do better
    why:      what it came of, for the log: no text of others, which may hold the URL with its query
    """

    outcome: ClassVar[str]
    answered: ClassVar[bool] = False
    again: ClassVar[bool] = False
    said: ClassVar[str]

    def __init__(
        self, upstream: str, retry_after: int = 1, cause: BaseException | None = None
    ) -> None:
        super().__init__(f"{upstream} {self.said}.", retry_after)
        self.why = _kind(cause) if cause else self.outcome


class Unreachable(NoAnswer):
    """No connection, or one that broke. The request may have been carried out."""

    outcome = "unreachable"
    again = True
    said = "cannot be reached"


class TooSlow(NoAnswer):
    """A timeout of one attempt. The request may have been carried out."""

    outcome = "timeout"
    again = True
    said = "does not answer in time"


class PastDeadline(NoAnswer):
    """The deadline of the whole call. The request may have been carried out."""

    outcome = "deadline"
    said = "does not answer in time"


class TooLarge(NoAnswer):
    """The answer has more bytes than HTTP_CLIENT_MAX_BODY_BYTES."""

    outcome = "too_large"
    answered = True
    said = "answers more than can be taken"


class Busy(NoAnswer):
    """So many requests are under way that this one was not sent."""

    outcome = "busy"
    said = "is asked too much at once"


class CircuitOpen(NoAnswer):
    """The upstream has failed too often, and is left alone for a while."""

    outcome = "circuit_open"
    said = "is left alone, as it failed too often"
