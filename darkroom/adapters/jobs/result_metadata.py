"""What is stored with a result, so that its job can be restored by a HEAD request instead of reading the picture."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import ValidationError

from darkroom.adapters.storage import ObjectInfo
from darkroom.contract.jobs import JobResult

RESULT = "darkroom-result"
_SHOWN_BY_HEAD = {"storage_key", "content_type", "bytes"}


def result_metadata(result: JobResult) -> Mapping[str, str]:
    return {RESULT: json.dumps(result.model_dump(exclude=_SHOWN_BY_HEAD, exclude_none=True), separators=(",", ":"))}


def described_result(info: ObjectInfo) -> JobResult | None:
    """Return the result that the object is. None: it bears no description, as one of an earlier version."""
    try:
        described = json.loads(info.metadata[RESULT])
        known = {name: described[name] for name in JobResult.model_fields if name in described}
        return JobResult(
            **{**known, "storage_key": info.key, "content_type": info.content_type, "bytes": info.size_bytes}
        )
    except (KeyError, TypeError, ValueError, ValidationError):
        return None
