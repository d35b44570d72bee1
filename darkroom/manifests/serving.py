"""The parts of Knative Serving's Service that the local runtime supports, with the checks of Serving's webhook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from darkroom.manifests import autoscaling
from darkroom.manifests.model import (
    SERVING,
    SET_BY_THE_CLUSTER,
    DnsLabel,
    DnsSubdomain,
    FieldProblem,
    FieldProblemsError,
    LabelsAndAnnotations,
    Metadata,
    NonEmpty,
    Port,
    Resource,
    Strict,
    check_dns_1035,
    raise_problems,
)
from darkroom.manifests.platform.limits import (
    DEFAULT_TIMEOUT_S,
    MAX_CONCURRENCY,
    MAX_TIMEOUT_S,
    QUEUE_PROXY_PORTS,
    SET_BY_SERVING,
)
from darkroom.manifests.platform.quantities import quantity
from darkroom.manifests.platform.scaling import NAMES, PREFIX
from darkroom.manifests.platform.schema.serving import POD_FEATURES, REFUSED_OF_POD, VOLUME_FEATURES, is_set
from darkroom.manifests.revision import ScalingConfig


def _needs_feature(flag: str) -> str:
    return f"Serving refuses it unless the feature {flag} is on"


# --- the container's environment -------------------------------------------------------------------------------------


class KeySelector(Strict):
    """One key of a ConfigMap or a Secret."""

    name: DnsSubdomain
    key: NonEmpty
    optional: bool = False


class ValueFrom(Strict):
    refused: ClassVar[dict[str, str]] = {
        "fieldRef": _needs_feature("kubernetes.podspec-fieldref"),
        "resourceFieldRef": _needs_feature("kubernetes.podspec-fieldref"),
    }

    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> ValueFrom:
        if (self.config_map_key_ref is None) == (self.secret_key_ref is None):
            raise ValueError("exactly one of configMapKeyRef and secretKeyRef is needed")
        return self


def _check_variable(name: str) -> str:
    if name in SET_BY_SERVING:
        raise ValueError(f"{name} is reserved: Serving sets it")
    if not re.fullmatch(r"[ -<>-~]+", name):
        raise ValueError(f"must be a variable's name, in ASCII and without =, was {name!r}")
    return name


class Variable(Strict):
    name: Annotated[str, AfterValidator(_check_variable)]
    value: str | None = None
    value_from: ValueFrom | None = None

    @model_validator(mode="after")
    def _has_one_value(self) -> Variable:
        if self.value is not None and self.value_from is not None:
            raise ValueError("value and valueFrom exclude each other")
        return self


class ConfigMapSource(Strict):
    name: DnsSubdomain
    optional: bool = False


class SecretSource(Strict):
    name: DnsSubdomain
    optional: bool = False


class EnvironmentSource(Strict):
    config_map_ref: ConfigMapSource | None = None
    secret_ref: SecretSource | None = None
    prefix: str = ""

    @model_validator(mode="after")
    def _exactly_one(self) -> EnvironmentSource:
        if (self.config_map_ref is None) == (self.secret_ref is None):
            raise ValueError("exactly one of configMapRef and secretRef is needed")
        return self


# --- the container ---------------------------------------------------------------------------------------------------


class ContainerPort(Strict):
    refused: ClassVar[dict[str, str]] = {
        "hostPort": "Serving refuses it",
        "hostIP": "Serving refuses it",
    }

    container_port: Port = 8080
    name: Literal["http1", "h2c", ""] = ""
    protocol: Literal["TCP"] = "TCP"

    @field_validator("name")
    @classmethod
    def _is_http_1(cls, name: str) -> str:
        if name == "h2c":
            raise ValueError("the local runtime speaks HTTP/1.1 with functions, not h2c")
        return name

    @field_validator("container_port")
    @classmethod
    def _is_free(cls, port: int) -> int:
        if port in QUEUE_PROXY_PORTS:
            raise ValueError(f"{port} is reserved: queue-proxy listens there")
        return port


def _check_quantity(value: str | int | float) -> str | int | float:
    quantity(value)
    return value


Quantity = Annotated[str | int | float, AfterValidator(_check_quantity)]


class Amounts(Strict):
    cpu: Quantity | None = None
    memory: Quantity | None = None
    ephemeral_storage: Quantity | None = Field(default=None, alias="ephemeral-storage")


class Resources(Strict):
    requests: Amounts = Field(default_factory=Amounts)
    limits: Amounts = Field(default_factory=Amounts)

    @model_validator(mode="after")
    def _requests_are_within_limits(self) -> Resources:
        problems: list[FieldProblem] = []
        for name in Amounts.model_fields:
            request, limit = getattr(self.requests, name), getattr(self.limits, name)
            if request is not None and limit is not None and quantity(request) > quantity(limit):
                path = ("requests", name.replace("_", "-"))
                problems.append((path, f"must not be above the limit, which is {limit}, was {request}"))
        raise_problems(problems)
        return self


class Capabilities(Strict):
    refused: ClassVar[dict[str, str]] = {"add": _needs_feature("kubernetes.containerspec-addcapabilities")}

    drop: list[NonEmpty] = Field(default_factory=list)


class SeccompProfile(Strict):
    type: Literal["RuntimeDefault", "Unconfined", "Localhost"]
    localhost_profile: str | None = None


class SecurityContext(Strict):
    run_as_non_root: bool | None = None
    run_as_user: Annotated[int, Field(ge=0)] | None = None
    run_as_group: Annotated[int, Field(ge=0)] | None = None
    read_only_root_filesystem: bool | None = None
    allow_privilege_escalation: bool | None = None
    privileged: Literal[False] | None = None
    capabilities: Capabilities | None = None
    seccomp_profile: SeccompProfile | None = None


class VolumeMount(Strict):
    name: DnsLabel
    mount_path: NonEmpty
    sub_path: str | None = None
    read_only: bool | None = None


class HttpHeader(Strict):
    name: NonEmpty
    value: str


class HttpGet(Strict):
    checked: ClassVar[frozenset[str]] = frozenset({"host", "scheme"})

    path: str = "/"
    port: int | str = 0
    host: str = ""
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    http_headers: list[HttpHeader] = Field(default_factory=list)


class TcpSocket(Strict):
    checked: ClassVar[frozenset[str]] = frozenset({"host"})

    port: int | str = 0
    host: str = ""


class Exec(Strict):
    command: list[str] = Field(default_factory=list)


class Grpc(Strict):
    port: int = 0
    service: str = ""


class Probe(Strict):
    """A probe, with the checks of Serving's webhook. The local runtime treats grpc as a TCP probe."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    grpc: Grpc | None = None
    initial_delay_seconds: Annotated[int, Field(ge=0)] | None = None
    period_seconds: Annotated[int, Field(ge=0)] | None = None
    timeout_seconds: Annotated[int, Field(ge=0)] | None = None
    success_threshold: Annotated[int, Field(ge=0), AfterValidator(lambda count: count or 1)] = 1
    """0 is 1, as the webhook sets it."""
    failure_threshold: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _has_at_most_one_handler(self) -> Probe:
        handlers = [h for h in (self.http_get, self.tcp_socket, self.exec, self.grpc) if h is not None]
        if len(handlers) > 1:
            raise ValueError("at most one of httpGet, tcpSocket, exec and grpc may be there")
        return self


