"""Errors as RFC 9457 problem documents. Framework-neutral: a status, headers and a body."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from darkroom.errors import DarkroomError, InternalError
from darkroom.redaction import redacted_value

MEDIA_TYPE = "application/problem+json"
_TYPE_BASE = "https://darkroom.dev/problems/"


@dataclass(frozen=True, kw_only=True)
class Problem:
    status: int
    headers: dict[str, str]
    body: bytes


def problem(error: DarkroomError, *, request_id: str) -> Problem:
    document: dict[str, Any] = {
        "type": f"{_TYPE_BASE}{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        **error.extensions(),
    }
    if error.verdicts:
        index = next(index for index, found in enumerate(error.verdicts) if found is error)
        count = len(error.verdicts)
        document["detail"] = f"event {index} of {count}: {error.detail}; nothing of the batch was accepted"
        document["events"] = [_verdict(index, found) for index, found in enumerate(error.verdicts)]
    # It shows what the caller sent, and ends in the caller's logs.
    document = redacted_value(document)
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store", "x-request-id": request_id, **error.headers()}
    return Problem(
        status=error.status, headers=headers, body=json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    )


def _verdict(index: int, error: DarkroomError | None) -> dict[str, Any]:
    if error is None:
        return {"index": index, "verdict": "sound"}
    return {"index": index, "verdict": "refused", "code": error.code, "detail": error.detail, **error.extensions()}


def unexpected(exc: Exception) -> InternalError:
    """What strangers are told of a fault of ours: that it was one. The log has the rest."""
    return InternalError(f"the request could not be handled ({type(exc).__name__}); it was logged under its request id")
