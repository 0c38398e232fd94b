"""The files that are on their way: so many at once, for so long, and not beyond a shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Literal
from typing import Self

from starlette.types import Scope

from app.database import Database
from app.http.errors import Unavailable
from app.streaming.metrics import ACTIVE
from app.streaming.metrics import STREAMS
from app.streaming.settings import StreamingSettings

type Direction = Literal["export", "import"]

# A file takes seconds at least, so whoever finds all places taken need not come back at once.
RETRY_S = 5


class Streams:
    """The places for files. A file has a connection of the pool for itself until it is done.

    places:       how many may be on their way at once, fewer than the pool has connections
    seconds_left: until the process ends by force; asked when it is told to stop
    """

    def __init__(
        self,
        database: Database,
        settings: StreamingSettings,
        places: int,
        seconds_left: Callable[[], float],
    ) -> None:
        self.database = database
        self.settings = settings
        self._places = places
        self._seconds_left = seconds_left
        self.at_begin: list[Callable[[Scope], None]] = []  # called with each that has a place
        self._limits: set[asyncio.Timeout] = set()

    async def __aenter__(self) -> Self:
        """Nothing is opened."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is left to close: the public port has finished its requests before."""

    @asynccontextmanager
    async def place(self, direction: Direction, scope: Scope) -> AsyncIterator[None]:
        """A place for the block; Unavailable when there is none, or the block takes too long."""
        if len(self._limits) >= self._places:
            STREAMS[direction, "busy"].inc()
            raise Unavailable("Too many files are on their way.", RETRY_S)
        outcome, limit = "failed", asyncio.timeout(self.settings.timeout_s)
        self._limits.add(limit)
        ACTIVE[direction].inc()
        try:
            for tell in self.at_begin:
                tell(scope)
            async with limit:
                yield
            outcome = "done"
        except TimeoutError as error:
            if limit.expired():
                raise Unavailable("The file took too long.", RETRY_S) from error
            raise
        finally:
            self._limits.discard(limit)
            ACTIVE[direction].dec()
            STREAMS[direction, outcome].inc()

    def hurry(self) -> None:
        """The process is to stop: what is on its way has half of the time that is left."""
        latest = asyncio.get_running_loop().time() + self._seconds_left() / 2
        for limit in self._limits:
            limit.reschedule(min(limit.when() or latest, latest))
