"""The generated service with one kind of job more, and with a command that enqueues it.

Run in the service's folder and environment by jobs.py, in the place of `python -m app`: its worker
is the service's own command. bullmq/ does the same with BullMQ.

    python -P jobs_app.py worker
    python -P jobs_app.py produce MODE COUNT RATE RESULT
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from argparse import ArgumentParser
from argparse import Namespace
from pathlib import Path
from time import monotonic_ns
from time import perf_counter
from time import process_time

import msgspec
import uvloop
from app import commands
from app.pattern import Command
from app.pattern import Pattern
from app.patterns import PATTERNS
from app.queue import Handler
from app.queue import Job
from app.queue import Kind
from app.queue import Queue
from app.service import Service


class Count(msgspec.Struct, frozen=True):
    """Which job, and when it was enqueued: CLOCK_MONOTONIC in ns. Those below zero warm up."""

    n: int
    at: int


COUNT = Kind("bench_count", Count)
EXPECTED = int(os.environ.get("BENCH_JOBS", "0"))
RESULT = Path(os.environ.get("BENCH_RESULT", ""))
runs: list[tuple[int, int, int]] = []
mark: dict[str, float] = {}


async def count(job: Job[Count]) -> None:
    """Note that it was done, and when; tell jobs.py of the first and of the last."""
    n = job.payload.n
    if n < 0:
        if "warm" not in mark:
            mark["warm"] = 1
            RESULT.with_name(f"{RESULT.name}.ready").touch()
        return
    runs.append((n, job.payload.at, monotonic_ns()))
    if len(runs) == 1:
        mark["first"] = process_time()
    if len(runs) == EXPECTED:
        mark["last"] = process_time()
        RESULT.with_name(f"{RESULT.name}.last").touch()


async def _produce(queue: Queue, arguments: Namespace) -> None:
    total = arguments.count

    def add(n: int) -> asyncio.Future[int]:
        return asyncio.ensure_future(queue.enqueue(COUNT, Count(n, monotonic_ns())))

    if arguments.mode == "sequential":
        for n in range(total):
            await queue.enqueue(COUNT, Count(n, monotonic_ns()))
    elif arguments.mode == "concurrent":
        numbers = iter(range(total))

        async def lane() -> None:
            for n in numbers:
                await queue.enqueue(COUNT, Count(n, monotonic_ns()))

        await asyncio.gather(*(lane() for _ in range(32)))
    elif arguments.mode == "bulk":  # the queue makes one INSERT of what is enqueued at once
        for first in range(0, total, 100):
            await asyncio.gather(*(add(n) for n in range(first, min(first + 100, total))))
    else:
        begun, added = perf_counter(), []
        for n in range(total):
            if (early := begun + n / arguments.rate - perf_counter()) > 0:
                await asyncio.sleep(early)
            added.append(add(n))
        await asyncio.gather(*added)


def produce(arguments: Namespace) -> int:
    """Enqueue with the service's resources open, as any of its processes has them."""

    async def main() -> None:
        service = Service(PATTERNS)
        async with service.running():
            queue = service.get(Queue)
            for n in range(1, 21):  # warms up; not counted
                await queue.enqueue(COUNT, Count(-n, monotonic_ns()))
            used, begun = process_time(), perf_counter()
            await _produce(queue, arguments)
            took = {"seconds": perf_counter() - begun, "cpu_s": process_time() - used}
            arguments.result.write_text(json.dumps(took))
            if (
                arguments.mode == "steady"
            ):  # as a process that goes on, which announces its last jobs
                await asyncio.sleep(1)

    uvloop.run(main())
    return 0


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("mode", choices=["sequential", "concurrent", "bulk", "steady"])
    parser.add_argument("count", type=int)
    parser.add_argument("rate", type=float)
    parser.add_argument("result", type=Path)


if __name__ == "__main__":
    command = Command(name="produce", help="enqueue jobs", run=produce, arguments=_arguments)
    handlers = [Handler(kind=COUNT, run=count)]
    PATTERNS.append(Pattern(name="bench", jobs=lambda _: handlers, commands=(command,)))
    code = commands.main()
    if sys.argv[1] == "worker":
        RESULT.write_text(json.dumps({"runs": runs, "mark": mark}))
    sys.exit(code)
