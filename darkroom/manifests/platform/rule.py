"""The definition of a rule, and the registry to which the decorator adds each rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from darkroom.manifests.platform.bundle import Bundle, Manifest
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import FieldPath

RuleViolation: TypeAlias = tuple[Manifest, FieldPath, str] | tuple[Manifest, FieldPath, str, Severity]
"""The manifest, the field, and a message that says what is wrong there, with the measured value; and the severity, if
it is not the rule's."""
ViolationFinder: TypeAlias = Callable[[Bundle], Iterator[RuleViolation]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    id: str
    severity: Severity
    title: str
    on_the_cluster: str
    """What happens on a cluster."""
    fix: str
    """What to write instead."""
    bad: str
    """A minimal YAML that violates the rule; `--explain` shows it, and the tests run it."""
    good: str
    find_violations: ViolationFinder


RULES: dict[str, Rule] = {}


def rule(
    id: str, severity: Severity, title: str, *, on_the_cluster: str, fix: str, bad: str, good: str
) -> Callable[[ViolationFinder], ViolationFinder]:
    def register(find_violations: ViolationFinder) -> ViolationFinder:
        RULES[id] = Rule(
            id=id,
            severity=severity,
            title=title,
            on_the_cluster=on_the_cluster,
            fix=fix,
            bad=bad,
            good=good,
            find_violations=find_violations,
        )
        return find_violations

    return register
