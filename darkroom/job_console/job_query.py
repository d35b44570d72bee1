"""The query of the list of jobs: what the fields of its form mean, and its cursor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from darkroom.adapters.jobs import JobCursor
from darkroom.adapters.jobs.searching import JobSearch
from darkroom.contract.job_types import NAMES
from darkroom.contract.jobs import JobStatus
from darkroom.events.durations import parse_go

FIELDS = ("id", "status", "type", "key", "error", "older", "newer")
NO_KEY = "-"
"""What the field `key` has for jobs that were posted without an API key."""
STATUSES = tuple(status.value for status in JobStatus)
_DIGITS = re.compile(r"[0-9a-f]{0,32}")
_DASHES_AFTER = (8, 12, 16, 20)
_LONGEST_S = 10 * 365 * 86400.0


@dataclass(frozen=True, kw_only=True)
class JobQuery:
    wanted: JobSearch
    after: JobCursor | None
    values: Mapping[str, str]
    """What was typed, by field."""
    mistakes: Mapping[str, str] = field(default_factory=dict)
    """Sentences, by field. With one, nothing is searched for: it would be something else than was meant."""

    @property
    def is_narrowed(self) -> bool:
        return any(self.values.values())


def query_of(given: Mapping[str, str], *, now: datetime | None = None) -> JobQuery:
    """Parse the fields of a query string."""
    values = {name: given.get(name, "").strip()[:200] for name in FIELDS}
    mistakes: dict[str, str] = {}
    moments = {name: _before(values[name], name, mistakes, now or datetime.now(UTC)) for name in ("older", "newer")}
    wanted = JobSearch(
        owner={"": None, NO_KEY: ""}.get(values["key"], values["key"]),
        status=JobStatus(values["status"]) if _is_one_of(STATUSES, "status", values, mistakes) else None,
        job_type=values["type"] if _is_one_of(NAMES, "type", values, mistakes) else None,
        error_code=values["error"] or None,
        id_prefix=_prefix(values["id"].lower(), mistakes),
        since=moments["newer"],
        before=moments["older"],
    )
    return JobQuery(wanted=wanted, after=_cursor(given.get("after", "")), values=values, mistakes=mistakes)


def cursor_text(cursor: JobCursor) -> str:
    return f"{cursor.created_ms}.{cursor.job_id}"


def _cursor(text: str) -> JobCursor | None:
    """Return the cursor; None for text that is none, which shows the first page."""
    moment, _, job_id = text.partition(".")
    try:
        cursor = JobCursor(created_ms=int(moment), job_id=UUID(job_id))
    except ValueError:
        return None
    return cursor if 0 <= cursor.created_ms < 2**53 else None


def _is_one_of(choices: tuple[str, ...], name: str, values: Mapping[str, str], mistakes: dict[str, str]) -> bool:
    if values[name] and values[name] not in choices:
        mistakes[name] = f"must be one of {', '.join(choices)}, was {values[name]!r}"
    return values[name] in choices


def _prefix(text: str, mistakes: dict[str, str]) -> str:
    """Return the beginning of an id with dashes where ids have them, wherever they were typed."""
    digits = text.replace("-", "")
    if _DIGITS.fullmatch(digits):
        return "".join(f"-{digit}" if place in _DASHES_AFTER else digit for place, digit in enumerate(digits))
    mistakes["id"] = f"must be a job's id or its beginning, digits from 0 to f, was {text[:40]!r}"
    return ""


def _before(text: str, name: str, mistakes: dict[str, str], now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        seconds = parse_go(text)
    except ValueError as exc:
        mistakes[name] = str(exc)
        return None
    if not 0 <= seconds <= _LONGEST_S:
        mistakes[name] = f"must be from 0 s to 10 years, was {text!r}"
        return None
    return now - timedelta(seconds=seconds)
