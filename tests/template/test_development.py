"""`make run` with nothing installed and nothing named: embedded servers, tables, data, a key."""

from __future__ import annotations

import re
import shutil
import signal
import urllib.error
from pathlib import Path

import pytest

from tests.proofs.harness.processes import Process
from tests.proofs.harness.processes import free_port
from tests.proofs.harness.processes import until
from tests.template import machine
from tests.template.report import Proving
from tests.template.running import Running
from tests.template.sets import DEFAULT_PYTHON
from tests.template.tree import Tree

READY_S, END_S = 120, 60


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_runs_on_embedded_servers(
    everything: Tree, tmp_path: Path, proving: Proving
) -> None:
    service = Path(shutil.copytree(everything.path, tmp_path / "demo"))
    python = machine.environment(service, DEFAULT_PYTHON, dev=True) / "bin" / "python"
    ports = free_port(), free_port()
    env = machine.plain_environment() | {"PORT": str(ports[0]), "INTERNAL_PORT": str(ports[1])}
    log = tmp_path / "log"
    process = Process([str(python), "-u", "-m", "dev.run"], log, service, env)
    try:
        with proving("booted", "everything on embedded servers"):
            until(lambda: _key(log, process), "make run prints a key", READY_S)
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        one = Running(urls[0], urls[1], _key(log, process))
        assert one.get_internal("/readyz").status == 200
        assert one.get("/users/1").status == 200
        assert one.get("/items?limit=2").status == 200
        assert one.get("/users/1", anonymous=True).status == 401
        process.send(signal.SIGTERM)
        assert process.wait(END_S) == 0, process.tail()
        with pytest.raises(urllib.error.URLError):
            one.get_internal("/livez")
    finally:
        process.end()


def _key(log: Path, process: Process) -> str:
    """The development key, once it is printed."""
    assert process.exit_code is None, process.tail()
    found = re.search(r"Bearer ([\w-]+)", log.read_text())
    return found[1] if found else ""
