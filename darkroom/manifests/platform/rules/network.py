"""Network policies: whether a namespace denies traffic by default."""

from __future__ import annotations

from collections.abc import Iterator

from darkroom.manifests.platform.bundle import Bundle, Manifest
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.severity import Severity

_FUNCTION = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: resize, namespace: darkroom}
spec: {template: {spec: {containers: [{image: "example.com/resize:1.0.0"}]}}}
"""
_DENY = """\
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: darkroom}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
"""


@rule(
    "no-default-deny",
    Severity.WARNING,
    "a namespace that runs pods does not deny traffic by default",
    on_the_cluster="Every pod in the cluster can bypass the Broker and call the functions and their storage directly, "
    "and a compromised function can connect to any address.",
    fix="Add a NetworkPolicy with an empty podSelector and both policyTypes, and one for each pair that must "
    "communicate.",
    bad=_FUNCTION,
    good=_FUNCTION + _DENY,
)
def default_deny(bundle: Bundle) -> Iterator[RuleViolation]:
    first: dict[str, Manifest] = {}
    for manifest in bundle.manifests:
        if manifest.pod_path is not None:
            first.setdefault(manifest.namespace, manifest)
    denied = {
        each.namespace
        for each in bundle.of_kind("networking.k8s.io/", "NetworkPolicy")
        if each.get("spec", "podSelector") == {} and _has_both(each.get("spec", "policyTypes"))
    }
    for namespace, manifest in first.items():
        if namespace not in denied:
            yield manifest, ("metadata",), f"the namespace {namespace} has no policy that denies by default"


def _has_both(types: object) -> bool:
    return isinstance(types, list) and "Ingress" in types and "Egress" in types
