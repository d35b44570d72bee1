"""Formats findings for a terminal: the worst first, and many of one kind in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from darkroom.check.finding import Finding
from darkroom.manifests.platform.severity import Severity

SHOWN_PER_RULE = 5
"""Warnings and hints of one rule that are written out; errors always are."""


def lines(findings: Sequence[Finding], *, every: bool = False) -> Iterator[str]:
    """One line per finding, by severity and rule.

    If a rule has many warnings, only the first are shown and the rest are counted, unless `every`.
    """
    ordered = sorted(findings, key=lambda each: (each.severity.rank, each.rule, each))
    for (severity, rule), group in groupby(ordered, key=lambda each: (each.severity, each.rule)):
        members = list(group)
        # One more costs no more lines than the sentence that it is left out.
        shown = members if every or severity is Severity.ERROR else members[:SHOWN_PER_RULE]
        yield from (str(each) for each in shown)
        hidden = members[len(shown) :]
        if hidden:
            files = len({each.file for each in hidden})
            where = "1 file" if files == 1 else f"{files} files"
            yield f"    and {len(hidden)} more {severity}s [{rule}] in {where}; --all shows them"


def summary(findings: Sequence[Finding]) -> str:
    """`2 errors, 1 warning`; `nothing found` if there are none."""
    counts = Counter(each.severity for each in findings)
    parts = [f"{count} {severity}{'s' if count > 1 else ''}" for severity in Severity if (count := counts[severity])]
    return ", ".join(parts) or "nothing found"
