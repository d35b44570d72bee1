"""How bad a finding is."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"
    """It does not work, or loses events."""
    WARNING = "warning"
    """It works until something happens: load, a restart, a mistake elsewhere."""
    HINT = "hint"
    """It works, and there is a better way, or nothing can be said about it."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)
