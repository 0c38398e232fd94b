"""How jobs.py measures a queue: a producer, then one worker process; the same for all."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.harness.backends import Backends
from bench.harness.processes import Process
from bench.jobs_report import exactly_once
from bench.jobs_report import percentile

# After the last job: long enough for what would be done again at once.
SETTLE_S = 0.5
START_S = 30
PRODUCE_S = 600
# Of a worker: far below any rate, so that a slow one is measured and a broken one is noticed.
SLOWEST = 20
Measured = tuple[dict[str, float | None], str]


class BrokenError(RuntimeError):
    """A process of a system ended, or did not do what it was started for."""


@dataclass(frozen=True)
class Place:
    """Where the systems run."""

    backends: Backends
    build: Path
    work: Path
    worker_cpus: str
    producer_cpus: str


class Running:
    """A worker process, which writes `result` when it ends: what it did, and its CPU time."""

    def __init__(self, process: Process, result: Path) -> None:
        self._process, self._result = process, result

    def wait(self, what: str, seconds: float) -> bool:
        """Whether it says in time that it is `ready` (it has done a job that warms up), or that it
        has run the `last`."""
        flag = self._result.with_name(f"{self._result.name}.{what}")
        deadline = time.monotonic() + seconds
        while not flag.exists():
            if not self._process.alive():
                raise BrokenError(f"the worker ended: {self._tail()}")
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def stop(self) -> None:
        """Stop it as an orchestrator would."""
        self._process.stop(wait=30)

    def end(self) -> dict[str, Any]:
        """Stop it; what it wrote."""
        self.stop()
        if not self._result.exists():
            raise BrokenError(f"the worker wrote no result: {self._tail()}")
        document: dict[str, Any] = json.loads(self._result.read_text())
        return document

    def _tail(self) -> str:
        return " ".join(self._process.log.read_text(errors="replace")[-300:].split())


class System:
    """One queue. A subclass says what is run, and what is left in the store."""

    producer: list[str]
    cwd: Path

    def __init__(self, name: str, place: Place) -> None:
        self.name, self.place = name, place
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_"))}

    def prepare(self) -> None:
        """What is done once."""

    def clear(self) -> None:
        """Empty the queue."""
        raise NotImplementedError

    def left(self) -> int:
        """How many jobs are in the store, whatever their state."""
        raise NotImplementedError

    def worker(
        self, concurrency: int, count: int, result: Path
    ) -> tuple[list[str], dict[str, str]]:
        """What runs a worker: its command, and more for its environment."""
        raise NotImplementedError

    def start(self, concurrency: int, count: int) -> Running:
        """A worker that has just been started, and says when it has run `count` jobs."""
        result = self._result()
        argv, more = self.worker(concurrency, count, result)
        log = self.place.work / f"{self.name}-worker.log"
        env = self.env | more
        return Running(Process(argv, self.place.worker_cpus, log, self.cwd, env), result)

    def produce(self, mode: str, count: int, rate: float = 0) -> dict[str, float]:
        """Enqueue, from a process of its own; the seconds it took, and its CPU time."""
        result = self._result()
        argv = [*self.producer, mode, str(count), str(rate), str(result)]
        log = self.place.work / f"{self.name}-producer.log"
        process = Process(argv, self.place.producer_cpus, log, self.cwd, self.env)
        try:
            process.popen.wait(PRODUCE_S)
        except subprocess.TimeoutExpired:
            raise BrokenError(f"{mode}: not enqueued in {PRODUCE_S} s") from None
        finally:
            process.stop()
        if process.popen.returncode or not result.exists():
            said = " ".join(log.read_text(errors="replace")[-300:].split())
            raise BrokenError(f"{mode}: the producer failed: {said}")
        took: dict[str, float] = json.loads(result.read_text())
        return took

    def rates(self, mode: str, measure: str, count: int, concurrency: int | None) -> Measured:
        """Enqueue `count` jobs, then have one worker do them; without a concurrency, the second is
        only to see that each is done once."""
        keys = [f"{key}_{concurrency}" for key in ("complete", "worker_cpu", "backends_cpu")]
        measured: dict[str, float | None] = dict.fromkeys([measure, *(keys if concurrency else ())])
        try:
            self.clear()
            measured[measure] = count / self.produce(mode, count)["seconds"]
            found, failed = self._drain(count, concurrency or 100)
        except BrokenError as error:
            return measured, str(error)
        if concurrency:
            measured |= dict(zip(keys, found, strict=True))
        return measured, failed

    def _drain(self, count: int, concurrency: int) -> tuple[list[float | None], str]:
        """Jobs per second, and CPU-ms per job of the worker and of the backends; what is wrong."""
        spent = 0.0

        def watch(running: Running) -> None:
            nonlocal spent
            before = self.place.backends.cpu()
            running.wait("last", START_S + count / SLOWEST)
            spent = self.place.backends.cpu() - before

        document = self._work(concurrency, count, watch)
        runs, mark = document["runs"], document["mark"]
        if failed := exactly_once([n for n, _, _ in runs], count, self.left()):
            return [None, None, None], failed
        seconds = (runs[-1][2] - runs[0][2]) / 1e9
        worker = mark["last"] - mark["first"]
        return [(count - 1) / seconds, worker * 1000 / (count - 1), spent * 1000 / count], ""

    def latency(self, count: int, rate: float) -> Measured:
        """Milliseconds from the call that enqueues to the start of the handler, at a steady rate;
        an idle worker of concurrency 10 is waiting."""
        measured: dict[str, float | None] = {"latency_p50": None, "latency_p99": None}

        def watch(running: Running) -> None:
            self.produce("steady", count, rate)
            running.wait("last", START_S)

        try:
            self.clear()
            self.produce("bulk", 0)  # only what warms up
            runs = self._work(10, count, watch)["runs"]
        except BrokenError as error:
            return measured, str(error)
        if failed := exactly_once([n for n, _, _ in runs], count, self.left()):
            return measured, failed
        waited = [(started - enqueued) / 1e6 for _, enqueued, started in runs]
        return {
            "latency_p50": percentile(waited, 0.5),
            "latency_p99": percentile(waited, 0.99),
        }, ""

    def _work(
        self, concurrency: int, count: int, watch: Callable[[Running], None]
    ) -> dict[str, Any]:
        """What a worker did, that `watch` has watched once it was ready."""
        running = self.start(concurrency, count)
        try:
            if not running.wait("ready", START_S):
                raise BrokenError(f"the worker was not ready within {START_S} s")
            watch(running)
            time.sleep(SETTLE_S)
        except BaseException:
            running.stop()
            raise
        return running.end()

    def _result(self) -> Path:
        """A file that is not there yet, nor are those that begin with its name."""
        return self.place.work / f"{self.name}-{time.monotonic_ns()}.json"
