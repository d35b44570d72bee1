"""Turns the manifests of Services into revisions that can be started, with their environment and scaling resolved.

Nothing is started here. K_SINK is not set here either; a SinkBinding does that (`binding`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from darkroom.local.children.ports import LOOPBACK
from darkroom.manifests.errors import Finding, ManifestError
from darkroom.manifests.left_out import LeftOut, record
from darkroom.manifests.load import Manifests
from darkroom.manifests.model import ResourceKey
from darkroom.manifests.project import DEFAULT_SECRETS
from darkroom.manifests.revision import HttpCheck, ReadinessCheck, Revision
from darkroom.manifests.serving import (
    Container,
    EnvironmentSource,
    Grpc,
    HttpGet,
    KeySelector,
    Probe,
    Service,
    TcpSocket,
    Variable,
)
from darkroom.manifests.source import FieldPath
from darkroom.manifests.workloads import TIMEOUT_S, Deployment, PodContainer, PodVariable

Workload: TypeAlias = Service | Deployment
AnyContainer: TypeAlias = Container | PodContainer
DEFAULT_PORT = 8080
DEFAULT_FAILURE_THRESHOLD = 3
TAKEN_LABELS = ("runtime", "fork-server", "nats", "redis", "s3", "postgres")
"""What logs and metrics call the runtime's own processes. A Service of such a name is shown with its namespace."""
_REFERENCE = re.compile(r"\$\$|\$\(([^()]+)\)")


@dataclass(frozen=True, kw_only=True)
class LocalSecrets:
    """This machine's values of Secrets, by a variable's name or a Secret's key."""

    values: Mapping[str, str] = field(default_factory=dict)
    file: str = DEFAULT_SECRETS
    """Where they come from, or would come from."""

    def find(self, variable: str, key: str) -> str | None:
        return self.values.get(variable, self.values.get(key))


def revisions(
    manifests: Manifests, *, settings: Mapping[str, str], secrets: LocalSecrets | None = None, number: int = 1
) -> list[Revision]:
    """Create a revision for each Service.

    `settings` are this machine's values by variable name. They replace the values of ConfigMaps and Secrets. Raises
    ManifestError, which names every secret without a value.
    """
    prepared = _prepare(manifests, settings, secrets or LocalSecrets(), number)
    findings = [finding for each in prepared for finding in each.findings]
    if findings:
        raise ManifestError(findings)
    return [each.revision for each in prepared]


def runnable(
    manifests: Manifests, *, settings: Mapping[str, str], secrets: LocalSecrets | None = None
) -> tuple[Manifests, list[Revision]]:
    """Create the revisions that can be started, and leave the others out with all that refers to them."""
    prepared = _prepare(manifests, settings, secrets or LocalSecrets(), 1)
    unrunnable: dict[ResourceKey, LeftOut] = {}
    for each in prepared:
        if each.findings:
            finding, workload = each.findings[0], each.workload
            key = (workload.api_version, workload.kind, workload.namespace, workload.name)
            found = record(LeftOut, workload.document, (), finding.message)
            unrunnable[key] = LeftOut(**{**vars(found), "line": finding.line})
    remaining = manifests.without(unrunnable)
    keys = {(each.namespace, each.name) for each in remaining.workloads}
    return remaining, [each.revision for each in prepared if each.revision.key in keys]


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    workload: Workload
    revision: Revision
    findings: list[Finding]
    """Why it cannot be started."""


def _prepare(manifests: Manifests, settings: Mapping[str, str], secrets: LocalSecrets, number: int) -> list[_Prepared]:
    names = Counter([*TAKEN_LABELS, *(workload.name for workload in manifests.workloads)])
    prepared = []
    for workload in manifests.workloads:
        env = _Environment(workload, manifests, settings, secrets)
        revision = _revision(workload, env.resolve(), number, is_qualified=names[workload.name] > 1)
        prepared.append(_Prepared(workload=workload, revision=revision, findings=env.findings))
    return prepared


def _revision(workload: Workload, env: Mapping[str, str], number: int, *, is_qualified: bool) -> Revision:
    container: AnyContainer = workload.spec.template.spec.container
    service = workload if isinstance(workload, Service) else None
    return Revision(
        namespace=workload.namespace,
        service=workload.name,
        number=number,
        env=env,
        image=container.image,
        command=tuple(container.command),
        args=tuple(container.args),
        working_dir=container.working_dir,
        timeout_s=TIMEOUT_S if service is None else float(service.spec.template.spec.timeout_seconds),
        scaling=workload.scaling,
        # What `kubectl port-forward` reaches on a cluster is reached by its name here.
        cluster_local=service is not None and service.cluster_local,
        is_deployment=service is None,
        readiness=_check(container.readiness_probe, container) or ReadinessCheck(),
        startup=_check(container.startup_probe, container),
        liveness=_check(container.liveness_probe, container),
        is_qualified=is_qualified,
    )


def _check(probe: Probe | None, container: AnyContainer) -> ReadinessCheck | None:
    if probe is None:
        return None
    http = probe.http_get
    return ReadinessCheck(
        http=None if http is None else _http_check(http),
        command=() if probe.exec is None else tuple(probe.exec.command),
        is_grpc=probe.grpc is not None,
        port=_other_port(container, http or probe.tcp_socket or probe.grpc),
        initial_delay_s=float(probe.initial_delay_seconds or 0),
        period_s=float(probe.period_seconds or 0),
        timeout_s=float(probe.timeout_seconds or 1),
        success_threshold=probe.success_threshold,
        failure_threshold=probe.failure_threshold or DEFAULT_FAILURE_THRESHOLD,
    )