class ReadinessProbe(Probe):
    @model_validator(mode="after")
    def _period_and_thresholds_agree(self) -> ReadinessProbe:
        problems: list[FieldProblem] = []
        if not self.period_seconds:
            reason = "is refused while periodSeconds is 0 or not there: queue-proxy then polls as fast as it can"
            for name, value in (("timeoutSeconds", self.timeout_seconds), ("failureThreshold", self.failure_threshold)):
                if value:
                    problems.append(((name,), f"{reason}, was {value}"))
        raise_problems(problems)
        return self


class Container(Strict):
    refused: ClassVar[dict[str, str]] = {
        "lifecycle": "Serving refuses it: it sets the preStop hook itself",
        "stdin": "Serving refuses it",
        "stdinOnce": "Serving refuses it",
        "tty": "Serving refuses it",
        "volumeDevices": "Serving refuses it",
        "resizePolicy": "Serving refuses it",
        "restartPolicy": "Serving refuses it",
    }

    checked: ClassVar[frozenset[str]] = frozenset(
        {
            "imagePullPolicy",
            "resources",
            "securityContext",
            "terminationMessagePath",
            "terminationMessagePolicy",
            "volumeMounts",
            "workingDir",
        }
    )

    name: DnsLabel | None = None
    image: NonEmpty
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    command: list[str] = Field(default_factory=list)
    args: list[str] = Field(default_factory=list)
    working_dir: str = ""
    ports: Annotated[list[ContainerPort], Field(max_length=1)] = Field(default_factory=list)
    env: list[Variable] = Field(default_factory=list)
    env_from: list[EnvironmentSource] = Field(default_factory=list)
    resources: Resources = Field(default_factory=Resources)
    security_context: SecurityContext | None = None
    volume_mounts: list[VolumeMount] = Field(default_factory=list)
    readiness_probe: ReadinessProbe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    termination_message_path: str | None = None
    termination_message_policy: str | None = None


