"""The errors of the client.

ClientError
├── ApiError            the API refused: a problem document
├── NotAnsweringError   no response, or not one of Darkroom's, after all retries
├── JobFailedError      the job ended as failed
├── StillRunningError   the job did not end in the given time; it continues
└── JobUnreadableError  the job's record, or its status, is of another version of Darkroom
"""

from __future__ import annotations

from typing import Any


class ClientError(Exception):
    pass


class ApiError(ClientError):
    """The API refused the request. `problem` is the whole document (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail", ""))
        self.request_id = str(problem.get("request_id", ""))
        super().__init__(f"{self.code}: {self.detail} (request {self.request_id})")


class NotAnsweringError(ClientError):
    pass


class JobFailedError(ClientError):
    def __init__(self, job_id: str, error: dict[str, Any]) -> None:
        self.job_id = job_id
        self.code = str(error.get("code", ""))
        self.detail = str(error.get("message", ""))
        super().__init__(f"{self.code}: {self.detail}")


class StillRunningError(ClientError):
    def __init__(self, job_id: str, status: str, timeout_s: float) -> None:
        self.job_id = job_id
        self.status = status
        super().__init__(f"job {job_id} is still {status} after {timeout_s:g} s")


class JobUnreadableError(ClientError):
    def __init__(self, job_id: str, message: str) -> None:
        self.job_id = job_id
        super().__init__(f"job {job_id}: {message}")
