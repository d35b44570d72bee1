"""Comments in YAML that take a line out of a rule: `# darkroom: ignore[rule, other-rule]`.

A comment counts for its own line; a comment that has a line to itself counts for the next line that is no comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_COMMENT = re.compile(r"(?:^|\s)#\s*darkroom:\s*ignore\[(?P<rules>[^\]]*)\]")


@dataclass(frozen=True, kw_only=True)
class Suppressions:
    rules: Mapping[int, frozenset[str]]
    """The rules that are ignored, by line from 1."""
    named: Mapping[str, int]
    """Every rule that a comment names, with the first line."""

    def covers(self, line: int, rule: str) -> bool:
        return rule in self.rules.get(line, ())


def read_suppressions(text: str) -> Suppressions:
    rules: dict[int, frozenset[str]] = {}
    named: dict[str, int] = {}
    waiting: frozenset[str] = frozenset()
    for number, line in enumerate(text.splitlines(), 1):
        match = _COMMENT.search(line)
        here = frozenset(_names(match["rules"])) if match else frozenset[str]()
        for name in here:
            named.setdefault(name, number)
        if line.lstrip().startswith("#"):
            waiting |= here
        elif line.strip() and (here or waiting):
            rules[number] = here | waiting
            waiting = frozenset()
    return Suppressions(rules=rules, named=named)


def _names(text: str) -> Iterator[str]:
    yield from (name.strip() for name in text.split(",") if name.strip())
