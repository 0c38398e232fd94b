"""Redis for development and tests."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL
from subprocess import PIPE
from typing import Any
from urllib.parse import urlsplit
from urllib.parse import urlunsplit

import redis
from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler

from dev.processes import Process
from dev.processes import free_port
from dev.servers import Corner
from dev.servers import Server
from dev.servers import ServersError
from dev.servers import Source

CLAIM = "claimed-by-tests"
START_TIMEOUT_S = 10
CONFIGURATION = """
bind 127.0.0.1
port {port}
requirepass {password}
save ""
appendonly no
"""


class _Handler(TCPFakeRequestHandler):
    """Answers an error and stays connected, as Redis does."""

    def setup(self) -> None:
        super().setup()
        read = self.current_client.read_response

        def read_response(*args: Any, **kwargs: Any) -> Any:
            try:
                return read(*args, **kwargs)
            except redis.ResponseError as error:
                return error

        self.current_client.read_response = read_response  # type: ignore[method-assign]


@contextmanager
def _embedded(_: Path) -> Iterator[str]:
    """A Redis in a thread of this process; it keeps nothing."""
    server = TcpFakeServer(("127.0.0.1", 0))
    server.RequestHandlerClass = _Handler
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="redis", daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{server.server_address[1]}/0?client_name=embedded"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _private(folder: Path) -> Iterator[str]:
    """A redis-server of our own."""
    port, password = free_port(), secrets.token_urlsafe(16)
    process = Process(["redis-server", "-"], stdin=PIPE, stdout=DEVNULL, cwd=folder)
    try:
        with suppress(BrokenPipeError):  # it ended already, which is noticed below
            process.stdin.write(CONFIGURATION.format(port=port, password=password).encode())
            process.stdin.close()
        _await_port(process, port)
        yield f"redis://:{password}@127.0.0.1:{port}/0"
    finally:
        process.stop()


def _await_port(process: Process, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.exit_code() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise ServersError("redis-server does not start; name a server with REDIS_URL.")


@contextmanager
def _corner(url: str) -> Iterator[Corner]:
    """A logical database that was empty, and is empty again afterwards."""
    mine, client = _claim(url)

    def clean() -> None:
        for key in client.scan_iter(count=1000):
            if key != CLAIM.encode():
                client.unlink(key)

    try:
        yield Corner(url=mine, clean=clean)
    finally:
        clean()
        client.delete(CLAIM)
        client.close()


def _claim(url: str) -> tuple[str, redis.Redis]:
    """The URL of a database that is now ours, and a client of it.

    What a killed run left behind is ours too.
    """
    parts = urlsplit(url)
    used = parts.path.strip("/") or "0"
    for number in range(15, 0, -1):
        if str(number) == used:
            continue
        candidate = urlunsplit(parts._replace(path=f"/{number}"))
        client = redis.Redis.from_url(candidate)
        try:
            if _take(client):
                return candidate, client
        except redis.ConnectionError as error:
            raise ServersError(f"Redis cannot be reached: {error}") from error
        except redis.ResponseError:  # the server has fewer databases
            pass
        client.close()
    raise ServersError(f"No logical database of {parts.hostname} is empty; name another REDIS_URL.")


def _take(client: redis.Redis) -> bool:
    """Whether the database was free and is now ours; of many who try at once, one gets it."""
    with client.pipeline() as turn:
        turn.watch(CLAIM)  # type: ignore[no-untyped-call]
        if not _left_behind(turn.get(CLAIM)) and turn.dbsize() != 0:
            return False
        turn.multi()
        turn.set(CLAIM, _me())
        try:
            turn.execute()
        except redis.WatchError:  # somebody else was quicker
            return False
    return True


def _me() -> str:
    return f"{socket.gethostname()} {os.getpid()}"


def _left_behind(claim: Any) -> bool:
    """Whether the one who claimed was on this machine and is no more."""
    host, _, pid = (claim or b"").decode().partition(" ")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _local(_: bool) -> Source | None:
    found = shutil.which("redis-server")
    return Source(said=f"a private one of {found}", open=_private) if found else None


SERVER = Server(
    title="Redis",
    variable="REDIS_URL",
    local=_local,
    embedded=lambda keep: Source(said="embedded", open=_embedded),
    corner=_corner,
)
