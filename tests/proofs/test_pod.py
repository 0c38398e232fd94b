"""The pods of the manifests, run by podman: as restricted inside as the manifests say."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.template.manifests import kubectl as find_kubectl

from .harness.image import podman
from .harness.processes import free_port
from .harness.processes import until
from .harness.service import Service
from .harness.service import every_pattern
from .harness.table import Table

pytestmark = pytest.mark.slow
BESIDE = {"queue": "worker", "scheduler": "scheduler"}
PROCESSES = ["api", *(BESIDE[name] for name in every_pattern() if name in BESIDE)]
WRITES = "import pathlib; pathlib.Path({0!r}).write_text('x'); pathlib.Path({0!r}).unlink()"
ASKS = """
import socket
s = socket.create_connection(("127.0.0.1", {1}), 3)
s.sendall(b"GET {0} HTTP/1.0\\r\\n\\r\\n")
print(s.recv(64).split()[1].decode())
"""


def overlay(service: Service) -> list[dict[str, Any]]:
    """The objects of production."""
    kubectl = find_kubectl()
    folder = service.folder / "deploy/overlays/production"
    built = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, check=True)
    return list(yaml.safe_load_all(built.stdout))


def playable(service: Service, image: str, process: str) -> tuple[str, dict[str, int]]:
    """The Deployment of one process and its settings, for podman; and its ports.

    What podman has no notion of is left out: probes by port name, and who runs where. It uses the
    machine's network, on ports of its own, as the servers listen there.
    """
    objects = overlay(service)
    [settings] = [one for one in objects if one["kind"] == "ConfigMap"]
    [deployment] = [
        one
        for one in objects
        if one["kind"] == "Deployment" and one["metadata"]["name"].endswith(f"-{process}")
    ]
    pod = deployment["spec"]["template"]
    [container] = pod["spec"]["containers"]
    ports = {port["name"]: free_port() for port in container.pop("ports")}
    names = {"http": "PORT", "internal": "INTERNAL_PORT"}
    settings["data"] |= {names[name]: str(number) for name, number in ports.items()}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        del container[probe]
    container["image"] = image
    pod["spec"]["hostNetwork"] = True
    pod["spec"].pop("topologySpreadConstraints", None)
    pod["spec"]["restartPolicy"] = "Never"  # so that its exit code can be seen
    del deployment["spec"]["strategy"]
    deployment["spec"]["replicas"] = 1
    return yaml.safe_dump_all([settings, deployment]), ports


@contextmanager
def secret(lab: Path, service: Service, work: Path) -> Iterator[None]:
    """The one Secret that must exist, made from what the README's command would be given."""
    name = "proofs-secrets"
    needed = re.findall(r"--from-literal=([A-Z_]+)=", (service.folder / "README.md").read_text())
    env = service.environment
    values = {key: env[key].encode() for key in needed if key in env}  # others are optional
    path = work / "secret.json"
    path.write_text(json.dumps({k: base64.b64encode(v).decode() for k, v in values.items()}))
    podman(lab, "secret", "create", name, str(path))
    try:
        yield
    finally:
        podman(lab, "secret", "rm", name)


@contextmanager
def played(lab: Path, manifest: str, path: Path) -> Iterator[str]:
    """The pod of a Deployment; yields the name of the service's container."""
    path.write_text(manifest)
    try:
        podman(lab, "kube", "play", str(path))
        names = podman(lab, "ps", "--all", "--format", "{{.Names}}").split()
        [name] = [name for name in names if re.fullmatch(r"proofs-\w+-pod(-\d+)?-service", name)]
        yield name
    finally:
        podman(lab, "kube", "down", str(path))


@pytest.mark.parametrize("process", PROCESSES)
def test_the_pod_is_as_restricted_as_its_manifest(
    process: str, lab: Path, image: str, service: Service, work: Path, table: Table
) -> None:
    manifest, ports = playable(service, image, process)
    with secret(lab, service, work), played(lab, manifest, work / f"{process}.yaml") as name:

        def inside(*command: str) -> str:
            return podman(lab, "exec", name, *command).strip()

        def python(code: str) -> str:
            return inside("python", "-IS", "-c", code)

        def state() -> str:
            return podman(lab, "inspect", "--format", "{{.State.Status}}", name).strip()

        def ready() -> bool:
            assert state() == "running", podman(lab, "logs", name)
            try:
                return python(ASKS.format("/readyz", ports["internal"])) == "200"
            except AssertionError:
                return False

        until(ready, "the pod is ready", 90)
        for path in ("/livez", "/startupz"):
            assert python(ASKS.format(path, ports["internal"])) == "200"
        status = inside("cat", "/proc/1/status")
        rights = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert set(rights["Uid"].split()) == {"10001"}
        assert set(rights["Gid"].split()) == {"10001"}
        sets = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
        assert {int(rights[one], 16) for one in sets} == {0}
        assert rights["NoNewPrivs"] == "1"
        assert rights["Seccomp"] == "2"  # a filter, the runtime's own
        for folder in ("/", "/srv", "/var/tmp", "/dev/shm/.."):
            with pytest.raises(AssertionError, match=r"Read-only|Permission denied"):
                python(WRITES.format(f"{folder}/written"))
        with pytest.raises(AssertionError, match="Read-only file system"):
            podman(lab, "exec", "--user", "0", name, "touch", "/srv/written")
        python(WRITES.format("/tmp/written"))
        inside("sleep", "0")  # what preStop needs
        podman(lab, "kill", "--signal", signal.SIGTERM.name, name)
        until(lambda: state() == "exited", "the pod ends", 60)
        assert podman(lab, "inspect", "--format", "{{.State.ExitCode}}", name).strip() == "0"
    table.add(
        "A pod is restricted",
        f"`podman kube play` of the {process}'s manifest, and a look from inside",
        "user 10001, seccomp filter, no_new_privs, exit code 0 on SIGTERM",
        "0 capabilities, 0 writable folders but /tmp",
    )
