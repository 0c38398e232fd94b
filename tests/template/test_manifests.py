"""The Kubernetes manifests: they build for every set, and nothing that they name is missing.

The presets and the patterns alone belong to `make test`; the covering array to `make proofs`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.template import machine
from tests.template import manifests
from tests.template.conftest import Rendered
from tests.template.manifests import Build
from tests.template.manifests import Object
from tests.template.manifests import container
from tests.template.manifests import labels
from tests.template.manifests import ports
from tests.template.report import Proving
from tests.template.sets import CATALOGUE
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
OLDEST = 27  # Kubernetes 1.27
# Kinds that Kubernetes itself does not define; whoever uses them has their definition.
CRDS = {("monitoring.coreos.com/v1", "ServiceMonitor")}


@pytest.fixture(scope="session")
def built(rendered: Rendered, shared: Path) -> Callable[[Chosen], list[Build]]:
    """Every build of a service, and one overlay with its optional components."""

    @cache
    def build(chosen: Chosen) -> list[Build]:
        service = rendered(chosen).path
        deploy = machine.once(
            shared / "options" / service.name, lambda to: manifests.with_options(service, to)
        )
        folders = [service / "deploy" / name for name in manifests.builds(service)]
        return [manifests.build(folder) for folder in [*folders, deploy / "overlays/production"]]

    return build


@pytest.fixture
def every(chosen: Chosen, built: Callable[[Chosen], list[Build]]) -> list[Build]:
    """Every build of the service of a test that is parametrized with `chosen`."""
    return built(chosen)


def documented(tree: Tree) -> dict[str, str]:
    """Every setting of the service with its default, as `.env.example` has them."""
    lines = tree.files[".env.example"].splitlines()
    settings = (line[1:].partition("=") for line in lines if line[1:2].isalpha())
    return {name: value for name, _, value in settings}


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
        named += [path for one in read.get("configMapGenerator", []) for path in one.get("envs", [])]
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
    needed = {pair for built in every for pair in built.secrets()}
    assert needed == {(f"{PROJECT}-secrets", key) for key in made}
    assert f"generic {PROJECT}-secrets " in command.group()
    for built in every:
        assert not built.names("Secret")
        outside = re.findall(r"\b(?:imagePullSecrets|persistentVolumeClaim|secretRef)\b", built.text)
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
        secret = {key for _, key in built.secrets()}
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
def test_ports_and_probes_are_the_services(chosen: Chosen, tree: Tree, every: list[Build]) -> None:
    known = documented(tree)
    own = {"http": int(known["PORT"]), "internal": int(known["INTERNAL_PORT"])}
    for built in every:
        assert not {"PORT", "INTERNAL_PORT"} & set(built.settings())
        for one in built.kind("Deployment"):
            pod = one["spec"]["template"]
            assert ports(pod) == ({"internal": own["internal"]} | _public(pod, own))
            probed = {kind: container(pod)[f"{kind}Probe"] for kind in ("startup", "liveness")}
            probed["readiness"] = container(pod)["readinessProbe"]
            asked = {kind: probe["httpGet"]["path"] for kind, probe in probed.items()}
            assert asked == {"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}
            assert all(probe["httpGet"]["port"] == "internal" for probe in probed.values())
            patience = probed["startup"]["periodSeconds"] * probed["startup"]["failureThreshold"]
            assert patience > float(known.get("DATABASE_START_TIMEOUT_S", 0))


def _public(pod: Object, own: dict[str, int]) -> dict[str, int]:
    return {"http": own["http"]} if container(pod)["args"] == ["api"] else {}


@EVERY_SET
def test_a_pod_has_time_to_end(tree: Tree, every: list[Build]) -> None:
    """The way out of the balancer, then the drain, then the end by force, then the kubelet's."""
    known = documented(tree)
    for built in every:
        for one in built.kind("Deployment"):
            pod = one["spec"]["template"]
            hook = container(pod).get("lifecycle", {}).get("preStop", {})
            sleep = float(hook["exec"]["command"][1]) if hook else 0
            force, drain = float(known["SHUTDOWN_FORCE_S"]), float(known["SHUTDOWN_DRAIN_S"])
            assert pod["spec"]["terminationGracePeriodSeconds"] > sleep + force > drain
            assert bool(hook) == (container(pod)["args"] == ["api"])
            if hook:  # its connections are back before the next pod takes any
                assert one["spec"]["minReadySeconds"] > sleep + drain


