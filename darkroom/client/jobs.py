"""A job as the API last reported it, and pages of jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from darkroom.client.errors import JobUnreadableError
from darkroom.contract.jobs import JobStatus


@dataclass(frozen=True, kw_only=True)
class JobState:
    """One job as returned by the API. `document` is all of it."""

    document: dict[str, Any]

    @property
    def job_id(self) -> str:
        return str(self.document["job_id"])

    @property
    def status(self) -> JobStatus:
        """The job's status. Raises JobUnreadableError if the record, or the status, is of another version."""
        text = str(self.document.get("status", ""))
        try:
            return JobStatus(text)
        except ValueError as exc:
            error = self.document.get("error")
            message = str(error.get("message", "")) if isinstance(error, dict) else ""
            raise JobUnreadableError(self.job_id, message or f"this client knows no status {text!r}") from exc

    @property
    def is_final(self) -> bool:
        return self.status.is_final

    @property
    def result(self) -> dict[str, Any]:
        """The result of a completed job: `url`, `storage_key`, `content_type`, `width`, `height`, `bytes`."""
        result: dict[str, Any] = self.document["result"]
        return result

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """The renditions of a job with several results, by name: `status`, and `result` or `error`."""
        return dict(self.document.get("results", {}))

    @property
    def made(self) -> dict[str, dict[str, Any]]:
        """The results of the renditions that were made, by name."""
        return {name: one["result"] for name, one in self.results.items() if "result" in one}

    @property
    def error(self) -> dict[str, Any]:
        """The error of a failed job: `code`, `message`, `attempts`."""
        error: dict[str, Any] = self.document["error"]
        return error

    @property
    def timings_ms(self) -> dict[str, int]:
        return dict(self.document["timings_ms"])


@dataclass(frozen=True, kw_only=True)
class JobPage:
    jobs: list[JobState]
    next_cursor: str | None
