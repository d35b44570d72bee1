"""Versions of Kubernetes' own APIs, and kinds of Knative's, that no supported cluster serves.

Source: Kubernetes' "Deprecated API Migration Guide", up to 1.32; the release notes of Knative Eventing.
"""

from __future__ import annotations

_WORKLOADS = dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ControllerRevision"), "apps/v1")
_RBAC = dict.fromkeys(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), "rbac.authorization.k8s.io/v1")
_WEBHOOKS = dict.fromkeys(
    ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"), "admissionregistration.k8s.io/v1"
)
_STORAGE = dict.fromkeys(("StorageClass", "VolumeAttachment", "CSIDriver", "CSINode"), "storage.k8s.io/v1")
_INGRESS = dict.fromkeys(("Ingress", "IngressClass"), "networking.k8s.io/v1")

_REMOVED: dict[str, dict[str, str]] = {
    "extensions/v1beta1": {
        **_WORKLOADS,
        **_INGRESS,
        "NetworkPolicy": "networking.k8s.io/v1",
        "PodSecurityPolicy": "",
    },
    "apps/v1beta1": _WORKLOADS,
    "apps/v1beta2": _WORKLOADS,
    "batch/v1beta1": {"CronJob": "batch/v1"},
    "batch/v2alpha1": {"CronJob": "batch/v1"},
    "policy/v1beta1": {"PodDisruptionBudget": "policy/v1", "PodSecurityPolicy": ""},
    "autoscaling/v2beta1": {"HorizontalPodAutoscaler": "autoscaling/v2"},
    "autoscaling/v2beta2": {"HorizontalPodAutoscaler": "autoscaling/v2"},
    "networking.k8s.io/v1beta1": _INGRESS,
    "rbac.authorization.k8s.io/v1alpha1": _RBAC,
    "rbac.authorization.k8s.io/v1beta1": _RBAC,
    "admissionregistration.k8s.io/v1beta1": _WEBHOOKS,
    "apiextensions.k8s.io/v1beta1": {"CustomResourceDefinition": "apiextensions.k8s.io/v1"},
    "apiregistration.k8s.io/v1beta1": {"APIService": "apiregistration.k8s.io/v1"},
    "certificates.k8s.io/v1beta1": {"CertificateSigningRequest": "certificates.k8s.io/v1"},
    "coordination.k8s.io/v1beta1": {"Lease": "coordination.k8s.io/v1"},
    "discovery.k8s.io/v1beta1": {"EndpointSlice": "discovery.k8s.io/v1"},
    "events.k8s.io/v1beta1": {"Event": "events.k8s.io/v1"},
    "scheduling.k8s.io/v1beta1": {"PriorityClass": "scheduling.k8s.io/v1"},
    "storage.k8s.io/v1beta1": _STORAGE,
    "sources.eventing.knative.dev/v1alpha1": {
        "CronJobSource": "PingSource of sources.knative.dev/v1",
        "ContainerSource": "sources.knative.dev/v1",
        "ApiServerSource": "sources.knative.dev/v1",
        "SinkBinding": "sources.knative.dev/v1",
    },
}


def removed_version(api_version: str, kind: str) -> str | None:
    """What to use instead of a version that is gone; empty if nothing replaces it; None if it is not gone."""
    return _REMOVED.get(api_version, {}).get(kind)
