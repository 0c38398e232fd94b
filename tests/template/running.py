"""A generated service, started as in production from what its image would hold."""

from __future__ import annotations

import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.proofs.harness.processes import Process
from tests.proofs.harness.processes import free_port
from tests.proofs.harness.processes import until
from tests.template import machine

READY_S, END_S = 60, 20


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    body: str


@dataclass(frozen=True)
class Running:
    """A service that answers on two ports."""

    public: str
    internal: str
    key: str

    def get(self, path: str, *, anonymous: bool = False) -> Answer:
        """GET a path of the public port."""
        headers = {} if anonymous else {"Authorization": f"Bearer {self.key}"}
        return _get(self.public + path, headers)

    def get_internal(self, path: str) -> Answer:
        """GET a path of the internal port."""
        return _get(self.internal + path, {})


def _get(url: str, headers: dict[str, str]) -> Answer:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as got:
            return Answer(got.status, got.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode())


@contextmanager
def running(service: Path, python: Path, urls: dict[str, str], log: Path) -> Iterator[Running]:
    """The service in production mode, ready; afterwards it has ended with 0 upon SIGTERM.

    python: of the environment to run it in
    urls:   the settings that name its servers
    """
    key, entry = new_key(service, python)
    ports = free_port(), free_port()
    env = machine.plain_environment() | urls
    env |= {"PORT": str(ports[0]), "INTERNAL_PORT": str(ports[1]), "SHUTDOWN_DRAIN_S": "0"}
    env |= {"AUTH_API_KEYS": entry, "PAGINATION_SECRETS": "a-secret-of-the-tests-" * 2}
    if "DATABASE_URL" in urls:
        machine.run(python, "-m", "app", "migrate", cwd=service, env=env)
    process = Process([str(python), "-m", "app", "api"], log, service, env)
    one = Running(f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}", key)
    try:
        _await_ready(one, process)
        yield one
        process.send(signal.SIGTERM)
        assert process.wait(END_S) == 0, process.tail()
    finally:
        process.end()


def new_key(service: Path, python: Path) -> tuple[str, str]:
    """A new API key and its entry, from the service's own command."""
    said = machine.run(python, "-m", "app", "api-key", "tests", cwd=service).splitlines()
    return said[1], said[-1]


def _await_ready(one: Running, process: Process) -> None:
    def ready() -> bool:
        assert process.exit_code is None, process.tail()
        try:
            return one.get_internal("/readyz").status == 200
        except urllib.error.URLError:
            return False

    try:
        until(ready, "/readyz answers 200", READY_S)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{process.tail()}") from error
