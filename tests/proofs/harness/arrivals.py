"""An open-loop load: requests arrive at a constant rate, whatever becomes of those before them.

A closed loop (so many clients, each waiting for its answer) slows down with the service, and so cannot
overload it. wrk is one as well. Here latency counts from the moment at which a request was due, so that
a generator that is late hides nothing (Tene's "coordinated omission").
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from math import inf
from statistics import quantiles

from .load import Answer
from .load import Connection
from .load import Lost
from .load import Refused
from .load import Request
from .load import Truncated

SILENT = "no answer in time"


@dataclass(frozen=True)
class Arrival:
    """What became of one request: when it was due, how long it took, and its status or what went wrong."""

    due: float
    seconds: float
    outcome: str

    @property
    def at(self) -> float:
        """When that was."""
        return self.due + self.seconds


class Arrivals:
    """Requests at `rate` a second, each given up by its client after `patience_s`.

    Connections are kept and used again, as a balancer does; there are as many as are needed.
    """

    def __init__(self, port: int, key: str, request: Request, patience_s: float) -> None:
        self.done: list[Arrival] = []
        self.wrong: list[str] = []
        self._port, self._key, self._request = port, key, request
        self._patience_s = patience_s
        self._idle: list[Connection] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, rate: float, seconds: float) -> list[Arrival]:
        """Those that were due within so many seconds, once all have been answered or given up."""
        before, begun = len(self.done), time.monotonic()
        for number in range(round(rate * seconds)):
            due = begun + number / rate
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            task = asyncio.create_task(self._arrive(due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        while self._tasks:
            await asyncio.wait(self._tasks)
        return self.done[before:]

    def close(self) -> None:
        """Close the connections."""
        for connection in self._idle:
            connection.close()

    async def _arrive(self, due: float) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                outcome = await self._ask()
        except TimeoutError:
            outcome = SILENT
        except (Refused, Lost, Truncated) as error:
            outcome = type(error).__name__.lower()
        self.done.append(Arrival(due, time.monotonic() - due, outcome))

    async def _ask(self) -> str:
        connection = await self._connection()
        try:
            answer = await connection.ask(self._request)
        except BaseException:
            connection.close()
            raise
        if answer.closes:
            connection.close()
        else:
            self._idle.append(connection)
        self._check(answer)
        return str(answer.status)

    async def _connection(self) -> Connection:
        if self._idle:
            return self._idle.pop()
        return await Connection(self._port, self._key).open()

    def _check(self, answer: Answer) -> None:
        if answer.status == 503 and "retry-after" not in answer.headers:
            self.wrong.append("503 without Retry-After")


def outcomes(arrivals: list[Arrival]) -> Counter[str]:
    """How many there are of each outcome."""
    return Counter(one.outcome for one in arrivals)


def served(arrivals: list[Arrival], begin: float = 0, end: float = inf) -> list[float]:
    """How long those took that were served, between these moments if they are given."""
    return [one.seconds for one in arrivals if one.outcome == "200" and begin <= one.at <= end]


def p99(seconds: list[float]) -> float:
    """What 99 of 100 do not exceed."""
    return quantiles(seconds, n=100)[98]
