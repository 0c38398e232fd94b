"""`make deploy` with a real kubectl: it migrates, waits, and only then rolls out; as often as asked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template import cluster as fake
from tests.template import manifests
from tests.template.cluster import Cluster
from tests.template.manifests import container
from tests.template.tree import Tree

SPACE = "staging"
IMAGE = "registry.example.com/team/demo:1.2.3"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that has the service's Secret."""
    manifests.kubectl()
    with fake.running(tmp_path) as one:
        keys = ["AUTH_API_KEYS", "DATABASE_URL", "PAGINATION_SECRETS", "REDIS_URL"]
        secret = {"apiVersion": "v1", "kind": "Secret", "data": dict.fromkeys(keys, "eA==")}
        one.put("Secret", SPACE, "demo-secrets", secret)
        yield one


@pytest.fixture
def service(everything: Tree, tmp_path: Path) -> Path:
    """The service with every pattern, to write to."""
    return Path(shutil.copytree(everything.path, tmp_path / "demo"))


def make(service: Path, cluster: Cluster | None, *arguments: str, **env: str) -> tuple[int, str]:
    """What `make` ends with and says."""
    config = {"KUBECONFIG": str(cluster.config)} if cluster else {}
    there = {"PATH": os.environ["PATH"], "HOME": str(service), **config, **env}
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=service,
        env=there,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def deploy(service: Path, cluster: Cluster, image: str = IMAGE) -> tuple[int, str]:
    return make(service, cluster, "deploy", f"ENV={SPACE}", f"IMAGE={image}")


def test_migrates_then_rolls_out_and_again(service: Path, cluster: Cluster) -> None:
    code, said = deploy(service, cluster)
    assert code == 0, said
    kinds = [kind for verb, kind, _ in cluster.done if verb == "create"]
    assert kinds.index("Job") < kinds.index("Deployment")
    assert "HorizontalPodAutoscaler" in kinds
    assert all(one in said for one in cluster.names("Deployment"))

    del cluster.done[:]
    code, said = deploy(service, cluster, f"{IMAGE}-next")
    assert code == 0, said
    job = [(verb, kind) for verb, kind, _ in cluster.done if kind in ("Job", "Deployment")]
    assert job[:2] == [("delete", "Job"), ("create", "Job")]
    assert set(job[2:]) == {("patch", "Deployment")}
    for (kind, space, _), one in cluster.objects.items():
        assert space == SPACE
        if kind in manifests.WORKLOADS:
            assert container(one["spec"]["template"])["image"] == f"{IMAGE}-next"
    assert not list((service / ".data").iterdir())


def test_a_failed_migration_stops_it(service: Path, cluster: Cluster) -> None:
    code, said = deploy(service, cluster, "registry.example.com/broken:1")
    assert code != 0
    assert "The migration has failed. Nothing was rolled out" in said
    assert "Job" in {kind for _, kind, _ in cluster.done}
    assert not cluster.names("Deployment")


def test_a_rollout_that_gets_stuck_fails(service: Path, cluster: Cluster) -> None:
    shutil.rmtree(service / "deploy" / manifests.MIGRATION)
    code, said = deploy(service, cluster, "registry.example.com/broken:1")
    assert code != 0
    assert "kubectl -n staging rollout undo deployment demo-api" in said


def own_migration(service: Path, **said: str) -> None:
    """The environment gets the migration that the component's has as an example, with this in it."""
    text = (service / "deploy" / manifests.MIGRATION / "kustomization.yaml").read_text()
    example = "\n".join(re.findall(r"(?m)^#   (.*)", text))
    for name, value in said.items():
        example, found = re.subn(rf"\b{name}: \S+", f"{name}: {value}", example)
        assert found == 1, name
    own = service / "deploy/overlays" / SPACE / "migration"
    own.mkdir()
    (own / "kustomization.yaml").write_text(example)


def test_a_migration_that_cannot_begin_ends(service: Path, cluster: Cluster) -> None:
    """And the next one is not refused."""
    own_migration(service, activeDeadlineSeconds="1", key="DATABASE_URL")
    code, said = deploy(service, cluster, "registry.example.com/absent:1")
    assert code != 0
    assert "The migration has failed. Nothing was rolled out" in said
    assert "Job was active longer than specified deadline" in said
    assert not cluster.names("Deployment")
    code, said = deploy(service, cluster)
    assert code == 0, said


