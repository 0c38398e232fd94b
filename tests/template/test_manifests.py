"""The Kubernetes manifests: they build for every set, and nothing that they name is missing.

The presets and the patterns alone belong to `make test`; the covering array to `make proofs`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import kubernetes_validate
import yaml

from tests.template import manifests
from tests.template.manifests import EVERY_SET
from tests.template.manifests import PROJECT
from tests.template.manifests import Build
from tests.template.manifests import container
from tests.template.manifests import documented
from tests.template.manifests import labels
from tests.template.manifests import ports
from tests.template.report import Proving
from tests.template.sets import Chosen
from tests.template.tree import Tree

OLDEST = 27  # Kubernetes 1.27
# Kinds that Kubernetes itself does not define; whoever uses them has their definition.
CRDS = {("monitoring.coreos.com/v1", "ServiceMonitor")}


@EVERY_SET
def test_every_overlay_builds(chosen: Chosen, tree: Tree, proving: Proving) -> None:
    """And its names are the service's, in its own namespace."""
    with proving("kustomized", chosen):
        for name in manifests.OVERLAYS:
            built = manifests.build(tree.path / "deploy/overlays" / name)
            for one in built.objects:
                assert one["metadata"]["namespace"] == name
                assert one["metadata"]["name"].startswith(f"{PROJECT}-"), one
                assert labels(one)["app.kubernetes.io/name"] == PROJECT
    assert ("database" in chosen.enabled) == (manifests.MIGRATION in manifests.builds(tree.path))


@EVERY_SET
def test_every_manifest_file_is_used_and_holds_one_object(tree: Tree) -> None:
    files = {Path(name) for name in tree.files if name.startswith("deploy/")}
    used: set[Path] = set()
    for name in (path for path in files if path.name == "kustomization.yaml"):
        read = yaml.safe_load(tree.files[name.as_posix()])
        named = [*read.get("resources", []), *(one.get("path") for one in read.get("patches", []))]
        named += [
            path for one in read.get("configMapGenerator", []) for path in one.get("envs", [])
        ]
        used |= {name, *(name.parent / path for path in named if path)}
    assert files - used == {Path("deploy/README.md")}
    for name in (path for path in files if path.suffix == ".yaml"):
        assert len(list(yaml.safe_load_all(tree.files[name.as_posix()]))) == 1, name


@EVERY_SET
def test_patches_are_strategic_merges(tree: Tree) -> None:
    """JSON patches of one list would overwrite each other."""
    for name, text in tree.files.items():
        if name.startswith("deploy/") and name.endswith("kustomization.yaml"):
            assert "op:" not in text, name
            assert "patchesJson6902" not in text, name


@EVERY_SET
def test_everything_named_is_there(every: list[Build]) -> None:
    """Accounts, settings, volumes, ports, backends, and what the autoscaler scales."""
    for built in every:
        for pod in built.templates:
            spec, one = pod["spec"], container(pod)
            assert spec["serviceAccountName"] in built.names("ServiceAccount")
            named = [entry["configMapRef"]["name"] for entry in one.get("envFrom", [])]
            assert set(named) <= built.names("ConfigMap")
            mounted = [mount["name"] for mount in one["volumeMounts"]]
            assert sorted(mounted) == sorted(volume["name"] for volume in spec["volumes"])
            assert all(volume.keys() == {"name", "emptyDir"} for volume in spec["volumes"])
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe in one:
                    assert one[probe]["httpGet"]["port"] in ports(pod)
        for scaler in built.kind("HorizontalPodAutoscaler"):
            target = scaler["spec"]["scaleTargetRef"]
            assert target["name"] in built.names(target["kind"])
        for ingress in built.kind("Ingress"):
            for path in ingress["spec"]["rules"][0]["http"]["paths"]:
                backend = path["backend"]["service"]
                [service] = [
                    one
                    for one in built.kind("Service")
                    if one["metadata"]["name"] == backend["name"]
                ]
                named = [port["name"] for port in service["spec"]["ports"]]
                assert backend["port"]["name"] in named


@EVERY_SET
def test_every_configmap_and_account_is_used(every: list[Build]) -> None:
    for built in every:
        used = {pod["spec"]["serviceAccountName"] for pod in built.templates}
        assert built.names("ServiceAccount") == used
        given = {
            entry["configMapRef"]["name"]
            for pod in built.templates
            for entry in container(pod).get("envFrom", [])
        }
        assert built.names("ConfigMap") == given
        assert all(re.search(r"-[a-z0-9]{10}$", name) for name in given)  # the content's hash


