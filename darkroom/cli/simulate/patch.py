"""Writes a setting as a kustomization: one that is complete and changes the manifests by JSON patches.

A strategic merge would replace a Service's whole list of containers, so the patches are those of RFC 6902.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from darkroom.manifests import Service
from darkroom.manifests.platform.scaling import PREFIX
from darkroom.simulate.study.settings import CONCURRENCY, THROTTLE, Setting

_METADATA = "/spec/template/metadata"
_ANNOTATIONS = f"{_METADATA}/annotations"


def write_patch(setting: Setting, services: Mapping[str, Service], *, about: str) -> str:
    """Return the YAML: a Kustomize Component, which a kustomization lists under `components`."""
    lines = [
        *(f"# {line}" for line in about.splitlines()),
        "# In a kustomization: `components: [FOLDER]`, with this file in FOLDER as kustomization.yaml.",
        *_notes(setting),
        "apiVersion: kustomize.config.k8s.io/v1alpha1",
        "kind: Component",
        "patches:",
        *(
            line
            for service in dict.fromkeys(name for name, _ in setting.values)
            for line in _patch(setting, services, service)
        ),
    ]
    return "\n".join(lines) + "\n"


def _notes(setting: Setting) -> Iterator[str]:
    for (service, name), value in setting.values.items():
        if name == THROTTLE:
            yield f"# Not in here: maxAckPending {value} for {service} is in the Broker's channel template."


def _patch(setting: Setting, services: Mapping[str, Service], name: str) -> Iterator[str]:
    service = services[name]
    operations = list(_operations(setting, service, name))
    if not operations:
        return
    yield "  - target:"
    yield "      group: serving.knative.dev"
    yield "      version: v1"
    yield "      kind: Service"
    yield f"      name: {service.name}"
    yield f"      namespace: {service.namespace}"
    yield "    patch: |-"
    for operation, path, value in operations:
        yield f"      - op: {operation}"
        yield f"        path: {path}"
        yield f"        value: {value}"


def _operations(setting: Setting, service: Service, name: str) -> Iterator[tuple[str, str, str]]:
    if any(owner == name and _is_annotation(setting_name) for owner, setting_name in setting.values):
        # `add` needs its parent (RFC 6902, section 4.1), and would empty one that is there.
        template = service.spec.template
        if "metadata" not in template.model_fields_set:
            yield "add", _METADATA, "{}"
        if "annotations" not in template.metadata.model_fields_set:
            yield "add", _ANNOTATIONS, "{}"
    for (owner, setting_name), value in setting.values.items():
        if owner != name:
            continue
        if setting_name == CONCURRENCY:
            yield "add", "/spec/template/spec/containerConcurrency", value
        elif _is_annotation(setting_name):
            # It replaces a member that is there.
            yield "add", f"{_ANNOTATIONS}/{(PREFIX + setting_name).replace('/', '~1')}", json.dumps(value)


def _is_annotation(name: str) -> bool:
    return name not in (CONCURRENCY, THROTTLE)
