"""Kubernetes' own kinds that the pipeline uses, and kustomize's list of files."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from darkroom.manifests.model import (
    DnsLabel,
    FieldProblem,
    Metadata,
    NonEmpty,
    Resource,
    Strict,
    raise_problems,
)


class ConfigMap(Resource):
    ignored: ClassVar[dict[str, str]] = {"binaryData": "only text becomes a variable"}

    api_version: Literal["v1"]
    kind: Literal["ConfigMap"]
    data: dict[str, str] = Field(default_factory=dict)
    immutable: bool | None = None


class Secret(Resource):
    """`stringData` wins over `data`, as when the API server merges them. Values are kept out of messages and `repr`."""

    api_version: Literal["v1"]
    kind: Literal["Secret"]
    type: str = "Opaque"
    data: dict[str, str] = Field(default_factory=dict, repr=False)
    string_data: dict[str, str] = Field(default_factory=dict, repr=False)
    immutable: bool | None = None

    @model_validator(mode="after")
    def _data_is_base64(self) -> Secret:
        problems: list[FieldProblem] = []
        for name, text in self.data.items():
            try:
                base64.b64decode("".join(text.split()), validate=True)
            except ValueError:
                problems.append((("data", name), "is not Base64; plain text belongs in stringData"))
        raise_problems(problems)
        return self

    @property
    def values(self) -> dict[str, str]:
        """Return the texts by key. What is not UTF-8 cannot be a variable, and is left out."""
        texts = {}
        for name, encoded in self.data.items():
            with suppress(UnicodeDecodeError):
                texts[name] = base64.b64decode("".join(encoded.split())).decode()
        return {**texts, **self.string_data}


class NamespaceMetadata(Metadata):
    silent: ClassVar[frozenset[str]] = Metadata.silent | {"namespace"}

    name: DnsLabel


class Namespace(Resource):
    api_version: Literal["v1"]
    kind: Literal["Namespace"]
    metadata: NamespaceMetadata
    spec: dict[str, Any] = Field(default_factory=dict)


class ServiceAccount(Resource):
    api_version: Literal["v1"]
    kind: Literal["ServiceAccount"]
    is_quiet: ClassVar[bool] = True

    automount_service_account_token: bool | None = None


RENDER_FIRST = "the local runtime does not render it"


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
        RENDER_FIRST,
    )

    api_version: Literal["kustomize.config.k8s.io/v1beta1"] = "kustomize.config.k8s.io/v1beta1"
    kind: Literal["Kustomization"] = "Kustomization"
    resources: list[NonEmpty] = Field(default_factory=list)
