"""Parameters that a person has edited as JSON: what they change, in the terms of a redrive. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from darkroom.contract.errors import FieldError, ParametersInvalidError
from darkroom.contract.jobs import JobRecord
from darkroom.events import strict_json


def parameters_text(record: JobRecord) -> str:
    return json.dumps(record.parameters, indent=2, ensure_ascii=False)


def edited(text: str) -> dict[str, Any]:
    """Parse the text. Raises ParametersInvalidError if it is no JSON object."""
    try:
        found = strict_json.load(text.encode())
    except ValueError as exc:
        raise ParametersInvalidError([FieldError(field="parameters", message=f"must be JSON: {exc}")]) from exc
    if not isinstance(found, dict):
        raise ParametersInvalidError([FieldError(field="parameters", message="must be a JSON object")])
    return found


def changes_of(record: JobRecord, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return what differs from the job's parameters, as `--set NAME=VALUE` has it: empty to remove one, and
    RENDITION.NAME for one of a rendition.

    Raises ParametersInvalidError if renditions were added, removed or made of another type: that is another job.
    """
    if not record.rendition_names:
        return _differences(record.parameters, parameters)
    before, after = record.parameters["renditions"], parameters.get("renditions")
    if not isinstance(after, dict) or list(after) != list(before):
        names = ", ".join(record.rendition_names)
        raise ParametersInvalidError([FieldError(field="renditions", message=f"must be those of the job: {names}")])
    return {
        f"{name}.{parameter}": value
        for name in before
        for parameter, value in _of_rendition(name, before[name], after[name]).items()
    }


def _of_rendition(name: str, before: Mapping[str, Any], after: Any) -> dict[str, str]:
    if not isinstance(after, dict) or after.get("type") != before.get("type"):
        message = f"must have the type {before.get('type')!r} and parameters"
        raise ParametersInvalidError([FieldError(field=f"renditions.{name}", message=message)])
    parameters = after.get("parameters", {})
    if not isinstance(parameters, dict):
        message = "must be a JSON object"
        raise ParametersInvalidError([FieldError(field=f"renditions.{name}.parameters", message=message)])
    return _differences(before["parameters"], parameters)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    changed = {name: json.dumps(value) for name, value in after.items() if before.get(name) != value}
    return {**changed, **{name: "" for name in before if name not in after}}
