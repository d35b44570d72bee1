"""The query of `GET /api/v1/jobs`, and its cursor: opaque text that callers pass back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from darkroom.adapters.jobs import JobCursor
from darkroom.contract.errors import FieldError, ParametersInvalidError
from darkroom.contract.job_types import NAMES
from darkroom.contract.jobs import JobStatus
from darkroom.contract.listing import DEFAULT_LIMIT, MAX_LIMIT

_FIELDS = ("status", "type", "limit", "cursor")
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, kw_only=True)
class ListQuery:
    status: JobStatus | None
    job_type: str | None
    limit: int
    after: JobCursor | None


def list_query_of(pairs: Sequence[tuple[str, str]]) -> ListQuery:
    """Parse the query. Raises ParametersInvalidError, which lists every mistake."""
    errors: list[FieldError] = []
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name not in _FIELDS:
            errors.append(_error(name, "unknown field", value))
        elif name in fields:
            errors.append(_error(name, "given more than once", value))
        fields[name] = value
    status = _choice([status.value for status in JobStatus], "status", fields, errors)
    query = ListQuery(
        status=None if status is None else JobStatus(status),
        job_type=_choice(NAMES, "type", fields, errors),
        limit=_limit(fields, errors),
        after=_cursor(fields, errors),
    )
    if errors:
        raise ParametersInvalidError(errors)
    return query


def cursor_text(cursor: JobCursor) -> str:
    return base64.urlsafe_b64encode(f"{cursor.created_ms}.{cursor.job_id}".encode()).decode().rstrip("=")


def _choice(choices: Sequence[str], name: str, fields: dict[str, str], errors: list[FieldError]) -> str | None:
    if name not in fields:
        return None
    if fields[name] not in choices:
        errors.append(_error(name, f"must be {', '.join(choices)}", fields[name]))
        return None
    return fields[name]


def _limit(fields: dict[str, str], errors: list[FieldError]) -> int:
    text = fields.get("limit", str(DEFAULT_LIMIT))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= limit <= MAX_LIMIT:
        errors.append(_error("limit", f"must be a whole number from 1 to {MAX_LIMIT}", text))
    return limit


def _cursor(fields: dict[str, str], errors: list[FieldError]) -> JobCursor | None:
    if "cursor" not in fields:
        return None
    text = fields["cursor"]
    try:
        decoded = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode("ascii")
        created, _, job_id = decoded.partition(".")
        cursor = JobCursor(created_ms=int(created), job_id=UUID(job_id))
    except (ValueError, binascii.Error):
        cursor = None
    if cursor is None or cursor_text(cursor) != text or not 0 <= cursor.created_ms < 2**53:
        errors.append(_error("cursor", "must be the cursor of an earlier page", text))
    return cursor


def _error(name: str, message: str, value: str) -> FieldError:
    return FieldError(field=name[:_SHOWN_CHARACTERS], message=message, value=value[:_SHOWN_CHARACTERS])
