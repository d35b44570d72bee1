"""Pages of which one part is generated: what is between two marks is replaced, the rest is written by people."""

from __future__ import annotations

from collections.abc import Iterable


def with_generated(page: str, begin: str, end: str, lines: Iterable[str]) -> str:
    """Return the page with these lines between the two marks. Raises ValueError when a mark is missing."""
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the page lacks the marks {begin} and {end}")
    return "\n".join([f"{before}{begin}", "", *lines, f"{end}{after}"])
