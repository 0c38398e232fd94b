"""A private Redis that may be killed and frozen."""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.missing import missing

from .processes import Process
from .processes import free_port
from .processes import until


class Redis:
    """One redis-server on a port of its own; what it knew is gone when it dies."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self._folder = folder
        self._process: Process
        self.start()

    @property
    def url(self) -> str:
        """The service's REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        self._process = Process(command, self._folder / "redis.log")
        until(lambda: self.call("PING") == "PONG", "Redis answers")

    def kill(self) -> None:
        """kill -9."""
        self._process.end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._process.end(signal.SIGTERM)

    @contextmanager
    def killed(self) -> Iterator[None]:
        """kill -9; started again, empty, after the block."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """For the block it accepts connections and says nothing: a black hole."""
        self._process.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send(signal.SIGCONT)

    def call(self, *command: str) -> str | None:
        """The reply to one command, as text."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
            parts = [f"${len(part.encode())}\r\n{part}\r\n" for part in command]
            sock.sendall(f"*{len(parts)}\r\n{''.join(parts)}".encode())
            stream = sock.makefile("rb")
            head = stream.readline().decode().strip()
            if not head.startswith("$"):
                return head[1:]
            size = int(head[1:])
            return None if size < 0 else stream.read(size).decode()


@contextmanager
def private(folder: Path) -> Iterator[Redis]:
    """A server for the block; skips where redis-server is not installed."""
    if not shutil.which("redis-server"):
        missing("redis-server is not installed")
    server = Redis(folder)
    try:
        yield server
    finally:
        server.stop()
