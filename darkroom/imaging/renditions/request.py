"""The request for one of several renditions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from darkroom.contract.errors import PictureError, RejectedError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.imaging.facts import Facts
from darkroom.imaging.request import checked_plan

RenditionError: TypeAlias = PictureError | RejectedError
"""Why a rendition cannot be made, now or ever."""


@dataclass(frozen=True, kw_only=True)
class RenditionRequest:
    name: str
    """Unique among the requests for a picture."""
    type: str
    """A row of the table of job types."""
    parameters: OutputParameters
    """What the type's model made of the fields."""
    overlay: bytes | None = field(default=None, repr=False)
    """The picture that the parameter `overlay` names."""


def checked_renditions(facts: Facts, requests: Iterable[RenditionRequest], limits: Limits) -> dict[str, RenditionError]:
    """Return the errors of those renditions, by name, that the header shows to be impossible."""
    errors: dict[str, RenditionError] = {}
    for request in requests:
        try:
            checked_plan(facts, request.parameters, limits)
        except (PictureError, RejectedError) as exc:
            errors[request.name] = exc
    return errors
