"""What the parameters of every job type have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from darkroom.contract.parameters.values import FrozenModel

JsonRules: TypeAlias = Mapping[str, Any]
"""Keywords of JSON Schema."""


class JobParameters(FrozenModel):
    """The base of every job type's parameters model."""

    json_rules: ClassVar[JsonRules] = {}
    """What the model's validators require of several fields together, for the JSON schema: `{"anyOf": ...}`."""
    text_rules: ClassVar[JsonRules] = {}
    """The same for form fields, which are absent where JSON may have null."""
    encoding_rules: ClassVar[Sequence[JsonRules]] = ()
    """Rules for JSON and forms alike."""

    @property
    def overlay_keys(self) -> tuple[str, ...]:
        """The storage keys of all overlays that the job needs, each once."""
        return ()