def test_an_environment_has_a_migration_of_its_own(service: Path, cluster: Cluster) -> None:
    own_migration(service)
    code, said = deploy(service, cluster)
    assert code != 0
    assert "lacks MIGRATION_DATABASE_URL." in " ".join(said.split())
    cluster.objects["Secret", SPACE, "demo-secrets"]["data"]["MIGRATION_DATABASE_URL"] = "eA=="
    code, said = deploy(service, cluster)
    assert code == 0, said
    spec = cluster.objects["Job", SPACE, "demo-migrate"]["spec"]
    assert spec["activeDeadlineSeconds"] == 7200
    assert spec["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    one = container(spec["template"])
    assert one["image"] == IMAGE
    key = {"name": "demo-secrets", "key": "MIGRATION_DATABASE_URL"}
    assert one["env"] == [{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": key}}]


def test_a_migration_under_way_is_left_alone(service: Path, cluster: Cluster) -> None:
    assert deploy(service, cluster)[0] == 0
    [job] = [one for (kind, _, _), one in cluster.objects.items() if kind == "Job"]
    job["status"] = {"active": 1}
    del cluster.done[:]
    code, said = deploy(service, cluster)
    assert code != 0
    assert "A migration is under way" in said
    assert "kubectl -n staging delete job demo-migrate" in said
    assert not cluster.done


def test_a_secret_that_lacks_a_key_is_refused(service: Path, cluster: Cluster) -> None:
    del cluster.objects["Secret", SPACE, "demo-secrets"]["data"]["REDIS_URL"]
    code, said = deploy(service, cluster)
    assert code != 0
    assert "The Secret demo-secrets in the namespace staging lacks REDIS_URL." in " ".join(
        said.split()
    )
    del cluster.objects["Secret", SPACE, "demo-secrets"]
    _, said = deploy(service, cluster)
    assert "lacks AUTH_API_KEYS, DATABASE_URL, PAGINATION_SECRETS, REDIS_URL." in " ".join(
        said.split()
    )
    assert not cluster.done


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["IMAGE=x:1"], "ENV=NAME. There are: dev production staging"),
        (["ENV=nowhere", "IMAGE=x:1"], "ENV=NAME. There are: dev production staging"),
        (["ENV=dev"], "make deploy ENV=dev IMAGE=registry/name:tag"),
        (["ENV=dev", "IMAGE=host:5000/demo"], "has no tag"),
        (["ENV=dev", "IMAGE=host:5000/demo:latest"], "give it a tag of its own"),
        (["ENV=';touch pwned;'", "IMAGE=x:1"], "ENV=NAME"),
    ],
)
def test_what_is_missing_is_said(service: Path, arguments: list[str], sentence: str) -> None:
    manifests.kubectl()
    code, said = make(service, None, "deploy", *arguments)
    assert code != 0
    assert sentence in " ".join(said.split())
    assert not (service / "pwned").exists()


def test_without_kubectl_a_sentence_says_so(service: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("make", "sh", "dirname", "grep", "awk", "sed"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    for target in ("manifests", "deploy"):
        code, said = make(service, None, target, "ENV=dev", "IMAGE=x:1", PATH=str(programs))
        assert code != 0
        assert "This needs kubectl, which is not installed." in said


def test_manifests_are_printed(service: Path) -> None:
    manifests.kubectl()
    code, said = make(service, None, "manifests", "ENV=production")
    assert code == 0, said
    rolled_out = manifests.build(service / "deploy/overlays/production").text
    assert said.endswith(f"\n---\n{rolled_out}")
    migration = said.removesuffix(rolled_out)
    assert "\nkind: Job\n" in migration
    assert "\nkind: Deployment\n" not in migration
    _, said = make(service, None, "manifests", "ENV=production", f"IMAGE={IMAGE}")
    assert f"image: {IMAGE}\n" in said
    assert "image: demo:" not in said
