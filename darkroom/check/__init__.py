"""Predicts how a cluster would treat event-driven Knative YAML: a linter of small rules, for our own and others' files.

It reads plain YAML, not the local runtime's strict models, because what those reject may be valid on a cluster. A rule
is a pure function from the manifests to what violates it. It runs nothing and needs no cluster.
"""

from darkroom.check.finding import Finding
from darkroom.check.run import Inspection, check, check_texts, inspect, inspect_texts
from darkroom.manifests.platform.bundle import Bundle, Manifest
from darkroom.manifests.platform.rule import Rule
from darkroom.manifests.platform.severity import Severity

__all__ = [
    "Bundle",
    "Finding",
    "Inspection",
    "Manifest",
    "Rule",
    "Severity",
    "check",
    "check_texts",
    "inspect",
    "inspect_texts",
]
