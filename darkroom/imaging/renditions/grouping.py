"""Plans renditions: each gets the cheapest source that gives it the quality of a job of its own, within the memory.

The figures are CPU milliseconds per megapixel on one core of a 2025 server; only their ratios matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from darkroom.contract.limits import MEBIBYTE, MEGAPIXEL
from darkroom.contract.parameters.values import Format
from darkroom.imaging.cost import decode_cost
from darkroom.imaging.facts import Facts
from darkroom.imaging.geometry import Size
from darkroom.imaging.renditions.members import Member, member_of
from darkroom.imaging.renditions.plan import Group, RenditionsPlan, Step, decoded_size
from darkroom.imaging.renditions.request import RenditionRequest
from darkroom.imaging.shrinking import DecodeScale, Shrink

# Resampling twice is as near to Lanczos as resampling once if the second time at least halves the picture: then what
# the first one's kernel takes from the finest detail lies outside of what the second one's lets through.
_LEAST_FACTOR = 2
_MAX_HELD_BYTES = 64 * MEBIBYTE
_READ_MS, _WRITTEN_MS = 2.3, 5
# A JPEG's entropy coding is decoded whole, its inverse DCT only as far as the scale requires.
_JPEG_DECODE_MS, _JPEG_WHOLE_PART = 5.6, 0.25


def plan_renditions(
    facts: Facts, requests: Iterable[RenditionRequest], *, shrink: Shrink = Shrink.FAST, exactly: bool = False
) -> RenditionsPlan:
    """Plan renditions, of which each must be possible by itself. The order of the requests does not matter.

    `exactly` gives each the pixels of a job of its own, so that only those share a decode that decode the same.

    Raises CropOutOfBoundsError or ParametersInvalidError.
    """
    members = sorted((member_of(request, facts, shrink, exactly=exactly) for request in requests), key=_largest_first)
    groups: list[Group] = []
    for member in members:
        choice = min(_choices(groups, member, facts), key=lambda choice: choice.cpu_ms)
        if choice.joins is None:
            groups.append(Group(facts=facts, steps=(Step(member=member, source=None),)))
        else:
            groups[choice.joins] = groups[choice.joins].with_step(member, choice.source)
    return RenditionsPlan(groups=tuple(groups))


def _largest_first(member: Member) -> tuple[int, bool, str]:
    # A whole picture before parts of it: these can be cut out of it.
    return -member.size.pixels, not member.shows_all, member.name


@dataclass(frozen=True, kw_only=True)
class _Choice:
    joins: int | None
    """The index of a group; None for one of its own."""
    source: Member | None
    cpu_ms: float


def _choices(groups: list[Group], member: Member, facts: Facts) -> Iterator[_Choice]:
    for index, group in enumerate(groups):
        yield from _choices_in(group, index, member, facts)
    cpu_ms = _decode_ms(facts, member.scale.first, _rows(member, facts)) + _from_decoded_ms(facts, member.scale, member)
    yield _Choice(joins=None, source=None, cpu_ms=cpu_ms)


def _choices_in(group: Group, index: int, member: Member, facts: Facts) -> Iterator[_Choice]:
    if member.alone is not None or group.head.alone is not None:
        return
    for source in group.members:
        if _may_be_resampled(member, source) and _fits(group, member, source, facts):
            yield _Choice(joins=index, source=source, cpu_ms=_resample_ms(source.size, member))
    if _may_be_decoded_with(member, group) and _fits(group, member, None, facts):
        read = max(_rows(step.member, facts) for step in group.steps if step.source is None)
        more_ms = _decode_ms(facts, group.scale.first, max(0, _rows(member, facts) - read))
        yield _Choice(joins=index, source=None, cpu_ms=more_ms + _from_decoded_ms(facts, group.scale, member))


def _may_be_resampled(member: Member, source: Member) -> bool:
    if member.is_exact or not source.shows_all:
        return False
    return source.size == member.size or (
        source.size.width >= _LEAST_FACTOR * member.size.width
        and source.size.height >= _LEAST_FACTOR * member.size.height
    )


def _may_be_decoded_with(member: Member, group: Group) -> bool:
    if member.is_exact:
        return member.scale == group.scale
    return member.scale.first <= group.scale.first and member.scale.if_fine <= group.scale.if_fine


def _fits(group: Group, member: Member, source: Member | None, facts: Facts) -> bool:
    """Return whether the pixels that the group would hold take no more than the limit, or than the decoder does."""
    most = max(_MAX_HELD_BYTES, decode_cost(facts).memory_bytes)
    return group.with_step(member, source).held_bytes <= most


def _from_decoded_ms(facts: Facts, scale: DecodeScale, member: Member) -> float:
    return _resample_ms(decoded_size(facts, scale.first), member)


def _resample_ms(source: Size, member: Member) -> float:
    if source == member.size:
        return 0
    window = member.work.window.size
    read = source.pixels * window.pixels / member.size.pixels
    return (_READ_MS * read + _WRITTEN_MS * window.pixels) / MEGAPIXEL


def _decode_ms(facts: Facts, scale: float, rows: float) -> float:
    """Estimate decoding this part of the rows."""
    if facts.format is not Format.JPEG or facts.progressive:
        return decode_cost(facts).cpu_ms * rows
    part = _JPEG_WHOLE_PART + (1 - _JPEG_WHOLE_PART) * scale**2
    return facts.pixels / MEGAPIXEL * _JPEG_DECODE_MS * part * rows


def _rows(member: Member, facts: Facts) -> float:
    """Return which part of the rows is decoded for a member: those from the top to the end of its window, where the
    decoder can stop.
    """
    if facts.progressive or facts.format not in (Format.JPEG, Format.PNG):
        return 1
    return (member.work.window.top + member.work.window.height) / member.size.height
