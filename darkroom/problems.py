"""Converts errors to RFC 9457 problem documents, independent of any framework: a status, headers and a body."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from darkroom.errors import DarkroomError, InternalError, shortened
from darkroom.events import strict_json
from darkroom.redaction import redacted_value

MEDIA_TYPE = "application/problem+json"
_TYPE_BASE = "https://darkroom.dev/problems/"

_BATCH_DETAIL_CHARACTERS = 1000
"""Of one event among a hundred."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An HTTP response with a problem document."""

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
    if error.batch_errors:
        index = next(index for index, found in enumerate(error.batch_errors) if found is error)
        count = len(error.batch_errors)
        document["detail"] = f"event {index} of {count}: {error.detail}; nothing of the batch was accepted"
        document["events"] = [_batch_entry(index, found) for index, found in enumerate(error.batch_errors)]
    # The document repeats what the caller sent and ends up in the caller's logs.
    document = strict_json.finite(redacted_value(document))
    headers = {
        "content-type": MEDIA_TYPE,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'",
        "x-request-id": request_id,
        **error.headers(),
    }
    return Problem(status=error.status, headers=headers, body=_written(document))


def _written(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def _batch_entry(index: int, error: DarkroomError | None) -> dict[str, Any]:
    if error is None:
        return {"index": index, "verdict": "sound"}
    return {
        "index": index,
        "verdict": "refused",
        "code": error.code,
        "detail": shortened(error.detail, 1000),
        **error.extensions(),
    }


def unexpected(exc: BaseException) -> InternalError:
    """Wrap an unexpected exception for the caller, who learns only its type. The log has the rest."""
    return InternalError(f"the request could not be handled ({type(exc).__name__}); it was logged under its request id")
