"""Requests that arrive at a constant rate, whatever becomes of those before them.

A loop of clients that wait for their answers would slow down with the service, and leave out the
moments at which it is slow ("coordinated omission"). Here each request has a moment at which it is
due, and its latency counts from there: also when this process is late, which is noted.

It runs in a process of its own, `python -m dev.bench.load FILE`, so that nothing else takes its
time: the order comes as JSON from the standard input, the result goes into the file.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import msgspec
import uvloop

from dev.bench.client import Client
from dev.bench.client import NoAnswer
from dev.bench.objectives import Load
from dev.bench.objectives import Route

MOST_FILES = 65_536
# A process that is later than this has lost the rate for good; going on would take for ever.
HOPELESS_S = 2.0
TIMEOUT, UNREACHABLE, BROKEN_OFF = -1, -2, -3  # what there is in place of a status
_OURS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}


class Order(msgspec.Struct):
    """What is to be sent where; the load and the routes are those of the objectives."""

    url: str
    key: str
    load: dict[str, Any]
    routes: list[dict[str, Any]]


class Sample(msgspec.Struct, array_like=True):
    """One request: the how manieth it is, of which route, how late it was sent, how long after it
    was due it ended, and its status. Times are in seconds."""

    sequence: int
    route: int
    late: float
    took: float
    status: int


class Result(msgspec.Struct):
    """All measured requests, or why there is no result."""

    samples: list[Sample] = []
    problem: str = ""


class Arrivals:
    """Sends the requests of one order."""

    def __init__(self, client: Client, load: Load, routes: list[Route]) -> None:
        self._client = client
        self._load = load
        self._routes = routes
        self._result = Result()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Result:
        """Send all that is due within the warm-up and the duration; all is answered then, or over.

        Stops early when the rate cannot be kept.
        """
        warm = round(self._load.rate * self._load.warm_up_s)
        total = warm + round(self._load.rate * self._load.duration_s)
        requests = self._requests(Random(1))  # noqa: S311  # the same ones each time
        begun = perf_counter()
        for number in range(total):
            due = begun + number / self._load.rate
            if (early := due - perf_counter()) > 0:
                await asyncio.sleep(early)
            elif -early > HOPELESS_S or self._result.problem:
                break
            elif number % 20 == 0:
                await asyncio.sleep(0)  # answers want to be read, too
            self._send(number - warm, due, *next(requests))
        else:
            await self._finish()
            return self._result
        for task in self._tasks:
            task.cancel()
        await self._finish()
        return Result(problem=self._result.problem or "it fell behind by seconds")

    def _requests(self, random: Random) -> Iterator[tuple[int, bytes]]:
        shares = [route.share for route in self._routes]
        numbers = range(len(self._routes))
        while True:
            for number in random.choices(numbers, shares, k=1000):
                route = self._routes[number]
                yield number, self._client.encode(route.method, *route.request(random))

    def _send(self, sequence: int, due: float, route: int, request: bytes) -> None:
        task = asyncio.create_task(self._one(sequence, due, route, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, sequence: int, due: float, route: int, request: bytes) -> None:
        sent = perf_counter()
        status = await self._outcome(request, self._load.timeout_s - (sent - due))
        if sequence >= 0:  # after the warm-up
            sample = Sample(sequence, route, sent - due, perf_counter() - due, status)
            self._result.samples.append(sample)

    async def _outcome(self, request: bytes, timeout_s: float) -> int:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._client.ask(request)
        except TimeoutError:
            return TIMEOUT
        except NoAnswer:
            return BROKEN_OFF
        except OSError as error:
            if error.errno in _OURS:
                self._result.problem = f"it has no more connections ({error.strerror})"
            return UNREACHABLE

    async def _finish(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._client.close()


def _allow_connections() -> None:
    """As many open files as are allowed: by default there are often 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def main() -> None:
    """Do what the standard input orders."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    load = Load.model_validate(order.load)
    routes = [Route.model_validate(route) for route in order.routes]
    _allow_connections()

    async def run() -> Result:
        return await Arrivals(Client(order.url, order.key), load, routes).run()

    Path(sys.argv[1]).write_bytes(msgspec.json.encode(uvloop.run(run())))


if __name__ == "__main__":
    main()
