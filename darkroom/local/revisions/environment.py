"""Turns the manifests of Services into revisions that can be started, with their environment and scaling resolved.

Nothing is started here. K_SINK is not set here either; a SinkBinding does that (`binding`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from darkroom.manifests.errors import Finding, ManifestError
from darkroom.manifests.load import Manifests
from darkroom.manifests.project import DEFAULT_SECRETS
from darkroom.manifests.revision import HttpCheck, ReadinessCheck, Revision
from darkroom.manifests.serving import Container, Grpc, HttpGet, KeySelector, Probe, Service, TcpSocket, Variable
from darkroom.manifests.source import FieldPath

_CONTAINER: FieldPath = ("spec", "template", "spec", "containers", 0)
DEFAULT_PORT = 8080
DEFAULT_FAILURE_THRESHOLD = 3
TAKEN_LABELS = ("runtime", "fork-server", "nats", "redis", "s3")
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
    local_secrets = secrets or LocalSecrets()
    findings: list[Finding] = []
    resolved = []
    names = Counter([*TAKEN_LABELS, *(service.name for service in manifests.services)])
    for service in manifests.services:
        env = _Environment(service, manifests, settings, local_secrets)
        resolved.append(_revision(service, env.resolve(), number, is_qualified=names[service.name] > 1))
        findings += env.findings
    if findings:
        raise ManifestError(findings)
    return resolved


def _revision(service: Service, env: Mapping[str, str], number: int, *, is_qualified: bool) -> Revision:
    template = service.spec.template
    container = template.spec.container
    return Revision(
        namespace=service.namespace,
        service=service.name,
        number=number,
        env=env,
        image=container.image,
        command=tuple(container.command),
        args=tuple(container.args),
        working_dir=container.working_dir,
        timeout_s=float(template.spec.timeout_seconds),
        scaling=template.scaling,
        cluster_local=service.cluster_local,
        readiness=_check(container.readiness_probe, container) or ReadinessCheck(),
        startup=_check(container.startup_probe, container),
        liveness=_check(container.liveness_probe, container),
        is_qualified=is_qualified,
    )


def _check(probe: Probe | None, container: Container) -> ReadinessCheck | None:
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


def _other_port(container: Container, asked: HttpGet | TcpSocket | Grpc | None) -> int | None:
    """Return the port of a probe that does not ask the container's own port, which has another number here."""
    own = container.ports[0].container_port if container.ports else DEFAULT_PORT
    return None if asked is None or asked.port in (0, own) else asked.port


def _http_check(http: HttpGet) -> HttpCheck:
    path = http.path if http.path.startswith("/") else f"/{http.path}"
    headers = {header.name: header.value for header in http.http_headers}
    return HttpCheck(path=path, scheme=http.scheme, headers=headers)


class _Environment:
    """Builds a container's environment as the kubelet does: first envFrom, then env in its order."""

    def __init__(
        self, service: Service, manifests: Manifests, settings: Mapping[str, str], secrets: LocalSecrets
    ) -> None:
        self._service = service
        self._manifests = manifests
        self._settings = settings
        self._secrets = secrets
        self.findings: list[Finding] = []

    def resolve(self) -> dict[str, str]:
        env = self._from_config_maps()
        for index, variable in enumerate(self._service.spec.template.spec.container.env):
            value = self._value(variable, (*_CONTAINER, "env", index), env)
            if value is not None:
                env[variable.name] = value
        return env

    def _refuse(self, path: FieldPath, message: str) -> None:
        self.findings.append(self._service.document.finding(path, message))

    def _from_config_maps(self) -> dict[str, str]:
        env: dict[str, str] = {}
        for source in self._service.spec.template.spec.container.env_from:
            config_map = self._manifests.config_map(self._service.namespace, source.config_map_ref.name)
            for key, value in config_map.data.items() if config_map else ():
                name = source.prefix + key
                env[name] = self._settings.get(name, value)
        return env

    def _value(self, variable: Variable, path: FieldPath, env: Mapping[str, str]) -> str | None:
        if variable.value_from is None:
            return _expand(variable.value or "", env)
        if variable.name in self._settings:
            return self._settings[variable.name]
        secret = variable.value_from.secret_key_ref
        if secret is not None:
            value = self._secrets.find(variable.name, secret.key)
            if value is None:
                self._check_missing_secret(variable.name, secret, (*path, "valueFrom", "secretKeyRef"))
            return value
        key = variable.value_from.config_map_key_ref
        return self._config_value(key, (*path, "valueFrom", "configMapKeyRef", "key")) if key is not None else None

    def _check_missing_secret(self, name: str, secret: KeySelector, path: FieldPath) -> None:
        if not secret.optional:
            message = (
                f"{name} comes from the Secret {secret.name!r} (key {secret.key!r}), which has no value here; "
                f"put {name}=... into {self._secrets.file}"
            )
            self._refuse(path, message)

    def _config_value(self, key: KeySelector, path: FieldPath) -> str | None:
        config_map = self._manifests.config_map(self._service.namespace, key.name)
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
