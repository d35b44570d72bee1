"""A job whose record cannot be read: another version of Darkroom wrote it, or it was damaged.

It is shown as such and left alone, so that it neither hides other jobs nor keeps anybody waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

STATUS = "unreadable"
CODE = "job.unreadable"


@dataclass(frozen=True, kw_only=True)
class UnreadableJob:
    job_id: UUID
    owner: str
    type: str
    """As the record says; empty if it does not."""
    reason: str
    """What cannot be read, such as `status is 'paused'`."""

    @property
    def message(self) -> str:
        return f"its record is of another version of Darkroom, or damaged: {self.reason}"

    def view(self) -> dict[str, Any]:
        """Return the job as the API shows it: what is known, and why there is no more."""
        return {
            "job_id": str(self.job_id),
            "type": self.type,
            "status": STATUS,
            "error": {"code": CODE, "message": self.message, "attempts": 0},
        }
