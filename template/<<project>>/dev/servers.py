"""Where the servers that the service needs come from, on a developer's machine or in CI.

`dev/<pattern>.py` exports a `SERVER` when its pattern needs one. For `make run` that is what the
environment (or `.env`) names, else an embedded one; for the tests what the environment names, else
one of this machine's own, else an embedded one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import nullcontext
from contextlib import suppress
from dataclasses import dataclass
from fcntl import LOCK_EX
from fcntl import LOCK_NB
from fcntl import flock
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from app.patterns import PATTERNS

ROOT = Path(__file__).parents[1]
DATA = ROOT / ".data"
SHARE_TIMEOUT_S = 30


class ServersError(Exception):
    """A server is not to be had; `str()` says what to do."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One way to have a server. `open` takes a folder for its data and yields its URL."""

    said: str
    open: Callable[[Path], AbstractContextManager[str]]


@dataclass(frozen=True, kw_only=True)
class Corner:
    """A place on a server that belongs to one run of the tests."""

    url: str
    clean: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A kind of server.

    variable: the setting that holds its URL
    local:    this machine's own binaries, if there are any; whether its data is to be kept
    embedded: what came with the development dependencies; the same
    corner:   makes and removes a corner on the server of a URL
    """

    title: str
    variable: str
    local: Callable[[bool], Source | None]
    embedded: Callable[[bool], Source]
    corner: Callable[[str], AbstractContextManager[Corner]]


def needed() -> Iterator[Server]:
    """The servers that the patterns of this service need."""
    for pattern in PATTERNS:
        if find_spec(f"dev.{pattern.name}"):
            server = getattr(import_module(f"dev.{pattern.name}"), "SERVER", None)
            if isinstance(server, Server):
                yield server


def named(server: Server, environment: Mapping[str, str]) -> Source | None:
    """The server that the environment names."""
    url = environment.get(server.variable)
    if not url:
        return None
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2] + parts.path  # never the password
    return Source(said=f"{where}, named by {server.variable}", open=lambda _: nullcontext(url))


@dataclass(frozen=True, kw_only=True)
class Running:
    """The servers to develop with: their URLs by setting, what to say of each, which are ours."""

    urls: dict[str, str]
    said: dict[str, str]
    embedded: frozenset[str]


def for_testing(server: Server, environment: Mapping[str, str]) -> Source:
    """The server to test with: its data goes."""
    return named(server, environment) or server.local(False) or server.embedded(False)


@contextmanager
def development_servers(environment: Mapping[str, str]) -> Iterator[Running]:
    """What the environment names, and for the rest embedded servers, whose data stays in .data/.

    One process in this folder runs the embedded ones; others meanwhile use the same.
    """
    urls: dict[str, str] = {}
    said: dict[str, str] = {}
    missing: list[Server] = []
    for server in needed():
        if source := named(server, environment):
            said[server.title] = source.said
        else:
            missing.append(server)
    with _shared(missing) as ours:
        for server in missing:
            urls[server.variable] = ours[server.variable]
            said[server.title] = f"{ours[server.variable]} (embedded)"
        yield Running(urls=urls, said=said, embedded=frozenset(urls))


@contextmanager
def _shared(servers: list[Server]) -> Iterator[dict[str, str]]:
    if not servers:
        yield {}
        return
    DATA.mkdir(mode=0o700, exist_ok=True)
    note = DATA / "servers.json"
    with (DATA / "lock").open("w") as lock, ExitStack() as stack:
        deadline = time.monotonic() + SHARE_TIMEOUT_S
        while not _taken(lock):
            with suppress(OSError, ValueError):
                theirs = json.loads(note.read_text())
                if all(server.variable in theirs for server in servers):
                    yield theirs
                    return
            if time.monotonic() > deadline:
                raise ServersError("Another `make run` of this folder is in the way; end it.")
            time.sleep(0.1)
        note.unlink(missing_ok=True)  # of a process that was killed
        urls = {s.variable: stack.enter_context(s.embedded(True).open(DATA)) for s in servers}
        note.touch(mode=0o600)
        note.write_text(json.dumps(urls))
        stack.callback(note.unlink)
        yield urls


def _taken(lock: IO[str]) -> bool:
    """Whether the lock is ours now; it is free again when this process ends, however it does."""
    try:
        flock(lock, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True
