"""Lays a watermark over frames."""

from __future__ import annotations

from fractions import Fraction

from darkroom.contract.errors import PictureError, RejectedError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.overlay import Overlay
from darkroom.imaging import vips
from darkroom.imaging.animation import each_frame
from darkroom.imaging.develop import develop
from darkroom.imaging.facts import Facts
from darkroom.imaging.geometry import Size, placed, scaled_by
from darkroom.imaging.plan import whole
from darkroom.imaging.probe import probe
from darkroom.imaging.shrinking import Shrink
from darkroom.imaging.vips import Image


def probe_overlay(body: bytes, limits: Limits) -> Facts:
    """Return the facts of an overlay that is within the limits for overlays. Raises as `probe` does, and says that it
    is the overlay.
    """
    try:
        return probe(body, limits.of_overlay, all_frames=False)
    except (RejectedError, PictureError) as exc:
        raise type(exc)(f"the overlay: {exc.detail}") from exc


def overlaid(strip: Image, frames: int, body: bytes, overlay: Overlay, limits: Limits) -> Image:
    """Return the frames with the overlay on each. Raises as `probe_overlay` does, and what only the pixels show."""
    room = Size(width=strip.width, height=strip.height // frames)
    mark = _watermark(body, probe_overlay(body, limits), room, overlay)
    place = placed(Size(width=mark.width, height=mark.height), room, overlay.gravity)
    return each_frame(strip, frames, lambda frame: _composite(frame, mark, place.left, place.top))


def _watermark(body: bytes, facts: Facts, room: Size, overlay: Overlay) -> Image:
    """Return the overlay upright, in its size and with its opacity, in memory."""
    scale = Fraction(overlay.scale) * min(Fraction(room.width, facts.width), Fraction(room.height, facts.height))
    scaled = scaled_by(facts.size, scale)
    size = Size(width=min(scaled.width, room.width), height=min(scaled.height, room.height))
    mark = develop(body, facts, whole(facts.size, size), shrink=Shrink.QUALITY, frames=1)
    if mark.bands < 3:
        mark = mark.colourspace("srgb")
    if not mark.hasalpha():
        mark = mark.addalpha()
    factors = [1, 1, 1, overlay.opacity]
    return mark.linear(factors, [0, 0, 0, 0]).cast("uchar").copy(interpretation="srgb").copy_memory()


def _composite(frame: Image, mark: Image, left: int, top: int) -> Image:
    has_alpha = frame.hasalpha()
    coloured = frame.colourspace("srgb") if frame.bands < 3 else frame
    composed = coloured.composite2(mark, "over", x=left, y=top).cast("uchar")
    # Over opaque pixels everything stays opaque. The old palette does not have the overlay's colours.
    return vips.without_palette(composed if has_alpha else composed.extract_band(0, n=3))
