"""The pods of the manifests: their rights, their way out, their network, and how many there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

from maintain import template as source
from tests.template import machine
from tests.template import manifests
from tests.template.manifests import EVERY_SET
from tests.template.manifests import Build
from tests.template.manifests import Object
from tests.template.manifests import container
from tests.template.manifests import documented
from tests.template.manifests import labels
from tests.template.manifests import ports
from tests.template.sets import CATALOGUE
from tests.template.sets import Chosen
from tests.template.tree import Tree


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
            # its connections are back before the next pod takes any
            assert one["spec"]["minReadySeconds"] > sleep + force


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
    """During a rollout one more of each: that the last has ended by then is tested above."""
    said = re.search(r"PROCESSES.*= (\{.*\})", tree.files["app/about.py"])
    counted = json.loads(said.group(1)) if said else {}
    for built in every:
        for one in built.kind("Deployment"):
            spec = one["spec"]
            [process] = container(spec["template"])["args"]
            assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
            if process == "api":
                assert "replicas" not in spec
            else:
                assert spec["replicas"] == counted[process]


@EVERY_SET
def test_a_job_ends_even_if_it_cannot_begin(every: list[Build]) -> None:
    for built in every:
        for one in built.kind("Job"):
            assert one["spec"]["activeDeadlineSeconds"] > 0


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
    """Names, HTTPS for the issuer's keys, each server's own port, and a collector's; nothing else."""
    servers = {"database": 5432, "redis": 6379, "tracing": 4318}
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


def test_one_replica_and_the_longest_name(template: Path, tmp_path: Path) -> None:
    """Names of objects are labels of DNS; the autoscaler's least is not above its most."""
    service = source.render(
        template,
        tmp_path / "service",
        ["database", "kubernetes"],
        project="a" * 40,
        max_replicas=1,
    )
    for name in manifests.builds(service):
        built = manifests.build(service / "deploy" / name)
        assert all(len(one["metadata"]["name"]) <= 63 for one in built.objects)
        for scaler in built.kind("HorizontalPodAutoscaler"):
            assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, 1)
