"""Passwords, hashed by argon2id off the event loop, so many at a time."""

from __future__ import annotations

import unicodedata
from asyncio import get_running_loop
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from secrets import token_bytes

from argon2 import PasswordHasher
from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from argon2.exceptions import VerificationError
from prometheus_client import Histogram

from app.http.errors import Unavailable
from app.http.logs import log
from app.sessions.settings import SessionsSettings

LONGEST_PASSWORD = 1024
# Who comes when so many wait is told to come again, before anybody waits for seconds.
MOST_WAITING = 20

DURATION = Histogram("sessions_password_hash_seconds", "Duration of hashing a password in seconds")


class Passwords(AbstractAsyncContextManager["Passwords"]):
    """Hashes and verifies. Each takes SESSIONS_ARGON2_MEMORY_KIB while it is at work, of which
    there are SESSIONS_ARGON2_AT_ONCE at most. Raises Unavailable when too many wait."""

    def __init__(self, settings: SessionsSettings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_passes,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_lanes,
        )
        self._nobodys = _hash_of_nobody(settings)
        self._threads = ThreadPoolExecutor(settings.argon2_at_once, "passwords")
        self._waiting = 0

    async def __aexit__(self, *_: object) -> None:
        """Give up what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The hash to be stored, with its salt and parameters."""
        return await self._run(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the hash is of this password. None, for a user who is not there or has none,
        takes the same time."""
        return await self._run(lambda: self._verify(stored or self._nobodys, password))

    def is_weaker(self, stored: str) -> bool:
        """Whether the hash took less memory or fewer passes than one that is made now."""
        found = extract_parameters(stored)
        return (
            found.memory_cost < self._hasher.memory_cost or found.time_cost < self._hasher.time_cost
        )

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, _normal(password))
        except VerificationError:
            return False
        except InvalidHashError:
            log.error("password_hash_unreadable")
            return False

    async def _run[T](self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("Too many are logging in at the moment.", 2)
        self._waiting += 1
        doing = get_running_loop().run_in_executor(self._threads, work)
        doing.add_done_callback(self._done)
        with DURATION.time():
            return await doing

    def _done(self, _: object) -> None:
        self._waiting -= 1


def _normal(password: str) -> bytes:
    """The same bytes however a keyboard composes letters (NIST SP 800-63B-4, 3.1.1.2)."""
    return unicodedata.normalize("NFC", password).encode()


def _hash_of_nobody(settings: SessionsSettings) -> str:
    """A hash of no password, with the parameters of all."""
    m, t, p = settings.argon2_memory_kib, settings.argon2_passes, settings.argon2_lanes
    salt, digest = (b64encode(token_bytes(size)).rstrip(b"=").decode() for size in (16, 32))
    return f"$argon2id$v=19$m={m},t={t},p={p}${salt}${digest}"
