"""Kubernetes' own kinds that the pipeline uses, and kustomize's list of files."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from darkroom.manifests.model import DnsLabel, Metadata, NonEmpty, Resource, Strict


class ConfigMap(Resource):
    refused: ClassVar[dict[str, str]] = {"binaryData": "settings are text; use data"}

    api_version: Literal["v1"]
    kind: Literal["ConfigMap"]
    data: dict[str, str] = Field(default_factory=dict)
    immutable: bool | None = None


class NamespaceMetadata(Metadata):
    refused: ClassVar[dict[str, str]] = {"namespace": "a Namespace is in no namespace"}

    name: DnsLabel


class Namespace(Resource):
    api_version: Literal["v1"]
    kind: Literal["Namespace"]
    metadata: NamespaceMetadata


class ServiceAccount(Resource):
    api_version: Literal["v1"]
    kind: Literal["ServiceAccount"]
    automount_service_account_token: bool | None = None


_RENDER_FIRST = "the local runtime does not render it; render it first with kubectl kustomize and load the result"


class Kustomization(Strict):
    """A kustomization that needs no rendering. `refused` lists every field with which kustomize changes resources."""

    refused: ClassVar[dict[str, str]] = dict.fromkeys(
        (
            "bases",
            "buildMetadata",
            "commonAnnotations",
            "commonLabels",
            "components",
            "configMapGenerator",
            "configurations",
            "crds",
            "generatorOptions",
            "generators",
            "helmCharts",
            "helmChartInflationGenerator",
            "helmGlobals",
            "images",
            "labels",
            "namePrefix",
            "nameSuffix",
            "namespace",
            "openapi",
            "patches",
            "patchesJson6902",
            "patchesStrategicMerge",
            "replacements",
            "replicas",
            "secretGenerator",
            "sortOptions",
            "transformers",
            "validators",
            "vars",
        ),
        _RENDER_FIRST,
    )

    api_version: Literal["kustomize.config.k8s.io/v1beta1"] = "kustomize.config.k8s.io/v1beta1"
    kind: Literal["Kustomization"] = "Kustomization"
    resources: list[NonEmpty] = Field(default_factory=list)
