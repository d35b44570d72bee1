"""Predicts how a cluster would treat event-driven Knative YAML: a linter of small rules, for our own and others' files.

It reads plain YAML, not the local runtime's strict models, because what those reject may be valid on a cluster. A rule
is a pure function from the manifests to what violates it. It runs nothing and needs no cluster.
"""

from darkroom.check.bundle import Bundle, Manifest
from darkroom.check.finding import Finding, Severity
from darkroom.check.rule import Rule
from darkroom.check.run import check, check_texts

__all__ = ["Bundle", "Finding", "Manifest", "Rule", "Severity", "check", "check_texts"]
