"""Children that are logged, and ended by pid."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import randrange
from typing import Any


def free_port() -> int:
    """A port nobody listens on just now, and which the system gives to nobody who wants any."""
    while True:
        port = randrange(10_000, 32_000)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def until(true: Callable[[], object], what: str, seconds: float = 30) -> float:
    """Wait until `true()` holds; an OSError counts as false. How long it took, in seconds."""
    started = time.monotonic()
    while True:
        try:
            if true():
                return time.monotonic() - started
        except OSError:
            pass
        if time.monotonic() - started > seconds:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def as_user(name: str | None) -> dict[str, Any]:
    """What subprocess needs to run a program as this user; None is whoever runs the proofs."""
    if name is None:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Process:
    """One child in a session of its own. Its output goes to `log`."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **as_user(user),
            )
        self.pid = self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._popen.poll()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._popen.send_signal(number)

    def handles(self, number: signal.Signals) -> bool:
        """Whether it has a handler for this signal by now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught, 16) >> (number - 1) & 1)

    def wait(self, seconds: float) -> int:
        """Its exit code. TimeoutExpired when it goes on."""
        return self._popen.wait(seconds)

    def end(self, number: signal.Signals = signal.SIGKILL, seconds: float = 15) -> None:
        """End it, by force if it does not heed the signal."""
        if self.exit_code is None:
            os.kill(self.pid, signal.SIGCONT)  # a stopped process heeds nothing
            self.send(number)
            try:
                self.wait(seconds)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self.wait(seconds)

    def tail(self, characters: int = 2000) -> str:
        """The end of its output."""
        return self.log.read_text(errors="replace")[-characters:]
