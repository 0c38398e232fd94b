"""One attempt at a job."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from enum import StrEnum
from time import perf_counter
from typing import Any

from app.http.logs import log
from app.http.logs import request_id
from app.queue import metrics
from app.queue.kinds import Handler
from app.queue.kinds import Job

# No job waits longer than this for its next attempt.
LONGEST_DELAY_S = 3600
# Of an error that much is stored.
ERROR_LENGTH = 1000
HOOK_TIMEOUT_S = 30


class Outcome(StrEnum):
    """How an attempt ended; the last two by no fault of the job."""

    DONE = "done"
    ERROR = "error"
    TIMEOUT = "timeout"
    HANDED_BACK = "handed_back"
    LOST = "lost"


@dataclass(eq=False)
class Attempt:
    """A job that this worker has taken.

    row:     what TAKE gave
    cut:     why it is cancelled, once it is
    outcome: how it ended, once it has
    cause:   the exception it ended with, if that was its fault
    """

    row: Mapping[str, Any]
    handler: Handler[Any]
    task: asyncio.Task[None] | None = None
    cut: Outcome | None = None
    outcome: Outcome | None = None
    error: str = ""
    cause: BaseException | None = None
    key: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.row["id"], self.row["attempts"]

    @property
    def last(self) -> bool:
        """Whether there is no attempt after this one."""
        return bool(self.row["attempts"] >= self.row["max_attempts"])

    @property
    def delay_s(self) -> float:
        """How long the next attempt waits: doubled each time, and up to half as long again, so
        that what failed together does not come back together."""
        kind = self.handler.kind
        doubled: float = kind.backoff_s * 2.0 ** min(self.row["attempts"] - 1, 32)
        return min(doubled, LONGEST_DELAY_S) * random.uniform(1, 1.5)  # noqa: S311

    def cancel(self, why: Outcome) -> None:
        """Have it end soon, without having failed."""
        self.cut = self.cut or why
        if self.task:
            self.task.cancel()

    async def run(self) -> None:
        """Do the job; raises CancelledError when somebody else than `cancel` cancelled it."""
        kind, started = self.handler.kind, perf_counter()
        self._identify()
        limit = asyncio.timeout(kind.timeout_s)
        try:
            async with limit:
                await self.handler.run(self._job())
            self.outcome = Outcome.DONE
        except asyncio.CancelledError as error:
            if self.cut:
                self.outcome = self.cut
            elif self.task and self.task.cancelling():
                raise
            else:  # what the handler awaited was cancelled, not the handler
                self._fail(Outcome.ERROR, error)
        except Exception as error:
            self._fail(Outcome.TIMEOUT if limit.expired() else Outcome.ERROR, error)
        metrics.DURATION.labels(kind.name, self.outcome).observe(perf_counter() - started)

    async def tell(self, error: str) -> None:
        """Tell the handler that the job has failed for good."""
        self._identify()
        metrics.DEAD.labels(self.handler.kind.name).inc()
        log.error("job_failed", **self.named, error=error)
        if self.handler.failed:
            try:
                async with asyncio.timeout(HOOK_TIMEOUT_S):
                    await self.handler.failed(self._job(), error)
            except Exception as problem:
                log.error("job_failed_hook_failed", **self.named, exc_info=problem)

    @property
    def named(self) -> dict[str, Any]:
        """What identifies it in the log."""
        job_id, attempt = self.key
        return {"job": job_id, "kind": self.handler.kind.name, "attempt": attempt}

    def _fail(self, how: Outcome, error: BaseException) -> None:
        self.outcome = self.cut or how
        self.error, self.cause = describe(error), error
        log.warning("job_attempt_failed", **self.named, error=self.error, exc_info=error)

    def _identify(self) -> None:
        """Log under the id of the request that asked for the job."""
        request_id.set(self.row["request_id"] or f"job-{self.row['id']}")

    def _job(self) -> Job[Any]:
        job_id, attempt = self.key
        payload = self.handler.kind.decode(self.row["payload"])
        return Job(id=job_id, payload=payload, attempt=attempt)


def describe(error: BaseException) -> str:
    """An error as text that PostgreSQL can hold."""
    said = f"{type(error).__name__}: {error}".replace("\0", "")
    return said[:ERROR_LENGTH].encode(errors="replace").decode()
