"""Processes of the service beside the api, as tests start them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from dev.processes import Process
from dev.processes import free_port

ROOT = Path(__file__).parents[2]


class Started:
    """`python -m MODULE COMMAND` with an internal port, its output in `log`."""

    def __init__(self, module: str, command: str, log: Path, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.log = log
        own = {"INTERNAL_PORT": str(self.port), "SHUTDOWN_DRAIN_S": "60", **environment}
        with log.open("a") as output:
            self.process = Process(
                [sys.executable, "-m", module, command],
                cwd=ROOT,
                env=os.environ | own,
                stdout=output,
                stderr=output,
            )

    def answers(self, path: str) -> str:
        """What its internal port says; nothing before it listens."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                text: str = answer.read().decode()
                return text
        except URLError:
            return ""


type StartProcess = Callable[..., Started]


@contextmanager
def processes(module: str, command: str, logs: Path, **environment: str) -> Iterator[StartProcess]:
    """Gives what starts such a process, each with more environment; all are gone afterwards."""
    with ExitStack() as stack:

        def start(**more: str) -> Started:
            log = logs / f"log{len(list(logs.iterdir()))}"
            started = Started(module, command, log, environment | more)
            stack.callback(started.process.stop)
            return started

        yield start
