"""A redis-server of a test's own, to be killed, started again or configured as it likes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

START_TIMEOUT_S = 10


class PrivateRedis:
    """Listens on one port of 127.0.0.1 for its whole life, and keeps nothing when it stops."""

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        self._binary = shutil.which("redis-server") or pytest.skip("no redis-server on the PATH")
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self, listens_on: int | None = None) -> None:
        """Start, and wait until it listens."""
        command = [self._binary, "--bind", "127.0.0.1", "--port", str(self.port)]
        command += ["--save", "", "--dir", str(self._folder), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _listens(listens_on or self.port):
            assert self._process.poll() is None, "redis-server does not start"
            assert time.monotonic() < deadline, "redis-server does not listen"
            time.sleep(0.01)

    def kill(self) -> None:
        """Gone at once, without a word to its clients."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
