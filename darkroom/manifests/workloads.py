"""Kubernetes' Deployment and Service, as far as a plain process behind a name needs them.

A Deployment runs with a fixed number of instances. It is called under the names of the Services that select its pods.
Only what changes how a process runs is read; where it is scheduled, how it is rolled out and the like is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from darkroom.manifests.model import FieldProblem, NonEmpty, Port, Resource, ResourceKey, Strict, raise_problems
from darkroom.manifests.revision import ScalingConfig
from darkroom.manifests.serving import EnvironmentSource, KeySelector, Probe

DEPLOYMENT = ("apps/v1", "Deployment")
KUBERNETES_SERVICE = ("v1", "Service")
MAX_REPLICAS = 20
"""More instances of one Deployment than that say nothing more on one machine."""
TIMEOUT_S = 3600.0
"""How long a request may take. Kubernetes sets no limit, and the activator needs one."""


class _Quiet(Strict):
    is_quiet: ClassVar[bool] = True


class PodFieldReference(_Quiet):
    field_path: NonEmpty


class PodValueFrom(_Quiet):
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None
    field_ref: PodFieldReference | None = None

    @model_validator(mode="after")
    def _is_known(self) -> PodValueFrom:
        if self.config_map_key_ref is None and self.secret_key_ref is None and self.field_ref is None:
            raise ValueError("one of configMapKeyRef, secretKeyRef and fieldRef is needed")
        return self


class PodVariable(_Quiet):
    name: NonEmpty
    value: str | None = None
    value_from: PodValueFrom | None = None


class PodPort(_Quiet):
    container_port: Port
    name: str = ""


class PodContainer(_Quiet):
    name: str = ""
    image: NonEmpty
    command: list[str] = Field(default_factory=list)
    args: list[str] = Field(default_factory=list)
    working_dir: str = ""
    ports: list[PodPort] = Field(default_factory=list)
    env: list[PodVariable] = Field(default_factory=list)
    env_from: list[EnvironmentSource] = Field(default_factory=list)
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None


class PodSpec(_Quiet):
    ignored: ClassVar[dict[str, str]] = {}

    containers: Annotated[list[PodContainer], Field(min_length=1)]
    init_containers: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def container_index(self) -> int:
        """Return which container takes the requests: the first with a port."""
        return next((index for index, each in enumerate(self.containers) if each.ports), 0)

    @property
    def container(self) -> PodContainer:
        return self.containers[self.container_index]


class PodMetadata(_Quiet):
    labels: dict[str, str] = Field(default_factory=dict)


class PodTemplate(_Quiet):
    metadata: PodMetadata = Field(default_factory=PodMetadata)
    spec: PodSpec


class DeploymentSpec(_Quiet):
    replicas: Annotated[int, Field(ge=0)] = 1
    template: PodTemplate

    @field_validator("replicas")
    @classmethod
    def _is_some(cls, replicas: int) -> int:
        if replicas == 0:
            raise ValueError("has no instances: replicas is 0")
        return replicas


class Deployment(Resource):
    api_version: Literal["apps/v1"]
    kind: Literal["Deployment"]
    spec: DeploymentSpec

    @property
    def scaling(self) -> ScalingConfig:
        """Return a fixed scale: `replicas` instances, whatever the load."""
        count = min(self.spec.replicas, MAX_REPLICAS)
        return ScalingConfig(min_scale=count, max_scale=count, initial_scale=count)

    def local_notes(self) -> Iterator[FieldProblem]:
        pod, path = self.spec.template.spec, ("spec", "template", "spec")
        if self.spec.replicas > MAX_REPLICAS:
            yield ("spec", "replicas"), f"runs {MAX_REPLICAS} instances here, not {self.spec.replicas}"
        if pod.init_containers:
            yield (*path, "initContainers"), "its initContainers do not run here"
        for index, container in enumerate(pod.containers):
            if index != pod.container_index:
                message = f"the container {container.name or index} does not run here; only the first with a port does"
                yield (*path, "containers", index), message


class KubernetesServiceSpec(_Quiet):
    selector: dict[str, str] = Field(default_factory=dict)
    type: str = "ClusterIP"
    external_name: str | None = None

    @model_validator(mode="after")
    def _selects_pods(self) -> KubernetesServiceSpec:
        if self.type == "ExternalName":
            raise_problems([(("type",), "an ExternalName leads out of the cluster; use a uri instead of a ref")])
        return self


class KubernetesService(Resource):
    """A name for the pods that its selector matches."""

    api_version: Literal["v1"]
    kind: Literal["Service"]
    spec: KubernetesServiceSpec = Field(default_factory=KubernetesServiceSpec)

    def selects(self, deployment: Deployment) -> bool:
        labels = deployment.spec.template.metadata.labels
        return self.namespace == deployment.namespace and matches(self.spec.selector, labels)


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels have all that a selector names. An empty selector matches nothing."""
    return bool(selector) and all(labels.get(name) == value for name, value in selector.items())


def key_of(workload: tuple[str, str], namespace: str, name: str) -> ResourceKey:
    return (*workload, namespace, name)
