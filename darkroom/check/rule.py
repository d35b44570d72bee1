"""What a rule is, and the list that rules enter themselves into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from darkroom.check.bundle import Bundle, Manifest
from darkroom.check.finding import Severity
from darkroom.manifests.source import FieldPath

Problem: TypeAlias = tuple[Manifest, FieldPath, str]
"""Where, and what is wrong there, with the measured value."""
Look: TypeAlias = Callable[[Bundle], Iterator[Problem]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    id: str
    severity: Severity
    title: str
    on_the_cluster: str
    """What happens there."""
    fix: str
    """What to write instead."""
    bad: str
    """The least YAML that breaks it; `--explain` shows it, and the tests run it."""
    good: str
    look: Look


RULES: dict[str, Rule] = {}


def rule(
    id: str, severity: Severity, title: str, *, on_the_cluster: str, fix: str, bad: str, good: str
) -> Callable[[Look], Look]:
    def enter(look: Look) -> Look:
        RULES[id] = Rule(
            id=id,
            severity=severity,
            title=title,
            on_the_cluster=on_the_cluster,
            fix=fix,
            bad=bad,
            good=good,
            look=look,
        )
        return look

    return enter
