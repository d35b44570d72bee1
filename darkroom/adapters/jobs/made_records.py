"""The parts of a job's hash that only jobs with several results or with presets have.

A field `=<name>` for each rendition that was made or cannot be made: a JSON array in the first case, an object in the
second. A field `presets`. They are short from the start, since they are kept as long as the record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from darkroom.contract.errors import DarkroomError
from darkroom.contract.jobs import JobFailure, JobResult, Made, rendition_key
from darkroom.contract.presets import PresetUse

PREFIX = "="
_IMAGE = "image/"


def made_text(job_id: UUID, name: str, made: JobResult | DarkroomError) -> str:
    """Return the value of a rendition's field."""
    if isinstance(made, DarkroomError):
        return _compact({"code": made.code, "message": made.detail})
    key = made.storage_key
    base = rendition_key(job_id, name, "")
    values: list[Any] = [
        key.removeprefix(base) if key.startswith(base) else key,
        made.content_type.removeprefix(_IMAGE),
        made.width,
        made.height,
        made.bytes,
    ]
    return _compact(values if made.placeholder is None else [*values, made.placeholder])


def made_of(fields: Mapping[str, str], job_id: UUID, *, attempts: int) -> dict[str, Made]:
    """Return how renditions ended, by their names. Raises ValueError for what cannot be read."""
    return {
        field.removeprefix(PREFIX): made_from(json.loads(text), job_id, field.removeprefix(PREFIX), attempts=attempts)
        for field, text in fields.items()
        if field.startswith(PREFIX)
    }


def made_from(found: Any, job_id: UUID, name: str, *, attempts: int) -> Made:
    """Return how the rendition ended, from its field as JSON. Raises ValueError for what cannot be read."""
    if isinstance(found, dict):
        return JobFailure(code=found["code"], message=found["message"], attempts=attempts)
    if not isinstance(found, list):
        raise ValueError(f"its rendition {name} is no JSON array or object")
    key, kind, width, height, size, *placeholder = found
    return JobResult(
        storage_key=key if "/" in key else rendition_key(job_id, name, key),
        content_type=kind if "/" in kind else _IMAGE + kind,
        width=width,
        height=height,
        bytes=size,
        placeholder=placeholder[0] if placeholder else None,
    )


def presets_text(presets: Mapping[str, PresetUse]) -> str:
    return _compact({name: [use.name, use.digest] for name, use in presets.items()})


def presets_of(text: str) -> dict[str, PresetUse]:
    """Return the presets of a job. Raises ValueError for what cannot be read."""
    return presets_from(json.loads(text))


def presets_from(found: Any) -> dict[str, PresetUse]:
    if not isinstance(found, dict):
        raise ValueError("its presets are no JSON object")
    return {name: PresetUse(name=preset, digest=digest) for name, (preset, digest, *_) in found.items()}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
