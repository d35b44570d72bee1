"""What a request asks for: parameters, or a preset in their place, resolved into the parameters that the job keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from darkroom.contract.errors import FieldError, ParametersInvalidError, PresetRequiredError
from darkroom.contract.job_types import JobType
from darkroom.contract.parameters.canonical import canonical_parameters
from darkroom.contract.parameters.job import JobParameters
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.renditions import (
    MAX_RENDITIONS,
    NAME_PATTERN,
    RENDITION_MODELS,
    RenditionsParameters,
)
from darkroom.contract.presets import Preset, Presets, PresetUse
from darkroom.events import strict_json

PRESET = "preset"
RENDITIONS = "renditions"
WHOLE_JOB = ""
"""The key in `Resolved.presets` of a job with one result; a rendition's is its name."""

_NAME = re.compile(NAME_PATTERN)
_ENTRY_FIELDS = ("preset", "type", "parameters")


@dataclass(frozen=True, kw_only=True)
class Resolved:
    parameters: JobParameters
    presets: Mapping[str, PresetUse] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RequestRules:
    """What requests may ask for in a deployment."""

    presets: Presets = field(default_factory=Presets)
    presets_only: bool = False
    """Whether parameters are refused, so that only what the operator named can be made."""

    def resolve(
        self, job_type: JobType, fields: Mapping[str, Any], *, preset: str | None = None, text: bool = False
    ) -> Resolved:
        """Resolve the parameters of a request; `text` is for form and query fields.

        Raises ParametersInvalidError, PresetUnknownError and PresetRequiredError.
        """
        if issubclass(job_type.parameters, OutputParameters):
            return self._one(job_type.name, job_type.parameters, fields, preset=preset, text=text)
        return self._several(fields, preset=preset, text=text)

    def _one(
        self,
        type_name: str,
        model: type[OutputParameters],
        fields: Mapping[str, Any],
        *,
        preset: str | None,
        text: bool,
    ) -> Resolved:
        if preset is None:
            self._refuse_without_preset()
            return Resolved(parameters=parse_parameters(model, fields, text=text))
        found = self._named(preset)
        if found.type != type_name:
            raise _invalid(PRESET, f"{found.name!r} is for {found.type}, not for {type_name}")
        parameters = self._with_preset(found, model, fields, text=text)
        return Resolved(parameters=parameters, presets={WHOLE_JOB: found.use})

    def _several(self, fields: Mapping[str, Any], *, preset: str | None, text: bool) -> Resolved:
        unknown = [name for name in fields if name != RENDITIONS]
        if unknown:
            raise ParametersInvalidError([FieldError(field=name[:80], message="unknown field") for name in unknown])
        entries = _entries(fields[RENDITIONS], text=text) if RENDITIONS in fields else {}
        for name in () if preset is None else _preset_names(preset):
            if name in entries:
                raise _invalid(PRESET, f"{name!r} is the name of two renditions")
            entries[name] = {PRESET: name}
        if not 1 <= len(entries) <= MAX_RENDITIONS:
            raise _invalid(RENDITIONS, f"a job has 1 to {MAX_RENDITIONS} of them, this one has {len(entries)}")
        return self._resolved(entries)

    def _resolved(self, entries: Mapping[str, Any]) -> Resolved:
        """Resolve each rendition, and report the mistakes of all."""
        found: dict[str, Any] = {}
        uses: dict[str, PresetUse] = {}
        mistakes: list[FieldError] = []
        for name, entry in entries.items():
            try:
                found[name], use = self._rendition(name, entry)
            except ParametersInvalidError as exc:
                mistakes += exc.errors
                continue
            if use is not None:
                uses[name] = use
        if mistakes:
            raise ParametersInvalidError(mistakes)
        return Resolved(parameters=parse_parameters(RenditionsParameters, {RENDITIONS: found}), presets=uses)

    def _rendition(self, name: str, entry: Any) -> tuple[dict[str, Any], PresetUse | None]:
        where = f"{RENDITIONS}.{name[:80]}"
        if not _NAME.fullmatch(name):
            raise _invalid(where, f"a rendition's name must match {NAME_PATTERN}")
        if not isinstance(entry, dict):
            raise _invalid(where, "must be an object: a preset, or a type and parameters")
        unknown = [key for key in entry if key not in _ENTRY_FIELDS]
        if unknown:
            raise _invalid(f"{where}.{unknown[0][:80]}", "unknown field")
        preset = self._preset_of(entry, where)
        type_name = entry.get("type", preset.type if preset else None)
        if not isinstance(type_name, str) or type_name not in RENDITION_MODELS:
            raise _invalid(f"{where}.type", f"must be {' or '.join(RENDITION_MODELS)}, unless a preset says it")
        if preset is not None and preset.type != type_name:
            raise _invalid(f"{where}.type", f"the preset {preset.name!r} is for {preset.type}")
        fields = entry.get("parameters", {} if preset else None)
        if not isinstance(fields, dict):
            raise _invalid(f"{where}.parameters", "must be an object")
        model = RENDITION_MODELS[type_name]
        try:
            parameters = self._with_preset(preset, model, fields) if preset else parse_parameters(model, fields)
        except ParametersInvalidError as exc:
            raise ParametersInvalidError([_within(f"{where}.parameters", error) for error in exc.errors]) from exc
        resolved = {"type": type_name, "parameters": canonical_parameters(parameters)}
        return resolved, None if preset is None else preset.use

    def _preset_of(self, entry: Mapping[str, Any], where: str) -> Preset | None:
        if PRESET not in entry:
            self._refuse_without_preset()
            return None
        if not isinstance(entry[PRESET], str):
            raise _invalid(f"{where}.{PRESET}", "must be the name of a preset")
        return self._named(entry[PRESET])

    def _with_preset(
        self, preset: Preset, model: type[OutputParameters], fields: Mapping[str, Any], *, text: bool = False
    ) -> OutputParameters:
        if fields and self.presets_only:
            names = ", ".join(sorted(name[:80] for name in fields))
            raise PresetRequiredError(
                f"this deployment makes presets only (PRESETS_ONLY): {names} cannot be given beside {preset.name!r}"
            )
        return parse_parameters(model, {**preset.parameters, **fields}, text=text)

    def _refuse_without_preset(self) -> None:
        if self.presets_only:
            known = ", ".join(self.presets.by_name) or "none"
            raise PresetRequiredError(f"this deployment makes presets only (PRESETS_ONLY): name one of {known}")

    def _named(self, name: str) -> Preset:
        return self.presets.named(name)


def _entries(value: Any, *, text: bool) -> dict[str, Any]:
    if text:
        try:
            value = strict_json.load(value.encode("utf-8", "surrogatepass"))
        except ValueError as exc:
            raise _invalid(RENDITIONS, f"must be JSON: {exc}") from exc
    if isinstance(value, dict) and set(value) == {RENDITIONS}:
        # The form's field may hold the JSON body's object as it is.
        value = value[RENDITIONS]
    if not isinstance(value, dict):
        raise _invalid(RENDITIONS, "must be an object: names, each with a preset, or a type and parameters")
    return dict(value)


def _preset_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise _invalid(PRESET, f"given more than once: {', '.join(sorted(repeated))[:80]}")
    return names


def _within(where: str, error: FieldError) -> FieldError:
    field = where if error.field == "parameters" else f"{where}.{error.field}"
    return FieldError(field=field, message=error.message, value=error.value)


def _invalid(field: str, message: str) -> ParametersInvalidError:
    return ParametersInvalidError([FieldError(field=field, message=message)])
