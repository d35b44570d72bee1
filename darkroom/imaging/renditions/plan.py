"""The plan of a picture's renditions: which share a decode, and what each is resampled from.

A group is decoded once. Where one rendition alone is resampled from the decoded pixels, they stream through; where
several are, they are held in memory. The other renditions are resampled from larger ones of the same group, before
these are blurred, sharpened or encoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from darkroom.imaging.cost import decode_cost, output_cost
from darkroom.imaging.facts import Facts
from darkroom.imaging.geometry import Size, is_turned
from darkroom.imaging.renditions.members import Member
from darkroom.imaging.shrinking import DecodeScale


@dataclass(frozen=True, kw_only=True)
class Step:
    member: Member
    source: Member | None
    """The earlier member of the group that this one is resampled from; None means the decoded picture."""


@dataclass(frozen=True, kw_only=True)
class Group:
    facts: Facts
    steps: tuple[Step, ...]
    """Not empty; the first one's source is the decoded picture."""

    @property
    def head(self) -> Member:
        """The member that decides how large the picture is decoded."""
        return self.steps[0].member

    @property
    def scale(self) -> DecodeScale:
        return self.head.scale

    @property
    def members(self) -> Iterator[Member]:
        return (step.member for step in self.steps)

    @property
    def is_shared(self) -> bool:
        return len(self.steps) > 1

    @property
    def holds_decoded(self) -> bool:
        return sum(step.source is None for step in self.steps) > 1

    @property
    def decoded_bytes(self) -> int:
        """The most memory that the decoded pixels take where they are held."""
        return pixel_bytes(self.facts) * decoded_size(self.facts, self.scale.if_fine).pixels

    def is_last_use(self, index: int, source: Member | None) -> bool:
        """Return whether no step after this one is resampled from the source."""
        return all(step.source is not source for step in self.steps[index + 1 :])

    def with_step(self, member: Member, source: Member | None) -> Group:
        return replace(self, steps=(*self.steps, Step(member=member, source=source)))

    @property
    def held_bytes(self) -> int:
        """The most memory that pixels take which wait for later steps."""
        return max(self._held_bytes_while(index) for index in range(len(self.steps)))

    @property
    def memory_bytes(self) -> int:
        """Estimate the most memory on top of the idle process."""
        decoding = decode_cost(self.facts, frames=self.head.prepared.frames).memory_bytes
        making = [self._held_bytes_while(index) + self._made_bytes(index) for index in range(len(self.steps))]
        return max(decoding + making[0], *making)

    def _held_bytes_while(self, index: int) -> int:
        held = self.decoded_bytes if self.holds_decoded and not self.is_last_use(index - 1, None) else 0
        for earlier in self.steps[: index + 1]:
            if not self.is_last_use(index - 1, earlier.member) or not self.is_last_use(index, earlier.member):
                held += pixel_bytes(self.facts) * earlier.member.size.pixels
        return held

    def _made_bytes(self, index: int) -> int:
        member = self.steps[index].member
        return output_cost(self.facts, member.prepared.parameters, plan=member.prepared.plan).memory_bytes


@dataclass(frozen=True, kw_only=True)
class RenditionsPlan:
    groups: tuple[Group, ...]
    """Every rendition is in exactly one of them. They are rendered one after the other."""

    @property
    def memory_bytes(self) -> int:
        """Estimate the most memory on top of the idle process."""
        return max((group.memory_bytes for group in self.groups), default=0)


def decoded_size(facts: Facts, scale: float) -> Size:
    """Return about the size of the picture as stored when it is decoded at this scale."""
    stored = facts.size.turned if is_turned(facts.orientation) else facts.size
    return Size(width=round(stored.width * scale), height=round(stored.height * scale))


def pixel_bytes(facts: Facts) -> int:
    """Return the most bytes that a decoded pixel takes."""
    bands = max(facts.bands, 4 if facts.has_alpha else 3)
    return bands * (1 if facts.bits == 8 else 2)
