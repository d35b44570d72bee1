"""Kinds that a cluster needs and one machine does not: they are left out, each with its reason.

Any other kind that the loader does not know is left out too, with a suggestion if it resembles one that is known.
"""

from __future__ import annotations

from collections.abc import Mapping

CLUSTER_ONLY: Mapping[tuple[str, str], str] = {
    ("networking.k8s.io", "NetworkPolicy"): "everything listens on loopback here",
    ("networking.k8s.io", "Ingress"): "the local gateway reads HTTPRoutes",
    ("policy", "PodDisruptionBudget"): "nobody drains this machine",
    ("batch", "Job"): "no Job runs here; an extension prepares what a project needs",
    ("batch", "CronJob"): "no CronJob runs here; a PingSource does",
    ("gateway.networking.k8s.io", "ReferenceGrant"): "the local gateway may reach every Service",
    ("gateway.networking.k8s.io", "Gateway"): "the runtime has its own gateway",
    ("gateway.networking.k8s.io", "GatewayClass"): "the runtime has its own gateway",
    ("rbac.authorization.k8s.io", "Role"): "there is no API server here to ask for rights",
    ("rbac.authorization.k8s.io", "RoleBinding"): "there is no API server here to ask for rights",
    ("rbac.authorization.k8s.io", "ClusterRole"): "there is no API server here to ask for rights",
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): "there is no API server here to ask for rights",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "there is no API server here that serves it",
    ("autoscaling", "HorizontalPodAutoscaler"): "a Deployment has a fixed number of instances here",
    ("apps", "StatefulSet"): "only Deployments run as processes here",
    ("apps", "DaemonSet"): "only Deployments run as processes here",
    ("apps", "ReplicaSet"): "only Deployments run as processes here",
    ("", "Pod"): "only Deployments run as processes here",
    ("", "PersistentVolumeClaim"): "processes use this machine's files",
    ("", "PersistentVolume"): "processes use this machine's files",
    ("", "ResourceQuota"): "nothing limits what runs here",
    ("", "LimitRange"): "nothing limits what runs here",
    ("serving.knative.dev", "DomainMapping"): "the local gateway reads HTTPRoutes",
    ("eventing.knative.dev", "EventType"): "it describes events, and nothing runs by it",
    ("eventing.knative.dev", "EventPolicy"): "there is no OIDC here that could tell who sends",
    ("sources.knative.dev", "ApiServerSource"): "there is no API server here to watch",
}
"""Reasons by API group, which is empty for Kubernetes' core, and kind."""
UNNEEDED = frozenset(
    {
        ("networking.k8s.io", "NetworkPolicy"),
        ("policy", "PodDisruptionBudget"),
        ("gateway.networking.k8s.io", "ReferenceGrant"),
        ("rbac.authorization.k8s.io", "Role"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("", "ResourceQuota"),
        ("", "LimitRange"),
        ("eventing.knative.dev", "EventType"),
    }
)
"""Of these kinds, those without which a project runs on one machine just as it would with them."""


def reason_of(api_version: str, kind: str) -> str | None:
    return CLUSTER_ONLY.get(_key(api_version, kind))


def is_unneeded(api_version: str, kind: str) -> bool:
    return _key(api_version, kind) in UNNEEDED


def _key(api_version: str, kind: str) -> tuple[str, str]:
    return api_version.rpartition("/")[0], kind
