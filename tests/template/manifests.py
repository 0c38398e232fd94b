"""The Kubernetes objects of a rendered service, as `kubectl kustomize` builds them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.template.sets import Chosen
from tests.template.sets import booted
from tests.template.sets import presets
from tests.template.tree import Tree

ALONE = Chosen(("kubernetes",))
DEPLOYED = [
    chosen for chosen in dict.fromkeys([ALONE, *booted()]) if "kubernetes" in chosen.enabled
]
EVERY_SET = pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(
            chosen, id=str(chosen), marks=[] if chosen in [ALONE, *presets()] else pytest.mark.slow
        )
        for chosen in DEPLOYED
    ],
)
PROJECT = "demo"
OVERLAYS = ("dev", "staging", "production")
MIGRATION = "components/database/migration"
WORKLOADS = ("Deployment", "Job")
OPTIONAL = {"ingress", "metrics"}  # components that an overlay may name

Object = dict[str, Any]


def kubectl() -> str:
    """The path of kubectl; skips where there is none."""
    found = shutil.which("kubectl")
    if not found:
        pytest.skip("kubectl is not installed: the manifests are not built")
    return found


def builds(service: Path) -> list[str]:
    """What can be applied: every overlay, the migration where there is one. Below deploy/."""
    found = [f"overlays/{name}" for name in OVERLAYS]
    return [*found, *([MIGRATION] if (service / "deploy" / MIGRATION).exists() else [])]


@cache
def build(folder: Path) -> Build:
    """The objects of one kustomization; whatever kubectl objects to fails the test."""
    done = subprocess.run(
        [kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    assert not done.stderr, f"{folder}: {done.stderr}"
    return Build(done.stdout)


def with_options(service: Path, target: Path) -> None:
    """A copy of the service's deploy/ in which production has every optional component."""
    shutil.copytree(service / "deploy", target)
    path = target / "overlays/production/kustomization.yaml"
    text, switched = re.subn(r"(?m)^  # (?=- \.\./\.\./components/)", "  ", path.read_text())
    assert switched == len(OPTIONAL), text
    path.write_text(text)


@dataclass(frozen=True)
class Build:
    """The objects of one kustomization."""

    text: str

    @property
    def objects(self) -> list[Object]:
        """All of them."""
        return list(yaml.safe_load_all(self.text))

    def kind(self, *kinds: str) -> list[Object]:
        """The objects of these kinds."""
        return [one for one in self.objects if one["kind"] in kinds]

    def names(self, kind: str) -> set[str]:
        """The names of all objects of this kind."""
        return {one["metadata"]["name"] for one in self.kind(kind)}

    @property
    def workloads(self) -> list[Object]:
        """What has pods."""
        return self.kind(*WORKLOADS)

    @property
    def templates(self) -> list[Object]:
        """The pods' templates."""
        return [one["spec"]["template"] for one in self.workloads]

    def selected(self, selector: dict[str, str]) -> list[Object]:
        """The pod templates that have these labels."""
        return [pod for pod in self.templates if selector.items() <= labels(pod).items()]

    def settings(self) -> Iterator[str]:
        """The name of every setting that some process gets."""
        for one in self.kind("ConfigMap"):
            yield from one["data"]
        for pod in self.templates:
            yield from (entry["name"] for entry in container(pod).get("env", []))

    def secrets(self) -> Iterator[tuple[str, str, bool]]:
        """Each key that a process takes of a Secret: the Secret's name, the key, whether it must be there."""
        for pod in self.templates:
            for entry in container(pod).get("env", []):
                if wanted := entry.get("valueFrom", {}).get("secretKeyRef"):
                    yield wanted["name"], wanted["key"], not wanted.get("optional", False)


def labels(one: Object) -> dict[str, str]:
    """The labels of an object or of a pod's template."""
    found = one["metadata"].get("labels", {})
    assert isinstance(found, dict)
    return found


def container(pod: Object) -> Object:
    """The one container of a pod's template."""
    [found] = pod["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def ports(pod: Object) -> dict[str, int]:
    """The ports of a pod's template by their names."""
    return {port["name"]: port["containerPort"] for port in container(pod).get("ports", [])}


def documented(tree: Tree) -> dict[str, str]:
    """Every setting of the service with its default, as `.env.example` has them."""
    lines = tree.files[".env.example"].splitlines()
    settings = (line[1:].partition("=") for line in lines if line[1:2].isalpha())
    return {name: value for name, _, value in settings}
