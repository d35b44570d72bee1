"""What a cluster would make of event-driven Knative YAML: a linter of small rules, for our own files and strangers'.

It reads plain YAML, not the local runtime's strict models: what those do not know may be right on a cluster. A rule is
a pure function from the manifests to findings; running nothing, it needs no cluster.
"""

from darkroom.check.bundle import Bundle, Manifest
from darkroom.check.finding import Finding, Severity
from darkroom.check.rule import Rule
from darkroom.check.run import check, check_texts

__all__ = ["Bundle", "Finding", "Manifest", "Rule", "Severity", "check", "check_texts"]