# --- the revision ----------------------------------------------------------------------------------------------------


class EmptyDir(Strict):
    medium: Literal["", "Memory"] = ""
    size_limit: Quantity | None = None


class KeyToPath(Strict):
    key: NonEmpty
    path: NonEmpty
    mode: int | None = None


class SecretVolume(Strict):
    secret_name: DnsSubdomain
    items: list[KeyToPath] = Field(default_factory=list)
    default_mode: int | None = None
    optional: bool | None = None


class ConfigMapVolume(Strict):
    name: DnsSubdomain
    items: list[KeyToPath] = Field(default_factory=list)
    default_mode: int | None = None
    optional: bool | None = None


class Volume(Strict):
    """Checked as by Serving's webhook only: the local runtime mounts nothing, its functions use the machine's files."""

    refused: ClassVar[dict[str, str]] = {name: _needs_feature(flag) for name, flag in VOLUME_FEATURES.items()}

    name: DnsLabel
    empty_dir: EmptyDir | None = None
    secret: SecretVolume | None = None
    config_map: ConfigMapVolume | None = None
    projected: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Volume:
        if sum(source is not None for source in (self.empty_dir, self.secret, self.config_map, self.projected)) != 1:
            raise ValueError("exactly one of emptyDir, secret, configMap and projected is needed")
        return self

    @property
    def is_needed(self) -> bool:
        """Whether the container expects files in it."""
        source = self.secret or self.config_map
        return self.projected is not None or (source is not None and not source.optional)


class ImagePullSecret(Strict):
    name: DnsSubdomain


def _default_timeout(seconds: int) -> int:
    """0 is Serving's default."""
    return seconds or DEFAULT_TIMEOUT_S


_ONE_TIMEOUT = "the local runtime has only timeoutSeconds"


