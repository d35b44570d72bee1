"""The picture that a function is handed: its bytes, what its header says, and how to render it."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.limits import Limits
from darkroom.contract.parameters import Parameters
from darkroom.imaging import Facts, Rendition, render


@dataclass(frozen=True, kw_only=True)
class Picture:
    body: bytes
    facts: Facts
    limits: Limits

    def render(self, parameters: Parameters) -> Rendition:
        """Raises PictureError."""
        return render(self.body, parameters, self.limits, facts=self.facts)
