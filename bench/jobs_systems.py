"""The two queues that jobs.py compares, run the same way: a producer and one worker process."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.harness.backends import PG_DATABASE
from bench.harness.backends import PG_PASSWORD
from bench.harness.backends import PG_USER
from bench.harness.backends import Backends
from bench.harness.processes import Process
from bench.jobs_report import exactly_once
from bench.jobs_report import percentile

HERE = Path(__file__).resolve().parent
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

    def wait(self, what: str, seconds: float) -> None:
        """Until it says that it is `ready` (has done a job to warm up) or has run the `last`."""
        flag = self._result.with_name(f"{self._result.name}.{what}")
        deadline = time.monotonic() + seconds
        while not flag.exists():
            if not self._process.alive() or time.monotonic() > deadline:
                raise BrokenError(f"the worker was not {what} in {seconds:.0f} s: {self._tail()}")
            time.sleep(0.01)

    def end(self) -> dict[str, Any]:
        """Stop it as an orchestrator would; what it wrote."""
        self._process.stop(wait=30)
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

    def _drain(self, count: int, concurrency: int) -> tuple[list[float], str]:
        running = self.start(concurrency, count)
        try:
            running.wait("ready", START_S)
            before = self.place.backends.cpu()
            running.wait("last", START_S + count / SLOWEST)
            backends = self.place.backends.cpu() - before
            time.sleep(SETTLE_S)
        finally:
            document = running.end()
        runs, mark = document["runs"], document["mark"]
        seconds = (runs[-1][2] - runs[0][2]) / 1e9
        worker = mark["last"] - mark["first"]
        found = [(count - 1) / seconds, worker * 1000 / (count - 1), backends * 1000 / count]
        return found, exactly_once([n for n, _, _ in runs], count, self.left())

    def latency(self, count: int, rate: float) -> Measured:
        """Milliseconds from the call that enqueues to the start of the handler, at a steady rate;
        an idle worker of concurrency 10 is waiting."""
        measured: dict[str, float | None] = {"latency_p50": None, "latency_p99": None}
        try:
            self.clear()
            self.produce("bulk", 0)  # only what warms up
            running = self.start(10, count)
            try:
                running.wait("ready", START_S)
                self.produce("steady", count, rate)
                running.wait("last", START_S)
                time.sleep(SETTLE_S)
            finally:
                document = running.end()
        except BrokenError as error:
            return measured, str(error)
        runs = document["runs"]
        waited = [(started - enqueued) / 1e6 for _, enqueued, started in runs]
        measured = {"latency_p50": percentile(waited, 0.5), "latency_p99": percentile(waited, 0.99)}
        return measured, exactly_once([n for n, _, _ in runs], count, self.left())

    def _result(self) -> Path:
        """A file that is not there yet, nor are those that begin with its name."""
        return self.place.work / f"{self.name}-{time.monotonic_ns()}.json"


class Perfgen(System):
    """The generated service: its own worker, and its own `Queue.enqueue`; see jobs_app.py."""

    def __init__(self, name: str, place: Place, settings: dict[str, Any]) -> None:
        super().__init__(name, place)
        backends = place.backends
        self.cwd = place.build / "service"
        self._python = str(self.cwd / ".venv/bin/python")
        app = [self._python, "-P", str(HERE / "jobs_app.py")]
        self._app, self.producer = app, [*app, "produce"]
        values = {
            "port": "18221",
            "database_url": f"postgresql://{PG_USER}:{PG_PASSWORD}@127.0.0.1:{backends.pg_port}/{PG_DATABASE}",
            "redis_url": f"redis://127.0.0.1:{backends.redis_port}",
        }
        self.env |= {key: str(value).format(**values) for key, value in settings.items()}
        self.env |= {"PYTHONPATH": str(self.cwd), "INTERNAL_PORT": "19221"}

    def prepare(self) -> None:
        """The service's tables, in an empty database."""
        self.place.backends.sql(f"CREATE DATABASE {PG_DATABASE}", "postgres")
        command = [self._python, "-m", "app", "migrate"]
        done = subprocess.run(command, cwd=self.cwd, env=self.env, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"migrate: {(done.stderr or done.stdout)[-600:]}")

    def clear(self) -> None:
        self.place.backends.sql("TRUNCATE queue_jobs RESTART IDENTITY")
        self.place.backends.sql("CHECKPOINT")

    def left(self) -> int:
        return int(self.place.backends.sql("SELECT count(*) FROM queue_jobs"))

    def worker(
        self, concurrency: int, count: int, result: Path
    ) -> tuple[list[str], dict[str, str]]:
        more = {"BENCH_JOBS": count, "BENCH_RESULT": result, "QUEUE_CONCURRENCY": concurrency}
        return [*self._app, "worker"], {key: str(value) for key, value in more.items()}


class BullMQ(System):
    """BullMQ: see bullmq/. `appendfsync` counts where the Redis has an append-only file."""

    def __init__(self, name: str, place: Place, appendfsync: str) -> None:
        super().__init__(name, place)
        self.cwd = place.build / "bullmq"
        self.producer = ["node", "producer.mjs"]
        self.env |= {
            "NODE_ENV": "production",
            "REDIS_URL": f"redis://127.0.0.1:{place.backends.redis_port}",
        }
        self._appendfsync = appendfsync

    def clear(self) -> None:
        backends = self.place.backends
        backends.redis_call("CONFIG", "SET", "appendfsync", self._appendfsync)
        backends.redis_call("FLUSHALL")

    def left(self) -> int:
        call = self.place.backends.redis_call
        states = {"LLEN": ("wait", "active"), "ZCARD": ("delayed", "failed", "completed")}
        return sum(
            int(call(command, f"bull:bench:{state}"))
            for command, names in states.items()
            for state in names
        )

    def worker(
        self, concurrency: int, count: int, result: Path
    ) -> tuple[list[str], dict[str, str]]:
        return ["node", "worker.mjs", str(concurrency), str(count), str(result)], {}