@EVERY_SET
def test_the_autoscaler_keeps_to_the_answer(chosen: Chosen, tree: Tree, every: list[Build]) -> None:
    most = re.search(r"MAX_REPLICAS = (\d+)", tree.files["app/about.py"])
    for built in every:
        for scaler in built.kind("HorizontalPodAutoscaler"):
            spec = scaler["spec"]
            assert 1 <= spec["minReplicas"] <= spec["maxReplicas"]
            assert most is None or spec["maxReplicas"] == int(most.group(1))


@EVERY_SET
def test_there_are_as_many_as_the_budget_of_connections_counts(
    chosen: Chosen, tree: Tree, every: list[Build]
) -> None:
    """During a rollout one more of each: the next begins when the last has surely ended."""
    said = re.search(r"PROCESSES.*= (\{.*\})", tree.files["app/about.py"])
    counted = json.loads(said.group(1)) if said else {}
    force = float(documented(tree)["SHUTDOWN_FORCE_S"])
    for built in every:
        for one in built.kind("Deployment"):
            spec = one["spec"]
            [process] = container(spec["template"])["args"]
            assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
            if process == "api":
                assert "replicas" not in spec
            else:
                assert spec["replicas"] == counted[process]
                assert spec["minReadySeconds"] > force


@EVERY_SET
def test_pods_are_restricted(every: list[Build]) -> None:
    """As the Pod Security Standard `restricted` has it, and a root that nothing can write to."""
    for built in every:
        for pod in built.templates:
            spec, one = pod["spec"], container(pod)
            assert spec["automountServiceAccountToken"] is False
            assert spec["securityContext"] == {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "runAsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            }
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
            assert {"cpu", "memory"} == one["resources"]["requests"].keys()
            assert {"cpu", "memory"} == one["resources"]["limits"].keys()
        for account in built.kind("ServiceAccount"):
            assert account["automountServiceAccountToken"] is False
        assert not built.kind("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


@EVERY_SET
def test_the_network_lets_through_what_is_needed(chosen: Chosen, every: list[Build]) -> None:
    """Names, HTTPS for the issuer's keys, and each server's own port; nothing else."""
    servers = {"database": 5432, "redis": 6379}
    needed = {(p, "TCP") for name, p in servers.items() if name in chosen.enabled}
    for built in every:
        for pod in built.templates:
            policies = [
                one["spec"]
                for one in built.kind("NetworkPolicy")
                if one["spec"]["podSelector"]["matchLabels"].items() <= labels(pod).items()
            ]
            assert {"Ingress", "Egress"} == {t for one in policies for t in one["policyTypes"]}
            out = [rule for one in policies for rule in one.get("egress", [])]
            assert all(rule.keys() == {"ports"} for rule in out)
            allowed = {(p["port"], p.get("protocol", "TCP")) for r in out for p in r["ports"]}
            names = {(53, "UDP"), (53, "TCP")}
            if container(pod)["args"] == ["migrate"]:
                assert allowed == names | {(5432, "TCP")}
            else:
                assert allowed == names | needed | {(443, "TCP")}
            into = [rule for one in policies for rule in one.get("ingress", [])]
            open_to_all = {p["port"] for r in into if "from" not in r for p in r["ports"]}
            assert open_to_all == {name for name in ports(pod) if name == "http"}
            assert {p["port"] for r in into for p in r["ports"]} == ports(pod).keys()


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
        kubernetes_validate.validate(json.loads(one), f"1.{minor}", strict=True)


def test_processes_are_commands_of_the_service(everything: Tree, tools: Path) -> None:
    """With `--help` each says what it is, which only a command that exists does."""
    built = [
        manifests.build(everything.path / "deploy" / n) for n in manifests.builds(everything.path)
    ]
    started = {tuple(container(pod)["args"]) for one in built for pod in one.templates}
    beside = {"queue": "worker", "scheduler": "scheduler"}
    expected = {command for pattern, command in beside.items() if pattern in CATALOGUE.patterns}
    assert started == {(command,) for command in {"api", "migrate"} | expected}
    for args in started:
        machine.run(tools / "python", "-m", "app", *args, "--help", cwd=everything.path)
