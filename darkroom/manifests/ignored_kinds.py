"""Kinds that a cluster needs but one machine does not: accepted, with their metadata checked, and otherwise ignored.

Only the kinds listed here are ignored; any other unknown kind is an error, so that nothing is skipped silently. The
tests of the manifests validate their specifications against Kubernetes' own schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from darkroom.manifests.model import Resource


class NetworkPolicy(Resource):
    """Ignored because everything listens on loopback."""

    api_version: Literal["networking.k8s.io/v1"]
    kind: Literal["NetworkPolicy"]
    spec: dict[str, Any]


class PodDisruptionBudget(Resource):
    """Ignored because nobody drains this machine."""

    api_version: Literal["policy/v1"]
    kind: Literal["PodDisruptionBudget"]
    spec: dict[str, Any]


class Job(Resource):
    """The setup Job. Ignored because `darkroom up` creates the bucket and the dead-letter stream itself, with the same
    adapters."""

    api_version: Literal["batch/v1"]
    kind: Literal["Job"]
    spec: dict[str, Any]


class ReferenceGrant(Resource):
    """Ignored because the local gateway may reach every Service."""

    api_version: Literal["gateway.networking.k8s.io/v1beta1"]
    kind: Literal["ReferenceGrant"]
    spec: dict[str, Any]


IGNORED_KINDS: Mapping[tuple[str, str], type[Resource]] = {
    ("networking.k8s.io/v1", "NetworkPolicy"): NetworkPolicy,
    ("policy/v1", "PodDisruptionBudget"): PodDisruptionBudget,
    ("batch/v1", "Job"): Job,
    ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant"): ReferenceGrant,
}
