"""The service's image, and containers of it, by the lab: podman without a registry."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from .processes import Process
from .processes import free_port
from .service import ROOT
from .service import Api

HARDENED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]


def find_lab() -> Path | None:
    """The lab's command: PERFGEN_LAB, or beside the checkout; None where there is none."""
    lab = Path(os.environ.get("PERFGEN_LAB") or ROOT.parent / "shared/lab/lab")
    return lab if os.access(lab, os.X_OK) else None


class Container(Process):
    """A container in the foreground; signals go to the process within it."""

    def __init__(self, lab: Path, image: str, env: Mapping[str, str], log: Path) -> None:
        self._lab = lab
        self.name = f"perfgen-{uuid4().hex[:8]}"
        variables = [part for pair in env.items() for part in ("-e", "=".join(pair))]
        run = ["podman", "run", "--name", self.name, "--network", "host", *HARDENED, *variables]
        super().__init__([str(lab), *run, image], log)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        podman(self._lab, "kill", "--signal", number.name, self.name)

    def remove(self) -> None:
        """Leave nothing of it."""
        podman(self._lab, "rm", "--force", "--time", "0", self.name)
        self.wait(15)

    def inspect(self, template: str) -> str:
        """A value of `podman inspect`."""
        return podman(self._lab, "inspect", "--format", template, self.name).strip()


def podman(lab: Path, *command: str) -> str:
    """What podman says; whatever goes wrong fails the proof."""
    done = subprocess.run([str(lab), "podman", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(lab: Path, folder: Path, name: str) -> str:
    """Build the image of the service in this folder; its name."""
    command = [str(lab), "build", "--quiet", "--tag", name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return name


def layers(lab: Path, image: str) -> list[tuple[float, str]]:
    """Each layer that holds something: MB, and the instruction that made it, the newest first."""
    told = podman(lab, "history", "--no-trunc", "--human=false", "--format", "json", image)
    made = [
        (layer["size"] / 1e6, " ".join(layer["CreatedBy"].split())) for layer in json.loads(told)
    ]
    return [(size, by) for size, by in made if size > 0.01]


@contextmanager
def containers(lab: Path, image: str, environment: Mapping[str, str], logs: Path) -> Iterator[Api]:
    """The service in a container of its own, ready; gone after the block."""
    port, internal_port = free_port(), free_port()
    env = {k: v for k, v in environment.items() if k != "PATH"}
    env |= {"PORT": str(port), "INTERNAL_PORT": str(internal_port)}
    container = Container(lab, image, env, logs / f"container-{port}.log")
    try:
        api = Api(container, port, internal_port)
        api.wait_until_ready(60)
        yield api
    finally:
        container.remove()