def _other_port(container: AnyContainer, asked: HttpGet | TcpSocket | Grpc | None) -> int | None:
    """Return the port of a probe that does not ask the container's own port, which has another number here."""
    own = container.ports[0].container_port if container.ports else DEFAULT_PORT
    if asked is None or asked.port in (0, own):
        return None
    if isinstance(asked.port, int):
        return asked.port
    named = [port.container_port for port in container.ports[1:] if port.name == asked.port]
    return named[0] if named else None


def _http_check(http: HttpGet) -> HttpCheck:
    path = http.path if http.path.startswith("/") else f"/{http.path}"
    headers = {header.name: header.value for header in http.http_headers}
    return HttpCheck(path=path, scheme=http.scheme, headers=headers)


class _Environment:
    """Builds a container's environment as the kubelet does: first envFrom, then env in its order."""

    def __init__(
        self, workload: Workload, manifests: Manifests, settings: Mapping[str, str], secrets: LocalSecrets
    ) -> None:
        self._workload = workload
        pod = workload.spec.template.spec
        self._container: AnyContainer = pod.container
        self._path: FieldPath = ("spec", "template", "spec", "containers", pod.container_index)
        self._manifests = manifests
        self._settings = settings
        self._secrets = secrets
        self.findings: list[Finding] = []

    def resolve(self) -> dict[str, str]:
        env = self._from_sources()
        variables: Sequence[Variable | PodVariable] = self._container.env
        for index, variable in enumerate(variables):
            value = self._value(variable, (*self._path, "env", index), env)
            if value is not None:
                env[variable.name] = value
        return env

    def _refuse(self, path: FieldPath, message: str) -> None:
        self.findings.append(self._workload.document.finding(path, message))

    def _from_sources(self) -> dict[str, str]:
        env: dict[str, str] = {}
        for index, source in enumerate(self._container.env_from):
            for key, value in self._values_of(source, (*self._path, "envFrom", index)).items():
                name = source.prefix + key
                env[name] = self._settings.get(name, value)
        return env

    def _values_of(self, source: EnvironmentSource, path: FieldPath) -> Mapping[str, str]:
        if source.config_map_ref is not None:
            config_map = self._manifests.config_map(self._workload.namespace, source.config_map_ref.name)
            return config_map.data if config_map else {}
        if source.secret_ref is None:
            return {}
        secret = self._manifests.secret(self._workload.namespace, source.secret_ref.name)
        if secret is None and not source.secret_ref.optional:
            self._refuse((*path, "secretRef", "name"), f"there is no Secret {source.secret_ref.name!r}")
        return secret.values if secret else {}

    def _value(self, variable: Variable | PodVariable, path: FieldPath, env: Mapping[str, str]) -> str | None:
        if isinstance(variable, PodVariable) and variable.value_from and variable.value_from.field_ref:
            return self._pod_field(variable.value_from.field_ref.field_path)
        if variable.value_from is None:
            return _expand(variable.value or "", env)
        if variable.name in self._settings:
            return self._settings[variable.name]
        secret = variable.value_from.secret_key_ref
        if secret is not None:
            value = self._secrets.find(variable.name, secret.key)
            if value is None:
                value = self._secret_value(secret)
            if value is None:
                self._check_missing_secret(variable.name, secret, (*path, "valueFrom", "secretKeyRef"))
            return value
        key = variable.value_from.config_map_key_ref
        return self._config_value(key, (*path, "valueFrom", "configMapKeyRef", "key")) if key is not None else None

    def _pod_field(self, field_path: str) -> str | None:
        """Return what the downward API would; None for what a process on this machine does not have."""
        known = {
            "metadata.namespace": self._workload.namespace,
            "metadata.name": self._workload.name,
            "status.podIP": LOOPBACK,
            "status.hostIP": LOOPBACK,
            "spec.nodeName": "localhost",
        }
        return known.get(field_path)

    def _secret_value(self, key: KeySelector) -> str | None:
        secret = self._manifests.secret(self._workload.namespace, key.name)
        return secret.values.get(key.key) if secret else None

    def _check_missing_secret(self, name: str, secret: KeySelector, path: FieldPath) -> None:
        if not secret.optional:
            message = (
                f"{name} comes from the Secret {secret.name!r} (key {secret.key!r}), which has no value here; "
                f"put {name}=... into {self._secrets.file}"
            )
            self._refuse(path, message)

    def _config_value(self, key: KeySelector, path: FieldPath) -> str | None:
        config_map = self._manifests.config_map(self._workload.namespace, key.name)
        value = config_map.data.get(key.key) if config_map else None
        if value is None and not key.optional:
            self._refuse(path, f"the ConfigMap {key.name!r} has no key {key.key!r}")
        return value


def _expand(text: str, env: Mapping[str, str]) -> str:
    """Expand `$(NAME)` of variables set before, as the kubelet does. Unknown ones stay; `$$` becomes `$`."""

    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        return "$" if name is None else env.get(name, match[0])

    return _REFERENCE.sub(replacement, text)
