"""As much of a Kubernetes API server as kubectl needs to apply, watch and delete objects.

It keeps what it is sent, says at once of a Deployment that it has rolled out and of a Job that it is
complete, refuses to change a Job as the real one does, and remembers the order of what was done.
Images named `broken` never become ready, and their Jobs fail. Jobs of images named `absent` never
begin; they fail at their deadline, if they have one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import urlsplit

from tests.template.discovery import GROUPS
from tests.template.discovery import discovered

Object = dict[str, Any]
BROKEN = "broken"
ABSENT = "absent"


@dataclass
class Cluster:
    """What the server holds, by kind, namespace and name; and what was done to it, in order."""

    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    done: list[tuple[str, str, str]] = field(default_factory=list)
    config: Path = Path()

    def names(self, kind: str) -> set[str]:
        """The names of all objects of this kind."""
        return {name for one, _, name in self.objects if one == kind}

    def put(self, kind: str, namespace: str, name: str, one: Object) -> Object:
        """Keep an object, with the status that its controller would give it."""
        meta = one.setdefault("metadata", {})
        meta |= {"namespace": namespace, "name": name, "uid": f"{kind}-{name}"}
        meta |= {
            "generation": meta.get("generation", 0) + 1,
            "resourceVersion": str(len(self.done)),
        }
        if kind == "Deployment":
            one["status"] = _rolled_out(one)
        if kind == "Job":
            one["status"] = _run(one)
        self.objects[kind, namespace, name] = one
        return one


def _image(one: Object) -> str:
    return str(one["spec"]["template"]["spec"]["containers"][0]["image"])


def _run(job: Object) -> Object:
    """The status of a Job that was just created."""
    if ABSENT not in _image(job):
        return _ended("Failed" if BROKEN in _image(job) else "Complete")
    if limit := job["spec"].get("activeDeadlineSeconds"):
        late = _ended("Failed", "Job was active longer than specified deadline")
        timer = threading.Timer(limit, job.update, [{"status": late}])
        timer.daemon = True
        timer.start()
    return {"active": 1}


def _ended(how: str, message: str = "") -> Object:
    return {"conditions": [{"type": how, "status": "True", "message": message}]}


def _rolled_out(one: Object) -> Object:
    count = one["spec"].get("replicas", 1)
    status: Object = {"observedGeneration": one["metadata"]["generation"], "replicas": count}
    if BROKEN in _image(one):
        late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
        return status | {"conditions": [late]}
    return status | dict.fromkeys(("updatedReplicas", "readyReplicas", "availableReplicas"), count)


def merged(old: Any, patch: Any) -> Any:
    """A strategic merge, as far as these objects need it: lists of named things go by name."""
    if isinstance(old, dict) and isinstance(patch, dict):
        kept = {k: v for k, v in old.items() if patch.get(k, v) is not None}
        news = {k: v for k, v in patch.items() if v is not None and not k.startswith("$")}
        return kept | {k: merged(old.get(k), v) for k, v in news.items()}
    named = isinstance(patch, list) and all(isinstance(p, dict) and "name" in p for p in patch)
    if named and isinstance(old, list):
        by_name = {one["name"]: one for one in old}
        return list(
            (by_name | {p["name"]: merged(by_name.get(p["name"]), p) for p in patch}).values()
        )
    return patch


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, document: Object, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, reason: str) -> None:
        self._answer(
            {
                "apiVersion": "v1",
                "kind": "Status",
                "status": "Failure",
                "reason": reason,
                "message": reason,
                "code": status,
            },
            status,
        )

    def _body(self) -> Object:
        read = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}")
        assert isinstance(read, dict)
        return read

    def _target(self) -> tuple[str, str, str, str]:
        """API version, kind, namespace and name of what the path means."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        version, rest = (
            (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        )
        _, namespace, resource, *name = rest
        return version, GROUPS[version][resource], namespace, name[0] if name else ""

    def do_GET(self) -> None:
        """Discovery, one object, or all of a kind."""
        url = urlsplit(self.path)
        if found := discovered(url.path):
            return self._answer(found)
        if "/namespaces/" not in url.path:
            return self._refuse(404, "NotFound")
        version, kind, namespace, name = self._target()
        query = parse_qs(url.query)
        if "watch" in query:
            return self._watch()
        if name:
            one = self.cluster.objects.get((kind, namespace, name))
            return self._answer(one) if one else self._refuse(404, "NotFound")
        wanted = query.get("fieldSelector", [""])[0].removeprefix("metadata.name=")
        items = [
            one
            for (k, ns, n), one in self.cluster.objects.items()
            if (k, ns) == (kind, namespace) and wanted in ("", n)
        ]
        meta = {"resourceVersion": "1"}
        return self._answer(
            {"apiVersion": version, "kind": f"{kind}List", "metadata": meta, "items": items}
        )

    def _watch(self) -> None:
        """Nothing more happens: the watch ends."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """A new object."""
        _, kind, namespace, _ = self._target()
        one = self._body()
        name = one["metadata"]["name"]
        self.cluster.done.append(("create", kind, name))
        self._answer(self.cluster.put(kind, namespace, name, one), 201)

    def do_PATCH(self) -> None:
        """A changed object. The real server changes no Job's template, either."""
        _, kind, namespace, name = self._target()
        patch = self._body()
        self.cluster.done.append(("patch", kind, name))
        if kind == "Job" and "spec" in patch:
            return self._refuse(422, "Invalid")
        old = self.cluster.objects[kind, namespace, name]
        return self._answer(self.cluster.put(kind, namespace, name, merged(old, patch)))

    def do_DELETE(self) -> None:
        """An object gone."""
        self._body()
        _, kind, namespace, name = self._target()
        if self.cluster.objects.pop((kind, namespace, name), None) is None:
            return self._refuse(404, "NotFound")
        self.cluster.done.append(("delete", kind, name))
        return self._answer({"apiVersion": "v1", "kind": "Status", "status": "Success"})


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster with nothing in it, and its kubeconfig in `folder`."""
    cluster = Cluster(config=folder / "kubeconfig")
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    cluster.config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "tests",
                "clusters": [{"name": "tests", "cluster": {"server": address}}],
                "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
                "users": [{"name": "tests", "user": {}}],
            }
        )
    )
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
