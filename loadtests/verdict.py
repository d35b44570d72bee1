"""The result of an audit: what was accepted, how it ended, and every case in which the promise was broken."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Verdict:
    accepted: int = 0
    completed: int = 0
    failed: int = 0
    lost: list[str] = field(default_factory=list)
    """Accepted, but no such job exists; or completed, and its result is not what was promised."""
    doubled: list[str] = field(default_factory=list)
    """One picture, more than one job."""
    stuck: list[str] = field(default_factory=list)
    """Accepted, and not ended when the time to settle was up."""

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.stuck)

    def counts(self) -> dict[str, int]:
        return {
            "accepted": self.accepted,
            "completed": self.completed,
            "failed": self.failed,
            "lost": len(self.lost),
            "doubled": len(self.doubled),
            "stuck": len(self.stuck),
        }

    def cases(self) -> list[str]:
        """Return each case in words."""
        broken = (("lost", self.lost), ("doubled", self.doubled), ("stuck", self.stuck))
        return [f"{what}: {case}" for what, cases in broken for case in cases]
