"""What one task does that counts only once it is committed, and what has to wait until then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Self

from app.http.logs import log

type Act = Callable[[], Awaitable[object] | None]

_CURRENT: ContextVar[UnitOfWork | None] = ContextVar("unit_of_work", default=None)


class UnitOfWork:
    """It belongs to the task that began it: what that task has others do, at the same time or
    later, is not part of it."""

    def __init__(self) -> None:
        self.task = asyncio.current_task()
        self._after: list[tuple[Act, bool]] = []

    @contextmanager
    def begun(self) -> Iterator[Self]:
        """Within the block it is what `present` finds."""
        token = _CURRENT.set(self)
        try:
            yield self
        finally:
            _CURRENT.reset(token)

    def after_commit(self, act: Act, *, if_in_doubt: bool = False) -> None:
        """Call `act`, and await what it returns, once this is committed; never if it is undone.

        if_in_doubt: also when nobody knows which of the two it is
        """
        self._after.append((act, if_in_doubt))

    async def committed(self) -> None:
        """Do what was to be done after the commit; what fails of it is logged."""
        await _do_all([act for act, _ in self._after])

    async def in_doubt(self) -> None:
        """Do what is to be done as well when nobody knows whether this is committed."""
        await _do_all([act for act, if_in_doubt in self._after if if_in_doubt])


async def _do_all(acts: list[Act]) -> None:
    """Begin all of them, also when their task is cancelled meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    for act in acts:
        try:
            if (done := act()) is not None:
                await done
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception as error:
            log.error("after_commit_failed", exc_info=error)
    if cancelled:
        raise cancelled


def present() -> UnitOfWork | None:
    """What this task is in the middle of."""
    current = _CURRENT.get()
    return current if current and current.task is asyncio.current_task() else None


def again_when_committed(act: Act) -> None:
    """Call `act` once more after the commit, if this task is in the middle of something: what it
    changes is not seen by others before. An act that does no harm if nothing has changed."""
    if unit := present():
        unit.after_commit(act, if_in_doubt=True)
