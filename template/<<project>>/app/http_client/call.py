"""What is asked, what comes back, and who may look on."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import msgspec

# RFC 9110, 9.2.2. Of these, repeating one has the same effect as sending it once.
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class Call:
    """One request to an upstream. A hook may add headers.

    base_url: of the upstream, from the settings; what a client has sent may be in `url`
    ends_at:  the deadline, on the clock of the event loop
    attempt:  which one it is, from 1
    status:   of the answer to it, once there is one
    """

    upstream: str
    base_url: str
    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    ends_at: float
    attempt: int = 0
    status: int | None = None

    @property
    def repeatable(self) -> bool:
        """Whether it does no harm if the upstream carries it out twice."""
        return self.method in IDEMPOTENT or any(
            name.lower() == "idempotency-key" for name in self.headers
        )


# Entered around every attempt: what traces requests opens its span, and adds its headers.
type Hook = Callable[[Call], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the upstream said, whatever its status; the names of headers have any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json[T](self, kind: type[T]) -> T:
        """The body as this type; msgspec.MsgspecError (a ValueError) when it is something else."""
        return msgspec.json.decode(self.body, type=kind)
