"""Formats findings as SARIF 2.1.0 (OASIS), which code hosts show next to the line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from darkroom.check.finding import Finding
from darkroom.manifests.platform.rule import RULES, Rule
from darkroom.manifests.platform.severity import Severity

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Sequence[Finding], *, version: str) -> dict[str, Any]:
    driver = {"name": "darkroom check", "version": version, "rules": [_rule(each) for each in RULES.values()]}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_result(each) for each in findings]}],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.on_the_cluster},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": _level(rule.severity)},
    }


def _result(finding: Finding) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": finding.file.as_posix()}, "region": {"startLine": finding.line}}
    return {
        "ruleId": finding.rule,
        "level": _level(finding.severity),
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": place}],
    }


def _level(severity: Severity) -> str:
    """SARIF's word for a severity."""
    return "note" if severity is Severity.HINT else str(severity)
