"""Network policies: whether anything is denied."""

from __future__ import annotations

from collections.abc import Iterator

from darkroom.check.bundle import Bundle, Manifest
from darkroom.check.finding import Severity
from darkroom.check.rule import Problem, rule

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
    "nothing is denied in a namespace that runs pods",
    on_the_cluster="Every pod of the cluster may call the functions past the Broker and their storage past "
    "its users, and a function that was broken into may call out.",
    fix="A NetworkPolicy with an empty podSelector and both policyTypes, and one for each pair that must speak.",
    bad=_FUNCTION,
    good=_FUNCTION + _DENY,
)
def default_deny(bundle: Bundle) -> Iterator[Problem]:
    first: dict[str, Manifest] = {}
    for manifest in bundle.manifests:
        if manifest.pod_path is not None:
            first.setdefault(manifest.namespace, manifest)
    denied = {
        each.namespace
        for each in bundle.of("networking.k8s.io/", "NetworkPolicy")
        if each.get("spec", "podSelector") == {} and set(each.get("spec", "policyTypes") or ()) >= {"Ingress", "Egress"}
    }
    for namespace, manifest in first.items():
        if namespace not in denied:
            yield manifest, ("metadata",), f"the namespace {namespace} has no policy that denies by default"
