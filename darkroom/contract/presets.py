"""Presets: parameters that have a name. An operator writes them in a file, and requests name them.

A preset's digest identifies its content, so that a job says for ever what it was made with, and a changed preset can be
told from an unchanged one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from darkroom.contract.errors import FieldError, ParametersInvalidError, PresetUnknownError
from darkroom.contract.parameters.canonical import canonical_parameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.renditions import NAME_PATTERN, RENDITION_MODELS

_NAME = re.compile(NAME_PATTERN)
_DIGEST_CHARACTERS = 16
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, kw_only=True)
class PresetUse:
    """The preset that a job, or one of its renditions, was asked for with."""

    name: str
    digest: str

    def view(self) -> dict[str, str]:
        return {"name": self.name, "digest": self.digest}


@dataclass(frozen=True, kw_only=True)
class Preset:
    name: str
    type: str
    """`resize` or `crop`."""
    parameters: Mapping[str, Any]
    """In JSON types, without defaults."""

    @property
    def digest(self) -> str:
        """The beginning of the SHA-256 of the type and the parameters; 64 bits."""
        content = json.dumps([self.type, dict(self.parameters)], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()[:_DIGEST_CHARACTERS]

    @property
    def use(self) -> PresetUse:
        return PresetUse(name=self.name, digest=self.digest)

    def view(self) -> dict[str, Any]:
        """Return the preset as the API shows it."""
        return {"name": self.name, "type": self.type, "parameters": dict(self.parameters), "digest": self.digest}


@dataclass(frozen=True, kw_only=True)
class Presets:
    """The presets of one file. Without a file there are none."""

    by_name: Mapping[str, Preset] = field(default_factory=dict)

    def named(self, name: str) -> Preset:
        """Return the preset. Raises PresetUnknownError, which suggests the nearest name."""
        if name not in self.by_name:
            raise _unknown(name, tuple(self.by_name))
        return self.by_name[name]

    def __iter__(self) -> Iterator[Preset]:
        return iter(self.by_name.values())

    def __len__(self) -> int:
        return len(self.by_name)


class PresetsInvalidError(ValueError):
    """The presets are not usable. `mistakes` has one entry per mistake: the field, and what is wrong with it."""

    def __init__(self, mistakes: list[FieldError]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(f"{mistake.field}: {mistake.message}" for mistake in mistakes))


def parse_presets(document: Any) -> Presets:
    """Parse the content of a presets file: names with a type and parameters. Raises PresetsInvalidError, which lists
    every mistake.
    """
    if document is None:
        return Presets()
    if not isinstance(document, dict):
        raise PresetsInvalidError([_mistake("presets", "must be names, each with a type and parameters")])
    found: dict[str, Preset] = {}
    mistakes: list[FieldError] = []
    for name, entry in document.items():
        try:
            found[str(name)] = _preset(name, entry)
        except PresetsInvalidError as exc:
            mistakes += exc.mistakes
    if mistakes:
        raise PresetsInvalidError(mistakes)
    return Presets(by_name=found)


def _preset(name: Any, entry: Any) -> Preset:
    where = str(name)[:_SHOWN_CHARACTERS]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PresetsInvalidError([_mistake(where, f"a preset's name must match {NAME_PATTERN}")])
    if not isinstance(entry, dict) or set(entry) != {"type", "parameters"}:
        raise PresetsInvalidError([_mistake(where, "must have a type and parameters, and nothing else")])
    model = RENDITION_MODELS.get(entry["type"]) if isinstance(entry["type"], str) else None
    if model is None:
        raise PresetsInvalidError([_mistake(f"{where}.type", f"must be {' or '.join(RENDITION_MODELS)}")])
    if not isinstance(entry["parameters"], dict):
        raise PresetsInvalidError([_mistake(f"{where}.parameters", "must be names with values")])
    try:
        parameters = parse_parameters(model, {str(key): value for key, value in entry["parameters"].items()})
    except ParametersInvalidError as exc:
        raise PresetsInvalidError([_within(f"{where}.parameters", error) for error in exc.errors]) from exc
    return Preset(name=name, type=entry["type"], parameters=canonical_parameters(parameters))


def _within(where: str, error: FieldError) -> FieldError:
    # An error of several fields together is that of all parameters.
    return _mistake(where if error.field == "parameters" else f"{where}.{error.field}", error.message)


def _mistake(where: str, message: str) -> FieldError:
    return FieldError(field=where, message=message)


def _unknown(name: str, known: tuple[str, ...]) -> PresetUnknownError:
    # Imported here, because imports lengthen the cold start.
    import difflib

    name = name[:_SHOWN_CHARACTERS]
    nearest = difflib.get_close_matches(name, known, n=1)
    suggestion = f"; did you mean {nearest[0]!r}?" if nearest else ""
    if not known:
        suggestion = "; this deployment has none (PRESETS_FILE)"
    return PresetUnknownError(f"there is no preset {name!r}{suggestion}")
