"""The two queues that jobs.py compares: what is run, and what is left in their stores."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from bench.harness.backends import PG_DATABASE
from bench.harness.backends import PG_PASSWORD
from bench.harness.backends import PG_USER
from bench.jobs_measuring import Place
from bench.jobs_measuring import System

HERE = Path(__file__).resolve().parent


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
