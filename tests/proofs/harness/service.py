"""A service as a user gets it: rendered, with an environment of its own, run as processes."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import copier
import yaml
from copier.errors import DirtyLocalWarning

from .processes import Process
from .processes import free_port
from .processes import until

ROOT = Path(__file__).parents[3]
NAME = "proofs"


def every_pattern(preset: str | None = None) -> list[str]:
    """All that can be asked for, or those of a preset."""
    manifests = [yaml.safe_load(path.read_text()) for path in (ROOT / "patterns").glob("*.yml")]
    asked = [one for one in manifests if one["title"] and not one["core"]]
    return sorted(m["name"] for m in asked if preset is None or preset in m["presets"])


def render(folder: Path, *, without: Collection[str] = (), **answers: int) -> Path:
    """The service with every pattern, from this checkout as it is; nothing installed yet."""
    patterns = [name for name in every_pattern() if name not in without]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)  # what is not committed counts, too
        copier.run_copy(
            str(ROOT),
            folder,
            data={"project": NAME, "patterns": patterns, **answers},
            defaults=True,
            quiet=True,
            vcs_ref="HEAD",
        )
    return folder


def find_uv() -> str:
    """uv, from the environment the proofs run in or from the PATH."""
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv") or "uv"


def sync(folder: Path) -> None:
    """Install what the lock names, without the development group."""
    locked = ["--locked"] if (folder / "uv.lock").exists() else []
    env = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    command = [find_uv(), "sync", "--quiet", "--no-dev", *locked]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Service:
    """The generated service and the environment its processes get."""

    def __init__(self, folder: Path, logs: Path, database_url: str, redis_url: str) -> None:
        self.folder = folder
        self._logs = logs
        self._python = str(folder / ".venv/bin/python")
        self.environment = {
            "PATH": os.environ["PATH"],
            "ENVIRONMENT": "production",
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PAGINATION_SECRETS": "a-secret-of-the-proofs-and-of-nothing-else",
            "ACCESS_LOG": "false",
            "SHUTDOWN_DRAIN_S": "0",
            # a load is more than anybody may send; the proof of the limit sets its own
            "RATE_LIMIT_TIERS": "standard:1000000000",
            "RATE_LIMIT_ANONYMOUS": "1000000000",
            # nor is all of it to be refused, but where that is what is proved
            "BACKPRESSURE_LIMIT": "10000",
        }
        self.key, self.environment["AUTH_API_KEYS"] = self._new_key()

    def at(self, folder: Path) -> Service:
        """The same service with the code of another version, which needs nothing else installed."""
        other = copy(self)
        other.folder = folder
        return other

    def _new_key(self) -> tuple[str, str]:
        said = self.run("api-key", "proofs")
        (entry,) = re.findall(r"^proofs:\S+$", said, re.MULTILINE)
        (key,) = re.findall(r"^pk_\S+$", said, re.MULTILINE)
        return key, entry

    def _argv(self, script: Path | None) -> tuple[list[str], dict[str, str]]:
        """What runs the service, or a script that adds to it, and the environment it needs."""
        if script is None:
            return [self._python, "-m", "app"], {}
        return [self._python, "-P", str(script)], {"PYTHONPATH": str(self.folder)}

    def run(self, *command: str, script: Path | None = None) -> str:
        """The output of `python -m app COMMAND`, or of that script in its place."""
        argv, own = self._argv(script)
        done = subprocess.run(
            [*argv, *command],
            cwd=self.folder,
            env=self.environment | own,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr or done.stdout
        return done.stdout

    @contextmanager
    def processes(
        self, count: int, kind: str = "api", script: Path | None = None, /, **environment: str
    ) -> Iterator[list[Api]]:
        """This many processes of that kind, ready; all are gone after the block."""
        started: list[Api] = []
        try:
            started += [self.start(kind, script, **environment) for _ in range(count)]
            for api in started:
                api.wait_until_ready()
            yield started
        finally:
            for api in started:
                api.process.end(signal.SIGKILL)

    def start(self, kind: str = "api", script: Path | None = None, /, **environment: str) -> Api:
        """One process, just started, on free ports or on those given. The caller ends it."""
        ports = {"PORT": str(free_port()), "INTERNAL_PORT": str(free_port()), **environment}
        port, internal_port = int(ports["PORT"]), int(ports["INTERNAL_PORT"])
        argv, own = self._argv(script)
        process = Process(
            [*argv, kind],
            self._logs / f"{kind}-{port}.log",
            cwd=self.folder,
            env={**self.environment, **own, **ports},
        )
        return Api(process, port, internal_port)


class Api:
    """A process of the service; only the api has a public port."""

    def __init__(self, process: Process, port: int, internal_port: int) -> None:
        self.process, self.port, self.internal_port = process, port, internal_port

    def probe(self, path: str, timeout: float = 5) -> tuple[int, str]:
        """Status and text of what the internal port answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.internal_port, timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def wait_until_ready(self, seconds: float = 30) -> float:
        """Wait until it listens and /readyz is 200; how long that took, in seconds."""

        def ready() -> bool:
            assert self.process.exit_code is None, self.process.tail()
            return bool(self.events("started")) and self.probe("/readyz")[0] == 200

        return until(ready, "the service is ready", seconds)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all series with this name that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = self.probe("/metrics")[1].splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if re.match(rf"{name}[{{ ]", line) and all(label in line for label in wanted)
        )

    def events(self, name: str) -> list[Mapping[str, Any]]:
        """What the process has logged under this name."""
        lines = self.process.log.read_text(errors="replace").splitlines()
        documents = (json.loads(line) for line in lines if line.startswith("{"))
        return [document for document in documents if document.get("event") == name]


def user_loads(processes: list[Api]) -> int:
    """How often these processes have read a user from the database."""
    name = "database_query_duration_seconds_count"
    return int(sum(api.metric(name, statement="user_by_id") for api in processes))
