"""A PostgreSQL server that a test may stop, start, and configure as it likes."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from dev import database as dev
from dev.processes import Process
from dev.processes import free_port


class PrivateServer:
    """A server with its data in `folder`; `options` are lines of postgresql.conf."""

    def __init__(self, binaries: Path, folder: Path, *options: str) -> None:
        secret = folder / "secret"
        self._binaries, self._data = binaries, folder / "data"
        self._process: Process | None = None
        dev._make_cluster(binaries, self._data, secret)
        self.password = secret.read_text()
        self.port = free_port()
        self.log = folder / "log"
        self.options = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            *options,
        ]

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"postgresql://embedded:{self.password}@127.0.0.1:{self.port}/postgres"

    def own(self, path: Path) -> None:
        """Give a file to the server."""
        if path.owner() != self._data.owner():
            shutil.chown(path, self._data.owner())

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        arguments = [part for option in self.options for part in ("-c", option)]
        command = dev._as_owner(self._binaries / "postgres", "-D", self._data, *arguments)
        with self.log.open("a") as output:
            self._process = Process(command, signal.SIGINT, stdout=output, stderr=output, cwd="/")
        dev._await_ready(self._process, self._data, self.log)

    def stop(self) -> None:
        """Stop it without waiting for clients."""
        if self._process:
            self._process.stop()
            self._process = None

    def statements(self) -> list[str]:
        """What `log_statement=all` wrote down so far."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if " LOG:  statement: " in line or " LOG:  execute " in line]


type MakeServer = Callable[..., PrivateServer]
