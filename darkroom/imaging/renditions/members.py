"""A request with what decides from which pixels its rendition may be made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from darkroom.imaging.cut import Cut, cut, stored_cut
from darkroom.imaging.encoding import Encoding
from darkroom.imaging.facts import Facts
from darkroom.imaging.geometry import Size, is_turned
from darkroom.imaging.planning import plan_job
from darkroom.imaging.preparation import Preparation, prepare
from darkroom.imaging.renditions.request import RenditionRequest
from darkroom.imaging.request import only_reencodes, trims
from darkroom.imaging.shrinking import DecodeScale, Shrink, decode_scale
from darkroom.imaging.turning import turned

# Above this, an encoder shows the small differences that resampling twice makes.
_MAX_COARSE_QUALITY = 85


class Alone(StrEnum):
    """Why a rendition is made by itself, as its own job would be."""

    ANIMATION = "all frames of an animation"
    TRIM = "only the pixels show the picture's size"
    ENLARGED = "the picture is enlarged"
    SALIENCY = "what is salient depends on how the picture was scaled"


@dataclass(frozen=True, kw_only=True)
class Member:
    request: RenditionRequest
    prepared: Preparation
    work: Cut
    """The cut of the picture as stored. Without meaning where the rendition is made alone."""
    scale: DecodeScale
    """How large a job of its own would decode the picture."""
    alone: Alone | None
    is_exact: bool
    """Whether its pixels must be those that a job of its own resamples: the encoder keeps them, sharpening would
    amplify what differs, or the picture has fine detail."""
    only_reencodes: bool

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def size(self) -> Size:
        """The size to which the whole picture as stored is scaled."""
        return self.work.scaled

    @property
    def shows_all(self) -> bool:
        return self.work.window.size == self.work.scaled


def member_of(request: RenditionRequest, facts: Facts, shrink: Shrink, *, exactly: bool) -> Member:
    """`exactly` makes the member an exact one. Raises CropOutOfBoundsError or ParametersInvalidError."""
    parameters = request.parameters
    upright = turned(facts, parameters)
    prepared = prepare(facts, upright, parameters, plan_job(upright.size, parameters))
    work = stored_cut(cut(prepared.plan), prepared.plan.source, upright.orientation)
    return Member(
        request=request,
        prepared=prepared,
        work=work,
        scale=decode_scale(facts, scaled_upright(work.scaled, facts), shrink),
        alone=_reason_to_be_alone(prepared),
        is_exact=exactly or parameters.sharpen is not None or _keeps_pixels(prepared.encoding),
        only_reencodes=only_reencodes(facts, parameters, prepared.plan),
    )


def scaled_upright(scaled: Size, facts: Facts) -> Size:
    """Return the size of the picture as stored as that of the upright picture."""
    return scaled.turned if is_turned(facts.orientation) else scaled


def _reason_to_be_alone(prepared: Preparation) -> Alone | None:
    if trims(prepared.parameters):
        return Alone.TRIM
    if prepared.frames > 1:
        return Alone.ANIMATION
    if prepared.plan.enlarges:
        return Alone.ENLARGED
    return Alone.SALIENCY if prepared.plan.saliency is not None else None


def _keeps_pixels(encoding: Encoding) -> bool:
    return encoding.lossless or encoding.palette or encoding.quality > _MAX_COARSE_QUALITY
