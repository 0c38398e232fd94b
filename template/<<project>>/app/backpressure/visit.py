"""What one request has: a place, and a deadline."""

from __future__ import annotations

from asyncio import get_running_loop
from asyncio import timeout
from time import monotonic

from starlette.requests import Request
from starlette.types import Receive

from app.backpressure.alarms import Alarms
from app.backpressure.client import QueuedClient
from app.backpressure.limiter import Limiter
from app.backpressure.limiter import Turn

VISIT = "backpressure"  # where the scope has it


class Visit:
    """One request from its arrival to the beginning of its answer, which takes `seconds` at most.

    `deadline` is to be entered before anything else is done. `alarms` are those of all requests;
    what has fewer seconds has a timer of its own.
    """

    __slots__ = ("_alarms", "_begun", "_client", "_limiter", "_seconds", "answered", "deadline")

    def __init__(self, limiter: Limiter, alarms: Alarms, seconds: float) -> None:
        self._limiter = limiter
        self._alarms = alarms
        self._seconds = seconds
        self._client: QueuedClient | None = None
        self._begun: float | None = None  # since when it works; None without a place
        self.deadline = timeout(None)
        self.answered = False

    def enter(self, *, low_priority: bool) -> Turn | None:
        """Take a place; or the turn for `wait`, when there is none yet. Raises Shed."""
        self._set_deadline()
        turn = self._limiter.enter(low_priority=low_priority)
        if turn is None:
            self._begun = monotonic()
        return turn

    async def wait(self, turn: Turn, receive: Receive) -> Receive:
        """Wait for a place; the `receive` to go on with. Raises Shed."""
        client = self._client = QueuedClient(receive, turn)
        await self._limiter.wait(turn, client.listen)
        self._begun = monotonic()
        return client

    def restart(self) -> None:
        """What it has to do begins only now: it has all of its time."""
        if self._begun is not None and not self.deadline.expired():
            self._begun = monotonic()
            self._set_deadline()

    def answer(self, status: int) -> None:
        """The answer begins: it is in time, and its work is done, however slowly it is read."""
        self.answered = True
        self.lift_deadline()
        # how soon a client is refused, or something fails, says nothing of what is served
        self._leave(finished=status < 500, counts=not 400 <= status < 500)

    def run_long(self) -> None:
        """From now on it may take any time, and needs no place."""
        self.lift_deadline()
        self._leave(finished=False, counts=False)

    def lift_deadline(self) -> None:
        """From now on it may take any time."""
        self._alarms.clear(self)
        if self.deadline.when() is not None and not self.deadline.expired():
            self.deadline.reschedule(None)

    def end(self) -> None:
        """The request is over, with or without an answer."""
        self._leave(finished=False, counts=True)
        if self._client:
            self._client.close()

    def _set_deadline(self) -> None:
        if self._seconds < self._alarms.seconds:
            self.deadline.reschedule(get_running_loop().time() + self._seconds)
        else:
            self._alarms.set(self, self._end_in_time)

    def _end_in_time(self) -> None:
        self.deadline.reschedule(get_running_loop().time())

    def _leave(self, *, finished: bool, counts: bool) -> None:
        if self._begun is not None:
            begun, self._begun = self._begun, None
            self._limiter.leave(monotonic() - begun if counts else None, finished=finished)


def long_running(request: Request) -> None:
    """This request may take long: it has no deadline any more, and gives its place back.

    Call it in a handler, or say `dependencies=[Depends(long_running)]`; for long uploads, and for
    what waits for events. What it uses of the database is still bounded by the pool.
    """
    visit: Visit | None = request.scope.get(VISIT)
    if visit:  # there is none where the route is served without the middleware
        visit.run_long()
