"""Containers of Knative Services: the checks of Serving's webhook."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from darkroom.manifests.errors import suggestion
from darkroom.manifests.platform import names
from darkroom.manifests.platform.bundle import Bundle, Manifest, mappings
from darkroom.manifests.platform.limits import MAX_ID, QUEUE_PROXY_PORTS
from darkroom.manifests.platform.quantities import quantity
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import FieldPath

_POD: FieldPath = ("spec", "template", "spec")
_RESERVED_PATHS = {"/", "/dev", "/dev/log"}
_SOURCES = ("secret", "configMap", "projected", "emptyDir")
_FEATURES = ("csi", "ephemeral", "hostPath", "image", "persistentVolumeClaim")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_SECCOMP = ("RuntimeDefault", "Unconfined", "Localhost")
_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
GOOD = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: resize}
spec:
  template:
    spec:
      containers:
        - image: example.com/resize:1.0.0
          ports: [{containerPort: 8080}]
          readinessProbe: {httpGet: {path: /health}}
          volumeMounts: [{name: tmp, mountPath: /tmp}]
      volumes: [{name: tmp, emptyDir: {}}]
"""

Below = Iterator[tuple[FieldPath, str]]
"""Paths below a container or a volume, each with what is wrong there."""


@rule(
    "container",
    Severity.ERROR,
    "a container that Serving refuses",
    on_the_cluster="The webhook refuses the Service.",
    fix="Follow the message. If there are several containers, exactly one has a port.",
    bad=GOOD.replace("example.com/resize:1.0.0", "example.com/Resize:1.0.0"),
    good=GOOD,
)
def container(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        containers = [*function.items(*_POD, "containers")]
        if not containers:
            yield function, _POD, f"{function.name} has no containers"
        seen: set[str] = set()
        for path, each in containers:
            for below, message in _container_problems(each, seen):
                yield function, (*path, *below), message
        account = function.get(*_POD, "serviceAccountName")
        if isinstance(account, str) and account and not names.is_dns_subdomain(account):
            message = f"serviceAccountName must be lower-case letters, digits, - and ., was {account!r}"
            yield function, (*_POD, "serviceAccountName"), message


def _container_problems(container: dict[str, Any], seen: set[str]) -> Below:
    name, image = container.get("name"), container.get("image")
    if name == "queue-proxy":
        yield ("name",), "queue-proxy is Serving's own container"
    if isinstance(name, str) and name in seen:
        yield ("name",), f"two containers are named {name!r}"
    seen.add(str(name) if name else "")
    seen.discard("")
    if not image:
        yield (), "a container has no image"
    elif isinstance(image, str) and (problem := names.image_problem(image)) is not None:
        yield ("image",), f"the image {image!r} is not valid: {problem}"
    policy = container.get("terminationMessagePolicy")
    if policy not in (None, "", "File", "FallbackToLogsOnError"):
        yield ("terminationMessagePolicy",), f"must be File or FallbackToLogsOnError, was {policy!r}"
    pull = container.get("imagePullPolicy")
    if isinstance(pull, str) and pull not in {"", *_PULL_POLICIES}:
        near = suggestion(pull, _PULL_POLICIES)
        yield ("imagePullPolicy",), f"imagePullPolicy must be one of {', '.join(_PULL_POLICIES)}, was {pull!r}{near}"
    security = container.get("securityContext")
    seccomp = security.get("seccompProfile") if isinstance(security, dict) else None
    kind = seccomp.get("type") if isinstance(seccomp, dict) else None
    if isinstance(kind, str) and kind not in _SECCOMP:
        path = ("securityContext", "seccompProfile", "type")
        yield path, f"type must be one of {', '.join(_SECCOMP)}, was {kind!r}{suggestion(kind, _SECCOMP)}"
    for who in ("runAsUser", "runAsGroup") if isinstance(security, dict) else ():
        value = security.get(who) if isinstance(security, dict) else None
        if isinstance(value, int) and not 0 <= value <= MAX_ID:
            yield ("securityContext", who), f"{who} must be from 0 to {MAX_ID}, was {value}"
    yield from _environment_problems(container)


def _environment_problems(container: dict[str, Any]) -> Below:
    for index, variable in mappings(container.get("env")):
        if variable.get("name") == "":
            yield ("env", index, "name"), "a variable has no name"
    for index, source in mappings(container.get("envFrom")):
        given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "neither"
            yield ("envFrom", index), f"exactly one of configMapRef and secretRef is needed, found {found}"


_RESOURCES = "          resources: {requests: {memory: 1Gi}, limits: {memory: 2Gi}}\n"


@rule(
    "resources",
    Severity.ERROR,
    "a container requests more than its limit",
    on_the_cluster="The Service is accepted, and its revision never gets ready: Kubernetes refuses the pods.",
    fix="Raise the limit, or lower the request.",
    bad=GOOD.replace("          ports:", _RESOURCES.replace("1Gi", "3Gi") + "          ports:"),
    good=GOOD.replace("          ports:", _RESOURCES + "          ports:"),
)
def resources(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        for path, each in function.items(*_POD, "containers"):
            found = each.get("resources")
            for name, message in _resource_problems(found) if isinstance(found, dict) else ():
                yield function, (*path, "resources", "requests", name), message


def _resource_problems(resources: dict[str, Any]) -> Iterator[tuple[str, str]]:
    requests, limits = resources.get("requests"), resources.get("limits")
    if not isinstance(requests, dict) or not isinstance(limits, dict):
        return
    for name in requests:
        try:
            request, limit = quantity(requests[name]), quantity(limits[name])
        except (KeyError, ValueError):
            continue  # There is no limit, or field-value reports what is no quantity.
        if request > limit:
            yield name, f"must not be above the limit, which is {limits[name]}, was {requests[name]}"


@rule(
    "port",
    Severity.ERROR,
    "a port that Serving refuses",
    on_the_cluster="The webhook refuses the Service: one port for all containers, and queue-proxy has its own.",
    fix='Use one port, none of 8008, 8012, 8013, 8022, 9090, 9091, named "http1" or "h2c" or unnamed.',
    bad=GOOD.replace("containerPort: 8080", "containerPort: 8012"),
    good=GOOD,
)
def port(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        containers = [*function.items(*_POD, "containers")]
        ports = [(*path, "ports", index) for path, each in containers for index, _ in mappings(each.get("ports"))]
        if len(ports) > 1:
            yield function, ports[1], f"{function.name} has {len(ports)} ports, Serving allows one"
        if not ports and len(containers) > 1:
            yield function, (*_POD, "containers"), "one of several containers must have a port: the one to call"
        for path, each in containers:
            for index, item in list(mappings(each.get("ports")))[:1]:
                for name, message in _port_problems(item):
                    yield function, (*path, "ports", index, name), message


def _port_problems(port: dict[str, Any]) -> Iterator[tuple[str, str]]:
    number, name, protocol = port.get("containerPort"), port.get("name"), port.get("protocol")
    if isinstance(number, int) and number in QUEUE_PROXY_PORTS:
        yield "containerPort", f"{number} is queue-proxy's own port"
    if isinstance(number, int) and not 0 <= number <= 65535:
        yield "containerPort", f"containerPort must be from 0 to 65535, was {number}"
    if name not in (None, "", "http1", "h2c"):
        yield "name", f"a port's name is http1 or h2c, was {name!r}"
    if protocol not in (None, "", "TCP"):
        yield "protocol", f"protocol must be TCP, was {protocol!r}"


@rule(
    "probe",
    Severity.ERROR,
    "a probe that Serving refuses",
    on_the_cluster="The webhook refuses the Service.",
    fix="Use one handler per probe, with the container's port or none. A readinessProbe without periodSeconds has no "
    "timeoutSeconds and no failureThreshold.",
    bad=GOOD.replace("{httpGet: {path: /health}}", "{failureThreshold: 3, httpGet: {path: /health}}"),
    good=GOOD,
)
def probe(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        containers = [*function.items(*_POD, "containers")]
        for path, each in containers:
            serving = len(containers) == 1 or bool(each.get("ports"))
            for name in ("readinessProbe", "livenessProbe", "startupProbe"):
                found = each.get(name)
                if isinstance(found, dict):
                    for below, message in _probe_problems(name, found, each, serving=serving):
                        yield function, (*path, name, *below), message


def _probe_problems(name: str, probe: dict[str, Any], container: dict[str, Any], *, serving: bool) -> Below:
    if not serving:
        yield (), f"{name}: Serving refuses it on a sidecar unless the feature multi-container-probing is on"
        return
    handlers = [each for each in _HANDLERS if probe.get(each) is not None]
    # Serving adds a TCP handler to a readiness probe that has no handler.
    if len(handlers) > 1 or (not handlers and name != "readinessProbe"):
        found = " and ".join(handlers) or "none"
        yield (), f"{name} needs one of {', '.join(_HANDLERS)}, found {found}"
    for handler in ("httpGet", "tcpSocket"):
        action = probe.get(handler)
        port = action.get("port") if isinstance(action, dict) else None
        if isinstance(port, str) and port and port != _port_name(container):
            yield (
                (handler, "port"),
                f"the port of {name} must be the container's, {_port_name(container)!r}, was {port!r}",
            )
    if name == "readinessProbe":
        yield from _readiness_problems(probe)


def _port_name(container: dict[str, Any]) -> str:
    for _, port in mappings(container.get("ports")):
        return str(port.get("name") or "http")
    return "http"


def _readiness_problems(probe: dict[str, Any]) -> Below:
    period = probe.get("periodSeconds") or 0
    for name in ("periodSeconds", "initialDelaySeconds", "successThreshold", "timeoutSeconds", "failureThreshold"):
        value = probe.get(name)
        if isinstance(value, int) and value < 0:
            yield (name,), f"{name} must not be negative, was {value}"
        elif value and not period and name in ("timeoutSeconds", "failureThreshold"):
            yield (name,), f"{name} needs periodSeconds: without it queue-proxy probes as fast as it can, was {value}"


@rule(
    "volume",
    Severity.ERROR,
    "a volume or its mount that Serving refuses",
    on_the_cluster="The webhook refuses the Service.",
    fix="Every volume has one source and is mounted; every mount has its volume and its own path.",
    bad=GOOD.replace("volumeMounts: [{name: tmp", "volumeMounts: [{name: temp"),
    good=GOOD,
)
def volume(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        containers = [*function.containers()]
        mounted = {str(mount.get("name")) for _, each in containers for _, mount in mappings(each.get("volumeMounts"))}
        volumes = [*function.items(*_POD, "volumes")]
        seen: set[str] = set()
        for path, each in volumes:
            for below, message in _volume_problems(each, mounted, seen):
                yield function, (*path, *below), message
        yield from _mount_problems(function, seen)


def _volume_problems(volume: dict[str, Any], mounted: set[str], seen: set[str]) -> Below:
    name = str(volume.get("name"))
    if name in seen:
        yield ("name",), f"two volumes are named {name!r}"
    seen.add(name)
    if not names.is_dns_label(name):
        yield ("name",), f"a volume's name has lower-case letters, digits and -, was {name!r}"
    if name not in mounted:
        yield ("name",), f"the volume {name!r} is not mounted"
    given = [each for each in (*_SOURCES, *_FEATURES) if volume.get(each) is not None]
    if len(given) != 1:
        yield (), f"a volume needs one of {', '.join(_SOURCES)}, found {' and '.join(given) or 'none'}"
    empty = volume.get("emptyDir")
    medium = empty.get("medium") if isinstance(empty, dict) else None
    if medium not in (None, "", "Memory"):
        yield ("emptyDir", "medium"), f"medium must be Memory or nothing, was {medium!r}"
    size = empty.get("sizeLimit") if isinstance(empty, dict) else None
    if str(size).startswith("-"):
        yield ("emptyDir", "sizeLimit"), f"sizeLimit must not be negative, was {size}"


def _mount_problems(function: Manifest, volumes: set[str]) -> Iterator[RuleViolation]:
    for path, container in function.containers():
        paths: set[str] = set()
        for index, mount in mappings(container.get("volumeMounts")):
            for name, message in _one_mount(mount, volumes, paths):
                yield function, (*path, "volumeMounts", index, name), message


def _one_mount(mount: dict[str, Any], volumes: set[str], paths: set[str]) -> Iterator[tuple[str, str]]:
    name, text = mount.get("name"), mount.get("mountPath")
    if str(name) not in volumes:
        yield "name", f"there is no volume {name!r}"
    if text == "":
        yield "mountPath", "mountPath must not be empty"
    if not isinstance(text, str) or not text:
        # field-value reports a mountPath that is missing or has another type.
        return
    path = posixpath.normpath(text)
    if path in _RESERVED_PATHS:
        yield "mountPath", f"nothing may be mounted on {path}"
    elif not path.startswith("/"):
        yield "mountPath", f"mountPath must begin with /, was {text!r}"
    elif path in paths:
        yield "mountPath", f"two volumes are mounted on {path}"
    paths.add(path)
