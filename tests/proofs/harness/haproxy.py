"""HAProxy before the service, configured as its owner would."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from tests.missing import missing

from .processes import Process
from .processes import free_port
from .processes import until

# Nothing here repeats a request: `retries 0` is not even another attempt to connect, and HAProxy
# sends again what got no answer only where `retry-on` says so. Whoever is not ready is out after
# two checks, and what he has begun to answer goes on.
CONFIGURATION = """\
global
    nbthread 1
    stats socket {socket} mode 600

defaults
    mode http
    retries 0
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout check 2s

frontend public
    bind 127.0.0.1:{port}
    default_backend service

backend service
    balance roundrobin
    option httpchk GET /readyz
    http-check expect status 200
    default-server check inter {every_ms} fall 2 rise 1
"""


@dataclass(frozen=True)
class Slot:
    """The ports of one instance; HAProxy knows it by its name."""

    name: str
    port: int = field(default_factory=free_port)
    internal_port: int = field(default_factory=free_port)


def find_haproxy() -> str:
    """The program, which CI installs. Debian has it where not everybody looks."""
    found = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    return found or missing("haproxy is not installed")


class Balancer:
    """One HAProxy with a place for every instance, and one more for the next."""

    def __init__(self, folder: Path, program: str, instances: int, every_s: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.slots = [Slot(f"instance{n + 1}") for n in range(instances + 1)]
        self._socket = folder / "haproxy.sock"
        text = CONFIGURATION.format(
            port=self.port, socket=self._socket, every_ms=round(every_s * 1000)
        )
        for slot in self.slots:
            server = f"{slot.name} 127.0.0.1:{slot.port}"
            text += f"    server {server} check port {slot.internal_port}\n"
        configuration = folder / "haproxy.cfg"
        configuration.write_text(text)
        command = [program, "-db", "-f", str(configuration)]
        self._process = Process(command, folder / "haproxy.log")
        until(self._servers, "HAProxy answers")

    def stop(self) -> None:
        """End it."""
        self._process.end(signal.SIGTERM)

    def ready(self) -> set[str]:
        """The names of the instances that get requests."""
        return {row["svname"] for row in self._servers() if row["status"].startswith("UP")}

    def served(self, slot: Slot) -> int:
        """How many requests this instance has got so far, and those before it in its place."""
        return sum(int(row["stot"]) for row in self._servers() if row["svname"] == slot.name)

    def wait_until_ready(self, *slots: Slot) -> None:
        """Wait until it sends requests to these, and to no other."""
        wanted = {slot.name for slot in slots}
        until(
            lambda: self.ready() == wanted, f"HAProxy finds {wanted} ready: {self._process.tail()}"
        )

    def _servers(self) -> list[dict[str, str]]:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(5)
            asked.connect(str(self._socket))
            asked.sendall(b"show stat\n")
            said = asked.makefile().read()
        rows = csv.DictReader(said.lstrip("# ").splitlines())
        return [row for row in rows if row["pxname"] == "service" and row["svname"] != "BACKEND"]


@contextmanager
def balancer(folder: Path, program: str, instances: int, every_s: float) -> Iterator[Balancer]:
    """A balancer for the block, which asks each instance for its readiness every `every_s`."""
    made = Balancer(folder, program, instances, every_s)
    try:
        yield made
    finally:
        made.stop()