class RevisionSpec(Strict):
    refused: ClassVar[dict[str, str]] = {
        **{name: _needs_feature(flag) for name, flag in POD_FEATURES.items()},
        **dict.fromkeys(REFUSED_OF_POD, "Serving refuses it"),
        "securityContext": f"{_needs_feature(POD_FEATURES['securityContext'])} (set it on the container)",
        "terminationGracePeriodSeconds": "Serving sets it to timeoutSeconds",
    }
    ignored: ClassVar[dict[str, str]] = {
        "responseStartTimeoutSeconds": _ONE_TIMEOUT,
        "idleTimeoutSeconds": _ONE_TIMEOUT,
    }

    checked: ClassVar[frozenset[str]] = frozenset(
        {"automountServiceAccountToken", "enableServiceLinks", "imagePullSecrets", "serviceAccountName", "volumes"}
    )

    container_concurrency: Annotated[int, Field(ge=0, le=MAX_CONCURRENCY)] = 0
    timeout_seconds: Annotated[int, Field(ge=0, le=MAX_TIMEOUT_S), AfterValidator(_default_timeout)] = DEFAULT_TIMEOUT_S
    enable_service_links: bool | None = None
    automount_service_account_token: Literal[False] | None = None
    service_account_name: DnsSubdomain | None = None
    image_pull_secrets: list[ImagePullSecret] = Field(default_factory=list)
    containers: Annotated[list[Container], Field(min_length=1)]
    volumes: list[Volume] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_unset(cls, data: Any) -> Any:
        """Serving does not see `hostNetwork: false` or an empty nodeSelector."""
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if name not in POD_FEATURES or is_set(name, value)}

    @property
    def container_index(self) -> int:
        """Return which container takes the requests: the one with a port, of which there may be one."""
        return next((index for index, each in enumerate(self.containers) if each.ports), 0)

    @property
    def container(self) -> Container:
        return self.containers[self.container_index]

    @model_validator(mode="after")
    def _mounts_and_volumes_agree(self) -> RevisionSpec:
        volumes = {volume.name for volume in self.volumes}
        mounted = {mount.name for container in self.containers for mount in container.volume_mounts}
        raise_problems(
            [
                (("containers", number, "volumeMounts", index, "name"), f"there is no volume {mount.name!r}")
                for number, container in enumerate(self.containers)
                for index, mount in enumerate(container.volume_mounts)
                if mount.name not in volumes
            ]
            + [
                (("volumes", index), f"the volume {volume.name!r} is mounted nowhere, which Serving refuses")
                for index, volume in enumerate(self.volumes)
                if volume.name not in mounted
            ]
        )
        return self


class TemplateMetadata(LabelsAndAnnotations):
    known_annotations = frozenset(f"{PREFIX}{name}" for name in NAMES)
    ignored: ClassVar[dict[str, str]] = {
        "name": "the local runtime numbers revisions itself, as Serving does where there is none",
    }
    silent: ClassVar[frozenset[str]] = SET_BY_THE_CLUSTER | {"namespace"}


class RevisionTemplate(Strict):
    metadata: TemplateMetadata = Field(default_factory=TemplateMetadata)
    spec: RevisionSpec

    @property
    def scaling(self) -> ScalingConfig:
        return autoscaling.parse(self.metadata.annotations, self.spec.container_concurrency)

    @model_validator(mode="after")
    def _scaling_is_in_bounds(self) -> RevisionTemplate:
        try:
            autoscaling.parse(self.metadata.annotations, self.spec.container_concurrency)
        except FieldProblemsError as exc:
            raise FieldProblemsError(
                [(("metadata", "annotations", *path), message) for path, message in exc.problems]
            ) from exc
        return self


class ServiceSpec(Strict):
    ignored: ClassVar[dict[str, str]] = {
        "traffic": "the local runtime sends all requests to the latest revision",
    }

    template: RevisionTemplate


class ServiceMetadata(Metadata):
    name: Annotated[str, AfterValidator(check_dns_1035)]

    @field_validator("annotations", mode="before")
    @classmethod
    def _scaling_belongs_to_the_template(cls, annotations: Any) -> Any:
        if isinstance(annotations, dict):
            raise_problems(
                [
                    ((name,), "autoscaling annotations belong under spec.template.metadata.annotations")
                    for name in annotations
                    if isinstance(name, str) and name.startswith(PREFIX)
                ]
            )
        return annotations


class Service(Resource):
    api_version: Literal["serving.knative.dev/v1"]
    kind: Literal["Service"]
    metadata: ServiceMetadata
    spec: ServiceSpec

    def local_notes(self) -> Iterator[FieldProblem]:
        spec, path = self.spec.template.spec, ("spec", "template", "spec")
        for index, container in enumerate(spec.containers):
            if index != spec.container_index:
                message = f"the container {container.name or index} does not run here; only the one that has the port"
                yield (*path, "containers", index), message
        for index, volume in enumerate(spec.volumes):
            if volume.is_needed:
                yield (*path, "volumes", index), f"the volume {volume.name} is not mounted here"

    @property
    def scaling(self) -> ScalingConfig:
        return self.spec.template.scaling

    @property
    def cluster_local(self) -> bool:
        return "networking.knative.dev/visibility" in self.metadata.labels

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (SERVING, "Service", self.namespace, self.name)
