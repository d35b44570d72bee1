"""Kinds that a cluster needs and one machine has no use for: taken, with their metadata checked, and not run.

Only what is named here: a kind that nobody thought of stays an error, so that nothing is left out in silence. Their
specifications are held against Kubernetes' own schemas in the tests of the manifests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from darkroom.manifests.model import Resource


class NetworkPolicy(Resource):
    """Everything listens on loopback."""

    api_version: Literal["networking.k8s.io/v1"]
    kind: Literal["NetworkPolicy"]
    spec: dict[str, Any]


class PodDisruptionBudget(Resource):
    """Nobody drains this machine."""

    api_version: Literal["policy/v1"]
    kind: Literal["PodDisruptionBudget"]
    spec: dict[str, Any]


class Job(Resource):
    """The setup Job: `darkroom up` makes the bucket and the dead-letter stream itself, by the same adapters."""

    api_version: Literal["batch/v1"]
    kind: Literal["Job"]
    spec: dict[str, Any]


class ReferenceGrant(Resource):
    """The local gateway may reach every Service."""

    api_version: Literal["gateway.networking.k8s.io/v1beta1"]
    kind: Literal["ReferenceGrant"]
    spec: dict[str, Any]


PASSED_OVER: Mapping[tuple[str, str], type[Resource]] = {
    ("networking.k8s.io/v1", "NetworkPolicy"): NetworkPolicy,
    ("policy/v1", "PodDisruptionBudget"): PodDisruptionBudget,
    ("batch/v1", "Job"): Job,
    ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant"): ReferenceGrant,
}
