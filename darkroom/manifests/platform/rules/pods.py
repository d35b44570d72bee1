"""Pods: the Pod Security Standards' level "restricted", pinned images, no secrets in files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from darkroom.manifests.platform.bundle import Bundle
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.severity import Severity

GOOD = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: resize}
spec:
  template:
    spec:
      containers:
        - image: example.com/resize:1.0.0
          securityContext:
            runAsNonRoot: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
            seccompProfile: {type: RuntimeDefault}
"""
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_TAG = re.compile(r":(?P<tag>[\w][\w.-]*)$")


@rule(
    "not-restricted",
    Severity.WARNING,
    'a container does not set what pod security "restricted" requires',
    on_the_cluster="A namespace that enforces it refuses the pod, which only the events of its ReplicaSet report. Any "
    "other namespace runs the pod with more rights than it needs.",
    fix="In the container's securityContext, set runAsNonRoot: true, allowPrivilegeEscalation: false, "
    "capabilities.drop: [ALL], seccompProfile.type: RuntimeDefault. A Knative Service may not have a pod-level "
    "securityContext.",
    bad=GOOD.replace("            runAsNonRoot: true\n", ""),
    good=GOOD,
)
def restricted(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest in bundle.manifests:
        of_pod = manifest.mapping(*(manifest.pod_path or ()), "securityContext")
        for path, container in manifest.containers():
            own: Any = container.get("securityContext")
            missing = _missing({**of_pod, **(own if isinstance(own, dict) else {})})
            if missing:
                name = container.get("name") or manifest.name
                yield (
                    manifest,
                    path,
                    f"the container {name} of {manifest.kind} {manifest.name} lacks {', '.join(missing)}",
                )


def _missing(context: dict[str, Any]) -> list[str]:
    capabilities = context.get("capabilities")
    drop = capabilities.get("drop") if isinstance(capabilities, dict) else None
    seccomp = context.get("seccompProfile")
    wanted = {
        "runAsNonRoot": context.get("runAsNonRoot") is True,
        "allowPrivilegeEscalation: false": context.get("allowPrivilegeEscalation") is False,
        "capabilities.drop: [ALL]": isinstance(drop, list) and "ALL" in drop,
        "seccompProfile": isinstance(seccomp, dict) and seccomp.get("type") in ("RuntimeDefault", "Localhost"),
    }
    return [name for name, there in wanted.items() if not there]


@rule(
    "image-not-pinned",
    Severity.WARNING,
    "an image has no version",
    on_the_cluster="What runs depends on when the node pulled it. Serving resolves a tag to a digest for each "
    "revision, so a new revision of the same YAML may be a different program.",
    fix="Use a version as the tag, or a digest.",
    bad=GOOD.replace("resize:1.0.0", "resize:latest"),
    good=GOOD,
)
def pinned(bundle: Bundle) -> Iterator[RuleViolation]:
    for manifest in bundle.manifests:
        for path, container in manifest.containers():
            image = str(container.get("image") or "")
            tag = _TAG.search(image.rpartition("/")[2])
            if not _DIGEST.search(image) and not (tag and any(letter.isdigit() for letter in tag["tag"])):
                yield manifest, (*path, "image"), f"{image or 'no image'} of {manifest.kind} {manifest.name}"


_MANIFEST = """\
apiVersion: v1
kind: Secret
metadata: {name: keys}
"""


@rule(
    "secret-in-file",
    Severity.WARNING,
    "a Secret's content is in the file",
    on_the_cluster="It works, but the secret is in the repository's history, in every clone and in the CI logs.",
    fix="Create the Secret outside the repository (a secret store, SealedSecrets, kubectl create secret) and refer to "
    "it.",
    bad=_MANIFEST + "stringData: {password: hunter2}\n",
    good=_MANIFEST,
)
def secrets(bundle: Bundle) -> Iterator[RuleViolation]:
    for secret in bundle.of_kind("v1", "Secret"):
        for name in ("data", "stringData"):
            if secret.get(name):
                yield secret, (name,), f"Secret {secret.name} has its content in {name}"
