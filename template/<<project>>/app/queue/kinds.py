"""Kinds of jobs: a name, a typed payload, and what becomes of a failure."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from app.queue.metrics import ENQUEUED

LARGEST_PAYLOAD = 65_536
MOST_ATTEMPTS = 1000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Kind[P]:
    """What a job is about; known to those who enqueue it, also where nobody does it.

    name:      stays for ever, jobs are stored under it
    payload:   a type that msgspec encodes (a Struct, a dataclass); later versions may add fields
               that have defaults
    attempts:  how often it is tried, crashes of the worker included
    backoff_s: the least delay before the second attempt, in seconds; doubled for each further one
    timeout_s: after which an attempt is cancelled, and has failed
    """

    __slots__ = (
        "_decode",
        "_encode",
        "attempts",
        "backoff_s",
        "enqueued",
        "name",
        "payload",
        "timeout_s",
    )

    def __init__(
        self,
        name: str,
        payload: type[P],
        *,
        attempts: int = 3,
        backoff_s: float = 2,
        timeout_s: float = 60,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a kind: use a-z, 0-9 and _.")
        if not 1 <= attempts <= MOST_ATTEMPTS or backoff_s < 0 or timeout_s <= 0:
            raise ValueError(f"{name}: 1 to {MOST_ATTEMPTS} attempts, and times above zero.")
        self.name = name
        self.payload = payload
        self.attempts = attempts
        self.backoff_s = backoff_s
        self.timeout_s = timeout_s
        self.enqueued = ENQUEUED.labels(name)
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(payload).decode

    def encode(self, payload: P) -> str:
        """The payload as it is stored; ValueError when it is larger than LARGEST_PAYLOAD."""
        encoded = self._encode(payload)
        if len(encoded) > LARGEST_PAYLOAD:
            raise ValueError(f"{self.name}: a payload of {len(encoded)} bytes; store it elsewhere.")
        return encoded.decode()

    def decode(self, stored: str) -> P:
        """The payload; msgspec.ValidationError when it is not of the type."""
        return self._decode(stored)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job[P]:
    """One attempt at a job, as its handler sees it.

    id:      the same at every attempt: what to tell others as their idempotency key
    attempt: which one this is, from 1
    """

    id: int
    payload: P
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Handler[P]:
    """Who does the jobs of a kind.

    run:    does one; it may run more than once for the same job, and may be cancelled
    failed: is told of a job that will not be tried again, and why; at most once
    """

    kind: Kind[P]
    run: Callable[[Job[P]], Awaitable[None]]
    failed: Callable[[Job[P], str], Awaitable[None]] | None = None
