"""A quota, and what was decided under it; both as the header fields say it.

The fields are those of draft-ietf-httpapi-ratelimit-headers-11 (May 2026): `RateLimit-Policy` with
quota and window, `RateLimit` with what is left of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from starlette.types import Message
from starlette.types import Scope

# Up to this limit every admission is logged on its own; above, those of a cell of time are logged
# together, and there are so many cells in a window.
MOST_RUNS = 1000


class Policy:
    """At most `limit` requests in any window of `window_s` seconds, under a name for clients."""

    def __init__(self, name: str, limit: int, window_s: int) -> None:
        self.name = name
        self.limit = limit
        self.window_s = window_s
        self.window_us = window_s * 1_000_000
        self.label = f'"{name}"'.encode()
        self.item = b"%b;q=%d;w=%d" % (self.label, limit, window_s)
        cell_us = 1 if limit <= MOST_RUNS else self.window_us // MOST_RUNS
        # of the script; as text, which needs no conversion at each request
        life_ms = (self.window_us + cell_us) // 1000 + 1
        self.arguments = tuple(map(str, (limit, self.window_us, cell_us, life_ms)))


@dataclass(slots=True)
class Decision:
    """Whether a request is admitted.

    remaining: how many more are, at the moment; -1 when this one is not
    wait_us:   after so many microseconds at least one more is
    """

    policy: Policy
    remaining: int
    wait_us: int

    @property
    def admitted(self) -> bool:
        """Whether it is."""
        return self.remaining >= 0

    @property
    def wait_s(self) -> int:
        """Whole seconds after which at least one more is admitted."""
        return -(-self.wait_us // 1_000_000)

    @property
    def item(self) -> bytes:
        """What is left: until `t` seconds have passed, no more than `r`."""
        return b"%b;r=%d;t=%d" % (self.policy.label, max(0, self.remaining), self.wait_s)

    @property
    def detail(self) -> str:
        """What the sender of a refused request is told."""
        policy = self.policy
        return (
            f"At most {policy.limit} requests are admitted in {policy.window_s} seconds; "
            f"the next one will be in {self.wait_s}."
        )


def tell(scope: Scope, decision: Decision) -> None:
    """Have the answer to a request tell this decision, and those before it, in two header fields.

    They are in `scope["rate_limit"]`.
    """
    decisions: list[Decision] | None = scope.get("rate_limit")
    if decisions:
        decisions.append(decision)
    else:
        scope["rate_limit"] = decisions = [decision]
        scope["on_start"].append(partial(_add_fields, decisions))


def _add_fields(decisions: Sequence[Decision], start: Message) -> None:
    start["headers"] += [
        (b"ratelimit-policy", b", ".join([decision.policy.item for decision in decisions])),
        (b"ratelimit", b", ".join([decision.item for decision in decisions])),
    ]
