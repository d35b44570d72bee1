"""A stub of Kubernetes' API server, as far as kubectl needs one for the commands of the operations guide: it knows
which kinds there are, keeps what it is sent, applies merge patches, and says of everything that it is ready.

It judges nothing. Whether a cluster takes a manifest is the other tests' question.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers import LOOPBACK

Object = dict[str, Any]
KINDS: Mapping[str, tuple[tuple[str, str, bool], ...]] = {
    "v1": (
        ("namespaces", "Namespace", False),
        ("nodes", "Node", False),
        ("pods", "Pod", True),
        ("services", "Service", True),
        ("secrets", "Secret", True),
        ("configmaps", "ConfigMap", True),
        ("serviceaccounts", "ServiceAccount", True),
        ("persistentvolumeclaims", "PersistentVolumeClaim", True),
        ("events", "Event", True),
    ),
    "apps/v1": (("deployments", "Deployment", True), ("statefulsets", "StatefulSet", True)),
    "batch/v1": (("jobs", "Job", True),),
    "policy/v1": (("poddisruptionbudgets", "PodDisruptionBudget", True),),
    "networking.k8s.io/v1": (("networkpolicies", "NetworkPolicy", True),),
    "snapshot.storage.k8s.io/v1": (("volumesnapshotclasses", "VolumeSnapshotClass", False),),
    "serving.knative.dev/v1": (("services", "Service", True), ("revisions", "Revision", True)),
    "eventing.knative.dev/v1": (("brokers", "Broker", True), ("triggers", "Trigger", True)),
    "sources.knative.dev/v1": (("pingsources", "PingSource", True), ("sinkbindings", "SinkBinding", True)),
    "gateway.networking.k8s.io/v1": (("httproutes", "HTTPRoute", True),),
    "gateway.networking.k8s.io/v1beta1": (("referencegrants", "ReferenceGrant", True),),
}
"""By group and version: plural, kind, whether it is in a namespace."""
_CONDITIONS = [{"type": kind, "status": "True"} for kind in ("Ready", "Available", "Complete")]


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    body: Object | None


@dataclass(kw_only=True)
class ApiServer:
    url: str = ""
    objects: dict[str, Object] = field(default_factory=dict)
    """By the path under which each is found."""
    requests: list[Request] = field(default_factory=list)

    def put(self, api_version: str, plural: str, namespace: str | None, name: str, **more: Any) -> None:
        kind = next(each[1] for each in KINDS[api_version] if each[0] == plural)
        path = "/".join([root(api_version), *(["namespaces", namespace] if namespace else []), plural, name])
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        self.objects[path] = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}

    def configuration(self, folder: Path) -> Path:
        """A kubeconfig."""
        file = folder / "kubeconfig"
        cluster = {"name": "stub", "cluster": {"server": self.url}}
        context = {"name": "stub", "context": {"cluster": "stub", "user": "stub"}}
        made = {"apiVersion": "v1", "kind": "Config", "current-context": "stub"}
        # JSON is YAML too.
        file.write_text(json.dumps({**made, "clusters": [cluster], "contexts": [context], "users": [{"name": "stub"}]}))
        return file


def root(api_version: str) -> str:
    return f"/{'apis' if '/' in api_version else 'api'}/{api_version}"


@contextmanager
def api_server() -> Iterator[ApiServer]:
    state = ApiServer()
    server = ThreadingHTTPServer((LOOPBACK, 0), lambda *arguments: _Handler(state, *arguments))
    state.url = f"http://{LOOPBACK}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, state: ApiServer, *arguments: Any) -> None:
        self._state = state
        super().__init__(*arguments)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if "watch" in parse_qs(url.query):
            self._answer(200, None)
        elif (discovered := _discovery(url.path)) is not None:
            self._answer(200, discovered)
        elif url.path in self._state.objects:
            self._answer(200, _ready(self._state.objects[url.path]))
        elif url.path.rpartition("/")[2] in _PLURALS:
            below = [each for path, each in self._state.objects.items() if path.rpartition("/")[0] == url.path]
            self._answer(200, {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [*map(_ready, below)]})
        else:
            self._not_found(url.path)

    def do_POST(self) -> None:
        path, body = urlsplit(self.path).path, self._body()
        self._state.objects[f"{path}/{body['metadata']['name']}"] = body
        self._answer(201, body)

    def do_PATCH(self) -> None:
        path, body = urlsplit(self.path).path, self._body()
        if path not in self._state.objects:
            self._not_found(path)
            return
        self._state.objects[path] = merged(self._state.objects[path], body)
        self._answer(200, self._state.objects[path])

    def do_DELETE(self) -> None:
        path = urlsplit(self.path).path
        self._body()
        if self._state.objects.pop(path, None) is None:
            self._not_found(path)
        else:
            self._answer(200, {"apiVersion": "v1", "kind": "Status", "status": "Success"})

    def _body(self) -> Object:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body: Object = json.loads(text) if text else {}
        self._state.requests.append(Request(method=self.command, path=urlsplit(self.path).path, body=body))
        return body

    def _not_found(self, path: str) -> None:
        status = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        self._answer(404, {**status, "message": f"{path} not found"})

    def _answer(self, status: int, body: Object | None) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


_PLURALS = {plural for kinds in KINDS.values() for plural, _, _ in kinds}


def _discovery(path: str) -> Object | None:
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [*_groups()]}
    for version, kinds in KINDS.items():
        if path == root(version):
            resources = [
                {
                    "name": plural,
                    "singularName": kind.lower(),
                    "shortNames": _SHORT.get((version, plural), []),
                    "kind": kind,
                    "namespaced": namespaced,
                    "verbs": _VERBS,
                }
                for plural, kind, namespaced in kinds
            ]
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
    return None


_SHORT = {("serving.knative.dev/v1", "services"): ["ksvc"]}
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def _groups() -> Iterator[Object]:
    for group in dict.fromkeys(version.partition("/")[0] for version in KINDS if "/" in version):
        versions = [
            {"groupVersion": version, "version": version.partition("/")[2]}
            for version in KINDS
            if version.startswith(f"{group}/")
        ]
        yield {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _ready(found: Object) -> Object:
    """With every condition that a command may wait for, and rolled out."""
    generation = {"metadata": {"generation": 1, "resourceVersion": "1", "uid": "1"}}
    rolled_out = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
    status = {**rolled_out, "availableReplicas": 1, "currentRevision": "1", "updateRevision": "1"}
    return merged(found, {**generation, "status": {**status, "conditions": _CONDITIONS}})


def merged(found: Object, patch: Object) -> Object:
    """RFC 7396."""
    made = dict(found)
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, dict) and isinstance(made.get(name), dict):
            made[name] = merged(made[name], value)
        else:
            made[name] = value
    return made
