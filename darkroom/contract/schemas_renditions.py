"""JSON Schemas of renditions and presets, beside those of `darkroom.contract.schemas`."""

from __future__ import annotations

from typing import Any, TypeAlias

from darkroom.contract.jobs import JobStatus
from darkroom.contract.parameters.renditions import MAX_RENDITIONS, NAME_PATTERN, RENDITION_MODELS

Schema: TypeAlias = dict[str, Any]

PRESET_DESCRIPTION = "The name of a preset, which stands in the place of the parameters; others override it."

_REFERENCES = "#/components/schemas/"


def preset_name() -> Schema:
    return {"type": "string", "pattern": NAME_PATTERN}


def asked_renditions() -> Schema:
    """Return the schema of the renditions that a request asks for, by name."""
    return {
        "type": "object",
        "propertyNames": {"pattern": NAME_PATTERN},
        "minProperties": 1,
        "maxProperties": MAX_RENDITIONS,
        "additionalProperties": {"anyOf": [{"$ref": f"{_REFERENCES}{name}"} for name in _asked_names()]},
        "description": "What to make, by name.",
    }


def asked_rendition_schemas() -> dict[str, Schema]:
    """Return the schemas of one rendition as it is asked for: by its parameters, or by a preset."""
    return {"RenditionByPreset": _by_preset()}


def _asked_names() -> list[str]:
    return [*(f"{name.capitalize()}Rendition" for name in RENDITION_MODELS), "RenditionByPreset"]


def _by_preset() -> Schema:
    return {
        "type": "object",
        "properties": {
            "preset": {**preset_name(), "description": "The name of a preset."},
            "type": {"enum": list(RENDITION_MODELS), "description": "The preset's, if it is given."},
            "parameters": {"type": "object", "description": "What is to be otherwise than the preset says."},
        },
        "required": ["preset"],
        "additionalProperties": False,
    }


def rendition(result: Schema) -> Schema:
    """Return the schema of one rendition of a job; `result` is that of a stored result."""
    statuses = [status.value for status in JobStatus]
    return {
        "type": "object",
        "properties": {
            "status": {"enum": statuses, "description": "Where the rendition is."},
            "result": {**result, "description": "What was made."},
            "error": {"$ref": f"{_REFERENCES}JobFailure", "description": "Why it was not made."},
            "preset": {"$ref": f"{_REFERENCES}PresetUse", "description": "The preset that it was asked for with."},
        },
        "required": ["status"],
        "additionalProperties": False,
    }


def preset_use() -> Schema:
    return {
        "type": "object",
        "properties": {
            "name": {**preset_name(), "description": "The preset's name."},
            "digest": _digest("Identifies what the preset said when the job was accepted."),
        },
        "required": ["name", "digest"],
        "additionalProperties": False,
    }


def preset() -> Schema:
    return {
        "type": "object",
        "properties": {
            "name": {**preset_name(), "description": "By which requests name it."},
            "type": {"enum": list(RENDITION_MODELS), "description": "The kind of job, or of rendition."},
            "parameters": {"type": "object", "description": "What it stands for."},
            "digest": _digest("Identifies the type and the parameters; it changes with them."),
        },
        "required": ["name", "type", "parameters", "digest"],
        "additionalProperties": False,
    }


def srcset() -> Schema:
    """Return the schema of the attributes of an `<img>` that shows a job's results."""
    text: Schema = {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "job_id": {**text, "format": "uuid", "description": "The job."},
            "status": {"$ref": f"{_REFERENCES}JobStatus", "description": "Where the job is."},
            "src": {**text, "format": "uri-reference", "description": "A signed URL of the widest result."},
            "srcset": {**text, "description": "Signed URLs of the results of its shape, each with its width."},
            "sizes": {**text, "description": "As wide as the page, and no wider than the widest result."},
            "width": {"type": "integer", "description": "Width of the widest result in pixels."},
            "height": {"type": "integer", "description": "Its height in pixels."},
            "expires_at": {**text, "format": "date-time", "description": "Until when the URLs are valid."},
        },
        "required": ["job_id", "status"],
        "additionalProperties": False,
    }


def _digest(description: str) -> Schema:
    return {"type": "string", "pattern": "^[0-9a-f]{16}$", "description": description}
