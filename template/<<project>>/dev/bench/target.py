"""The service that is measured: one process of it, as in production, with servers of its own."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from app.auth.keys import new_key
from dev.processes import Process
from dev.processes import free_port
from dev.run import COMMANDS
from dev.run import await_ready
from dev.run import of_patterns
from dev.servers import DATA
from dev.servers import ROOT
from dev.servers import ServersError
from dev.servers import named
from dev.servers import needed

LOG = DATA / "bench.log"


@dataclass(frozen=True)
class Target:
    """Where the load goes, with which key, and what to say of it."""

    url: str
    key: str
    said: dict[str, str]


@contextmanager
def started() -> Iterator[Target]:
    """The service of this folder, ready, with rows to ask for; nothing of it is kept but its log.

    Raises ServersError or SettingsError.
    """
    key, entry = new_key("bench", "premium", ["read", "write"])
    own = {
        "AUTH_API_KEYS": entry,
        "PAGINATION_SECRETS": secrets.token_hex(32),
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "INTERNAL_HOST": "127.0.0.1",
        "INTERNAL_PORT": str(free_port()),
    }
    os.environ |= dict(of_patterns("BENCH")) | own
    with ExitStack() as stack:
        said = _open_servers(stack)
        if any(of_patterns("SEEDED")):
            COMMANDS["seed"].run(Namespace())
            sys.stdout.flush()
        DATA.mkdir(mode=0o700, exist_ok=True)
        log = stack.enter_context(LOG.open("wb"))
        command = [sys.executable, "-m", "app", "api"]
        api = Process(command, signal.SIGINT, cwd=ROOT, env=os.environ, stdout=log, stderr=log)
        stack.callback(api.stop)
        try:
            await_ready(api)
        except ServersError as error:
            raise ServersError(f"{error}\n{_tail(LOG)}") from error
        yield Target(f"http://127.0.0.1:{own['PORT']}", key, said)


def _open_servers(stack: ExitStack) -> dict[str, str]:
    """Set the URLs: what the environment names, else this machine's own, else embedded ones.

    Of each a corner of its own: load leaves rows behind.
    """
    said: dict[str, str] = {}
    environment = "production"
    for server in needed():
        source = named(server, os.environ)
        if not source:
            source = server.local(True) or server.embedded(True)
            environment = "test"  # production refuses servers that go with the process
        folder = stack.enter_context(TemporaryDirectory(prefix="bench-"))
        url = stack.enter_context(source.open(Path(folder)))
        os.environ[server.variable] = stack.enter_context(server.corner(url)).url
        said[server.title] = source.said
    os.environ["ENVIRONMENT"] = environment
    return said


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-10:])
