"""Child processes that do not outlive their parent, even when it is killed."""

from __future__ import annotations

import atexit
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO
from typing import Any


@cache
def _guard() -> IO[str]:
    guard = subprocess.Popen(
        [sys.executable, "-I", Path(__file__).with_name("guard.py")],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is not for it
    )
    assert guard.stdin
    guard.returncode = 0  # it ends after us, so nobody waits for it
    atexit.register(guard.stdin.close)
    return guard.stdin


def _tell(line: str) -> None:
    guard = _guard()
    guard.write(line + "\n")
    guard.flush()


class Process:
    """A running command. It does not see Ctrl-C: whoever started it ends it, in the right order."""

    def __init__(
        self,
        command: Sequence[str | Path],
        stop_signal: signal.Signals = signal.SIGTERM,
        **options: Any,
    ) -> None:
        """Start it; `options` are those of subprocess.Popen."""
        self._stop_signal = stop_signal
        self._child = subprocess.Popen(command, start_new_session=True, **options)
        _tell(f"+ {self._child.pid} {stop_signal.value}")

    @property
    def stdin(self) -> Any:
        """The pipe to it, if there is one."""
        return self._child.stdin

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._child.poll()

    def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self._child.wait()

    def stop(self, patience_s: float = 10) -> int:
        """End it, by force after `patience_s` seconds; return its exit code."""
        if self._child.poll() is None:
            self._child.send_signal(self._stop_signal)
        try:
            code = self._child.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        _tell(f"- {self._child.pid}")
        return code


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
