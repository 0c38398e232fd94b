"""What one request has: a place, and a deadline."""

from __future__ import annotations

from asyncio import Timeout
from time import monotonic

from starlette.requests import Request
from starlette.types import Receive

from app.backpressure.client import QueuedClient
from app.backpressure.limiter import Limiter

VISIT = "backpressure"  # where the scope has it


class Visit:
    """One request from its arrival to the end of its answer."""

    __slots__ = ("_client", "_entered", "_limiter", "answered", "deadline")

    def __init__(self, limiter: Limiter, deadline: Timeout) -> None:
        self._limiter = limiter
        self._client: QueuedClient | None = None
        self._entered: float | None = None
        self.deadline = deadline
        self.answered = False

    async def enter(self, receive: Receive, *, low_priority: bool) -> Receive:
        """Take a place, or wait for one; the `receive` to go on with. Raises Shed."""
        if not self._limiter.enter(low_priority=low_priority):
            turn = self._limiter.line_up()
            receive = self._client = QueuedClient(receive, turn)
            await self._limiter.wait(turn)
        self._entered = monotonic()
        return receive

    def answer(self) -> None:
        """The answer begins, so that it is in time."""
        self.answered = True
        self.lift_deadline()

    def lift_deadline(self) -> None:
        """From now on it may take any time."""
        if not self.deadline.expired():
            self.deadline.reschedule(None)

    def give_back(self) -> None:
        """Let others have the place."""
        if self._entered is not None:
            entered, self._entered = self._entered, None
            self._limiter.leave(monotonic() - entered)

    def end(self) -> None:
        """The request has been answered."""
        self.give_back()
        if self._client:
            self._client.close()


def long_running(request: Request) -> None:
    """This request may take long: it has no deadline any more, and gives its place back.

    Call it in a handler, or say `dependencies=[Depends(long_running)]`; for long uploads, and for
    what waits for events. What it uses of the database is still bounded by the pool.
    """
    visit: Visit | None = request.scope.get(VISIT)
    if visit:  # there is none where the route is served without the middleware
        visit.lift_deadline()
        visit.give_back()
