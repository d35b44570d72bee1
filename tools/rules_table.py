"""`python -m tools.rules_table docs/check.md`: writes the rules of `darkroom check` into their page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from darkroom.manifests.platform.rules import RULES
from darkroom.manifests.platform.severity import Severity
from tools.marked_pages import with_generated

BEGIN = "<!-- the rules: made by `make reference`; do not edit -->"
END = "<!-- end of the rules -->"


def with_rules(page: str) -> str:
    """Return the page with the tables between the two marks regenerated. Raises ValueError when they are missing."""
    return with_generated(page, BEGIN, END, _lines())


def _lines() -> Iterator[str]:
    for severity in Severity:
        yield f"### {severity.value.capitalize()}s"
        yield ""
        yield "| rule | what it finds |"
        yield "|---|---|"
        for rule in sorted(RULES.values(), key=lambda each: each.id):
            if rule.severity is severity:
                yield f"| `{rule.id}` | {rule.title} |"
        yield ""


def main() -> None:
    page = Path(sys.argv[1])
    page.write_text(with_rules(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
