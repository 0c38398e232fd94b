"""How many retries there may be: a share of the calls, however many of them fail."""

# Saved up at most, so that a client that asks seldom can retry, too.
MOST_SAVED = 10.0


class RetryBudget:
    """A bucket of tokens: each call puts `ratio` of one in, each retry takes a whole one out.

    So of n calls there are at most ratio * n + 10 retries, and an outage costs the upstream a tenth
    more requests instead of three times as many. As Finagle's RetryBudget and gRPC's retry
    throttling (gRFC A6), without a clock.
    """

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._tokens = MOST_SAVED if ratio else 0.0

    def deposit(self) -> None:
        """A call was made."""
        self._tokens = min(MOST_SAVED, self._tokens + self._ratio)

    def withdraw(self) -> bool:
        """Whether a retry may be made; then it is paid for."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