@EVERY_SET
def test_one_secret_is_all_that_must_be_there(tree: Tree, every: list[Build]) -> None:
    """And the README's command makes it with exactly the keys that the processes need."""
    command = re.search(r"kubectl create secret generic (?s:.*?)[^\\]\n", tree.files["README.md"])
    assert command
    made = set(re.findall(r"--from-literal=([A-Z_]+)=", command.group()))
    taken = {key for built in every for key in built.secrets()}
    assert {(name, key) for name, key, must in taken if must} == {
        (f"{PROJECT}-secrets", key) for key in made
    }
    may = re.search(r"\nThe Secret may also have ([^;]*);", tree.files["README.md"])
    optional = set(re.findall(r"`([A-Z_]+)`", may.group(1)) if may else [])
    assert {(name, key) for name, key, must in taken if not must} == {
        (f"{PROJECT}-secrets", key) for key in optional
    }
    assert f"generic {PROJECT}-secrets " in command.group()
    for built in every:
        assert not built.names("Secret")
        outside = re.findall(
            r"\b(?:imagePullSecrets|persistentVolumeClaim|secretRef)\b", built.text
        )
        assert not outside


@EVERY_SET
def test_selectors_select_what_they_should(every: list[Build]) -> None:
    for built in every:
        for one in built.kind("Deployment"):
            chosen = one["spec"]["selector"]["matchLabels"]
            assert built.selected(chosen) == [one["spec"]["template"]]
            for spread in one["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
                assert spread["labelSelector"]["matchLabels"] == chosen
        api = [pod for pod in built.templates if container(pod)["args"] == ["api"]]
        for one in built.kind("PodDisruptionBudget"):
            meant = [one["metadata"]["name"].removeprefix(f"{PROJECT}-")]
            guarded = built.selected(one["spec"]["selector"]["matchLabels"])
            assert [container(pod)["args"] for pod in guarded] == [meant]
        for one in built.kind("Service"):
            pods = built.selected(one["spec"]["selector"])
            headless = one["spec"].get("clusterIP") == "None"
            assert pods == (built.templates if headless else api)
            for pod in pods:
                assert all(port["targetPort"] in ports(pod) for port in one["spec"]["ports"])
        for one in built.kind("ServiceMonitor"):
            wanted = one["spec"]["selector"]["matchLabels"]
            found = [s for s in built.kind("Service") if wanted.items() <= labels(s).items()]
            assert len(found) == 1
            named = {port["name"] for port in found[0]["spec"]["ports"]}
            assert {endpoint["port"] for endpoint in one["spec"]["endpoints"]} <= named


@EVERY_SET
def test_optional_components_are_what_they_say(tree: Tree, every: list[Build]) -> None:
    plain = manifests.build(tree.path / "deploy/overlays/production")
    assert {one["kind"] for one in every[-1].objects} - {one["kind"] for one in plain.objects} == {
        "Ingress",
        "ServiceMonitor",
    }


@EVERY_SET
def test_two_services_in_one_namespace_do_not_meet(every: list[Build]) -> None:
    """Every selector holds the service's name, so that none reaches the pods of another."""
    for built in every:
        for one in [*built.kind("Deployment", "PodDisruptionBudget", "ServiceMonitor")]:
            assert one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == PROJECT
        for one in built.kind("Service"):
            assert one["spec"]["selector"]["app.kubernetes.io/name"] == PROJECT
        for one in built.kind("NetworkPolicy"):
            assert one["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == PROJECT


@EVERY_SET
def test_every_variable_is_a_setting(tree: Tree, every: list[Build]) -> None:
    known = documented(tree)
    for built in every:
        assert set(built.settings()) <= known.keys()
        secret = {key for _, key, _ in built.secrets()}
        for one in built.kind("ConfigMap"):
            assert not secret & one["data"].keys()


@EVERY_SET
def test_settings_have_their_defaults(tree: Tree) -> None:
    """What the base and the components say is what the service would do anyway."""
    known = documented(tree)
    for name, text in tree.files.items():
        if name.startswith("deploy/") and name.endswith(".env"):
            said = dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", text))
            assert said.items() <= known.items(), name


@EVERY_SET
def test_manifests_are_valid_from_the_oldest_to_the_newest(every: list[Build]) -> None:
    for built in every:
        for one in built.objects:
            if (one["apiVersion"], one["kind"]) not in CRDS:
                _validate(json.dumps(one | {"metadata": one["metadata"] | {"namespace": "any"}}))


@cache
def _validate(one: str) -> None:
    """Most objects are the same in many builds."""
    newest = int(kubernetes_validate.latest_version().split(".")[1])
    for minor in range(OLDEST, newest + 1):
        try:
            kubernetes_validate.validate(json.loads(one), f"1.{minor}", strict=True)
        except kubernetes_validate.ValidationError as error:
            raise AssertionError(f"1.{minor}: {error.message}: {one}") from None
