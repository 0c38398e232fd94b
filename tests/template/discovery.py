"""What a Kubernetes API server says of itself: the kinds there are, and what it validates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
GROUPS = {
    "v1": {
        "configmaps": "ConfigMap",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"deployments": "Deployment"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "batch/v1": {"jobs": "Job"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def discovered(path: str) -> Object | None:
    """What kubectl asks before anything else: the kinds there are."""
    named = [version for version in GROUPS if version != "v1"]
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [
            {
                "name": version.partition("/")[0],
                "versions": [{"groupVersion": version, "version": version.partition("/")[2]}],
            }
            for version in named
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": path.split("/")[4]}}
    if path == "/openapi/v3":
        paths = {_root(v): {"serverRelativeURL": f"/openapi/v3/{_root(v)}"} for v in GROUPS}
        return {"paths": paths}
    version = next((v for v in GROUPS if path in (f"/{_root(v)}", f"/openapi/v3/{_root(v)}")), None)
    if version and path.startswith("/openapi"):
        return {"openapi": "3.0.0", "paths": dict(_operations(version))}
    if version:
        return {
            "kind": "APIResourceList",
            "groupVersion": version,
            "resources": _resources(version),
        }
    return None


def _root(version: str) -> str:
    return "api/v1" if version == "v1" else f"apis/{version}"


def _resources(version: str) -> list[Object]:
    return [
        {
            "name": plural,
            "singularName": kind.lower(),
            "namespaced": True,
            "kind": kind,
            "verbs": VERBS,
        }
        for plural, kind in GROUPS[version].items()
    ]


def _operations(version: str) -> Iterator[tuple[str, Object]]:
    """That the server looks at fields by itself, as every one since 1.27 does."""
    group, _, short = version.rpartition("/")
    for plural, kind in GROUPS[version].items():
        meant = {"group": group, "version": short, "kind": kind}
        parameters = [{"name": "fieldValidation", "in": "query"}]
        patch = {"x-kubernetes-group-version-kind": meant, "parameters": parameters}
        yield f"/{_root(version)}/namespaces/{{namespace}}/{plural}/{{name}}", {"patch": patch}
