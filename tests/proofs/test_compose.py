"""The whole stack by compose: up in order, each container killed and back, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .harness.image import podman
from .harness.processes import free_port
from .harness.processes import until
from .harness.service import find_uv
from .harness.table import Table

pytestmark = pytest.mark.slow
COMPOSE = "podman-compose==1.6.0"
# podman 4.3 starts nothing that requires a container which has ended, as the migration has.
PODMAN = """#!/bin/sh
for argument do
    shift
    case $argument in --requires=*) ;; *) set -- "$@" "$argument" ;; esac
done
exec podman "$@"
"""
PROJECT = "label=io.podman.compose.project=proofs"
ONCE = "migrate"  # the one container that is to end


class Stack:
    """The stack of one service, as `make up` and `make down` have it."""

    def __init__(self, lab: Path, folder: Path, compose: str) -> None:
        self._lab, self._folder = lab, folder
        self._environment = os.environ | {
            "PORT": str(free_port()),
            "INTERNAL_PORT": str(free_port()),
            "COMPOSE": compose,
            "MONITORING": "no",  # no image of Grafana can be had here
            "CONTAINERS_CONF": str(lab.parent / "containers.conf"),
        }

    def make(self, target: str) -> str:
        """What a target of the Makefile says."""
        done = subprocess.run(
            ["make", "--no-print-directory", target],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    def left(self) -> dict[str, int]:
        """How many containers, pods, networks and volumes there are of it."""
        listed = {
            "containers": ["ps", "--all"],
            "pods": ["pod", "ps"],
            "networks": ["network", "ls"],
            "volumes": ["volume", "ls"],
        }
        return {
            what: len(podman(self._lab, *command, "--quiet", "--filter", PROJECT).split())
            for what, command in listed.items()
        }

    def containers(self) -> dict[str, str]:
        """Every container of it by its service."""
        told = podman(self._lab, "ps", "--all", "--filter", PROJECT, "--format", "json")
        return {one["Labels"]["com.docker.compose.service"]: one["Id"] for one in json.loads(told)}

    def state(self, service: str) -> dict[str, Any]:
        """The state of a service's container."""
        told = podman(self._lab, "inspect", self.containers()[service])
        state = json.loads(told)[0]["State"]
        assert isinstance(state, dict)
        return state

    def returned(self, service: str, killed: int) -> bool:
        """Whether it runs again after that process of it has been killed."""
        return self.state(service)["Pid"] not in (0, killed)

    def healthy(self, service: str) -> bool:
        """Whether its healthcheck passes: its own, or that of its image."""
        command = [str(self._lab), "podman", "healthcheck", "run", self.containers()[service]]
        return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def compose(work: Path) -> str:
    """The command of a pinned podman-compose, with an environment of its own."""
    environment = work / "podman-compose"
    python = str(environment / "bin/python")
    install = ["pip", "install", "--quiet", "--python", python, COMPOSE]
    for command in (["venv", "--quiet", str(environment)], install):
        done = subprocess.run([find_uv(), *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    (work / "podman").write_text(PODMAN)
    (work / "podman").chmod(0o755)
    return f"{environment}/bin/podman-compose --podman-path {work}/podman"


@pytest.fixture
def stack(lab: Path, image: str, generated: Path, work: Path, compose: str) -> Iterator[Stack]:
    """The stack, not yet up; its image is there."""
    folder = work / "stack"
    shutil.copytree(generated, folder, ignore=shutil.ignore_patterns(".venv", ".env"))
    # The lab has built the image already: what compose would run knows none of its certificates.
    (folder / "Dockerfile").write_text(f"FROM {image}\n")
    one = Stack(lab, folder, compose)
    yield one
    one.make("down")
    for volume in podman(lab, "volume", "ls", "--quiet", "--filter", PROJECT).split():
        podman(lab, "volume", "rm", volume)
    podman(lab, "rmi", "localhost/proofs:latest")


@pytest.mark.timeout(600)
def test_up_in_order_each_killed_and_down(stack: Stack, table: Table) -> None:
    said = stack.make("up")
    assert "ready at http://127.0.0.1:" in said
    services = stack.containers().keys()
    running = services - {ONCE}
    assert {"api", "migrate", "postgres", "redis"} <= services

    migrated = stack.state(ONCE)
    assert migrated["ExitCode"] == 0
    for service in running:
        ours = service not in ("postgres", "redis")
        started = stack.state(service)["StartedAt"]
        assert (started > migrated["FinishedAt"]) == ours, f"{service} started in the wrong order"
        assert stack.healthy(service)

    for service in running:
        killed = stack.state(service)["Pid"]
        os.kill(killed, signal.SIGKILL)
        until(partial(stack.returned, service, killed), f"{service} is back")
        for every in running:
            until(partial(stack.healthy, every), f"{every} is healthy again", 60)

    stack.make("down")
    assert stack.left() == {"containers": 0, "pods": 0, "networks": 0, "volumes": 1}
    table.add(
        "The stack comes up in order and back",
        f"`make up`, kill -9 of each of {len(running)} containers, `make down`",
        f"{len(running)} back and healthy",
        "left behind: 1 volume, that of PostgreSQL",
    )
