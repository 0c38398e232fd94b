"""`make run`: the service with the servers it needs, restarted when its code changes.

`python -m dev.run` serves; `python -m dev.run COMMAND …` runs `python -m app COMMAND …` on the same
servers, on those of a `make run` under way if there is one.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import FrameType
from typing import Any
from typing import NoReturn
from urllib.error import URLError
from urllib.request import urlopen

from dotenv import dotenv_values
from watchfiles import watch

from app import commands
from app.about import NAME
from app.auth.keys import new_key
from app.patterns import PATTERNS
from app.settings import SettingsError
from dev.processes import Process
from dev.processes import free_port
from dev.servers import ROOT
from dev.servers import Running
from dev.servers import ServersError
from dev.servers import development_servers

# Processes of the service that run for ever; a service has those whose patterns it has.
PROCESSES = ("api", "worker", "scheduler")
READY_TIMEOUT_S = 30
COMMANDS = {command.name: command for pattern in PATTERNS for command in pattern.commands}


def main() -> int:
    """Run; return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    from_file = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value}
    os.environ |= {"ENVIRONMENT": "development", **from_file, **os.environ}
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    try:
        if not sys.argv[1:]:
            _refuse_taken_ports()
        with development_servers(os.environ) as servers:
            os.environ |= servers.urls
            return commands.main() if sys.argv[1:] else serve(servers)
    except KeyboardInterrupt:
        return 0
    except (ServersError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 1


def serve(servers: Running) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    key, entry = new_key("developer", "premium", ["read", "write"])
    known = os.environ.get("AUTH_API_KEYS")
    os.environ["AUTH_API_KEYS"] = f"{known},{entry}" if known else entry
    said = {"API key": f"{key} (of this run)"}
    if "migrate" in COMMANDS:
        COMMANDS["migrate"].run(Namespace())
    if any(variable in servers.embedded for variable in of_patterns("SEEDED")):
        COMMANDS["seed"].run(Namespace())
        for prepare in of_patterns("PREPARE"):
            said |= prepare()
    sys.stdout.flush()
    names = [name for name in PROCESSES if name == "api" or name in COMMANDS]
    with _running(names) as running:
        await_ready(running[0])
        _say(servers.said | said, key)
        _restart_on_change(names, running)
    return 0


def _refuse_taken_ports() -> None:
    for name, usual in (("PORT", "8000"), ("INTERNAL_PORT", "9000")):
        port = os.environ.setdefault(name, usual)
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", int(port)))
            except (ValueError, OverflowError):
                raise ServersError(f"{name}={port} is not a port.") from None
            except OSError:
                hint = f"make run {name}={int(port) + 1}"
                raise ServersError(f"Port {port} is taken; choose another: {hint}") from None


def _start(name: str) -> Process:
    command = [sys.executable, "-m", "app", name]
    # the internal port that was asked for is the api's
    own = {} if name == "api" else {"INTERNAL_PORT": str(free_port())}
    return Process(command, signal.SIGINT, cwd=ROOT, env=os.environ | own)


@contextmanager
def _running(names: list[str]) -> Iterator[list[Process]]:
    running: list[Process] = []
    try:
        running.extend(map(_start, names))
        yield running
    finally:
        for process in reversed(running):
            process.stop()


def await_ready(api: Process) -> None:
    """Return when /readyz says so. Raises ServersError."""
    url = f"http://127.0.0.1:{os.environ['INTERNAL_PORT']}/readyz"
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if api.exit_code() is not None:
            raise ServersError("The service does not start; its last words are above.")
        try:
            with urlopen(url, timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise ServersError(f"The service is not ready after {READY_TIMEOUT_S} seconds; see {url}")


def _say(more: dict[str, str], key: str) -> None:
    public = f"http://127.0.0.1:{os.environ['PORT']}"
    internal = f"http://127.0.0.1:{os.environ['INTERNAL_PORT']}"
    lines = {
        NAME: public,
        "Internal": f"{internal}/docs, /readyz, /metrics",
        **more,
    }
    width = max(map(len, lines)) + 2
    print("", *(f"{title:{width}}{text}" for title, text in lines.items()), "", sep="\n")
    print(f"curl {public}/health")
    for path, body in of_patterns("REQUESTS"):
        data = f" --json '{body}'" if body else ""
        print(f"curl{data} -H 'Authorization: Bearer {key}' '{public}{path}'")
    print("\nCode that changes is run at once; Ctrl-C stops everything.\n", flush=True)


def of_patterns(name: str) -> Iterator[Any]:
    """What the patterns list under that name in `dev/<pattern>.py`."""
    for pattern in PATTERNS:
        if find_spec(f"dev.{pattern.name}"):
            yield from getattr(import_module(f"dev.{pattern.name}"), name, ())


def _restart_on_change(names: list[str], running: list[Process]) -> NoReturn:
    ended: set[int] = set()
    for changes in watch(ROOT / "app", debounce=300, rust_timeout=500, yield_on_timeout=True):
        if changes:
            changed = sorted({os.path.relpath(path, ROOT) for _, path in changes})
            print(f"{', '.join(changed[:3])} changed: restarting", flush=True)
            for process in reversed(running):
                process.stop(patience_s=5)
            running[:] = [_start(name) for name in names]
            ended.clear()
        for number, process in enumerate(running):
            code = process.exit_code()
            if code is not None and number not in ended:
                ended.add(number)
                print(f"{names[number]} ended with {code}; waiting for a change", flush=True)
    raise KeyboardInterrupt


def interrupt(*_: int | FrameType | None) -> NoReturn:
    """Handle a signal: raise KeyboardInterrupt, once."""
    # once is enough: what follows is bounded in time
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
