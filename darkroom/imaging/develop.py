"""Turns a body into frames in memory: decoded, cropped, resized, in sRGB, upright.

Defects of a picture surface here; later steps only work on pixels that exist.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from darkroom.contract.parameters.gravity import Saliency
from darkroom.imaging import vips
from darkroom.imaging.animation import each_frame
from darkroom.imaging.colour import to_srgb
from darkroom.imaging.cut import cut, from_proxy, on_proxy, stored_cut
from darkroom.imaging.decode import Opened, open_picture, refuse_damage, strictly_then_tolerantly
from darkroom.imaging.facts import Facts
from darkroom.imaging.faults import decoding_errors
from darkroom.imaging.fine_detail import has_fine_detail
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.geometry import Rect, is_turned
from darkroom.imaging.plan import Plan
from darkroom.imaging.probe import decodable
from darkroom.imaging.resample import extract, resample
from darkroom.imaging.saliency import most_salient
from darkroom.imaging.shrinking import Shrink
from darkroom.imaging.vips import Image

_PROXY_SIDE_PX = 512


@dataclass(frozen=True, kw_only=True)
class Area:
    """The part that is left of a picture whose border was trimmed."""

    of: Facts
    """The facts of the whole picture."""
    stored: Rect
    """Where the area lies in the picture as stored."""

    @property
    def facts(self) -> Facts:
        """The facts of the area alone."""
        size = self.stored.size.turned if is_turned(self.of.orientation) else self.stored.size
        return replace(self.of, width=size.width, height=size.height)


def develop(
    body: bytes,
    facts: Facts,
    plan: Plan,
    *,
    shrink: Shrink,
    frames: int,
    area: Area | None = None,
    exact_edges: bool = False,
) -> Image:
    """Return a strip of that many frames. Raises ImageCorruptError or ImageTruncatedError.

    Where only an area of the picture is left, the facts and the plan are about the area. `exact_edges` is explained at
    `resample`.
    """
    body = decodable(body, facts if area is None else area.of, all_frames=frames > 1)
    with decoding_errors(facts):
        return strictly_then_tolerantly(
            facts.format,
            lambda strict: _Development(
                body=body,
                facts=facts,
                plan=plan,
                shrink=shrink,
                frames=frames,
                area=area,
                exact_edges=exact_edges,
                strict=strict,
            ).run(),
        )


@dataclass(frozen=True, kw_only=True)
class _Development:
    body: bytes
    facts: Facts
    plan: Plan
    shrink: Shrink
    frames: int
    area: Area | None
    exact_edges: bool
    strict: bool

    def run(self) -> Image:
        if self.plan.saliency is None:
            return self._developed(self.plan)
        if self.plan.shrinks and self.frames == 1:
            return self._cut_where_salient(self.plan.saliency)
        return self._developed(self._settled_on_proxy(self.plan.saliency))

    def _developed(self, plan: Plan) -> Image:
        """Crop and resize the picture as stored, then turn the result upright.

        A picture that is decoded from top to bottom can be turned only in memory, so the small result is turned, not
        the picture.
        """
        stored = self.facts if self.area is None else self.area.of
        opened = open_picture(
            self.body, stored, scaled=plan.scaled, shrink=self._shrink, frames=self.frames, strict=self.strict
        )
        small = self._resampled(opened, plan)
        if opened.anew is not None:
            if self.strict:
                # Looking at the pixels empties libvips' buffer of messages.
                refuse_damage()
            if has_fine_detail(small, step=opened.step):
                small = self._resampled(opened.anew(), plan)
        return self._upright(small)

    def _resampled(self, opened: Opened, plan: Plan) -> Image:
        """Crop and resize the picture as stored, into memory."""
        if self.area is not None:
            area = self.area.stored
            strip = each_frame(opened.strip, self.frames, lambda frame: extract(frame, area))
            opened = Opened(strip=strip)
        resampled = resample(
            opened.strip,
            self.frames,
            stored_cut(cut(plan), plan.source, self.facts.orientation),
            exact_edges=self.exact_edges,
            extent=opened.extent,
            size=opened.size,
            comes_premultiplied=TRAITS[self.facts.format].comes_premultiplied,
        )
        return to_srgb(resampled, self.facts).copy_memory()

    @property
    def _shrink(self) -> Shrink:
        """An area has a place in the picture at its full size only."""
        return self.shrink if self.area is None else Shrink.OFF

    def _upright(self, strip: Image) -> Image:
        if self.facts.orientation == 1:
            return strip
        return each_frame(strip, self.frames, lambda frame: vips.upright(frame, self.facts.orientation))

    def _cut_where_salient(self, saliency: Saliency) -> Image:
        """Decode the picture once, scale it as a whole, and crop it when all of it has been seen."""
        whole = self._developed(self.plan.showing_all())
        return extract(whole, most_salient(whole, self.plan.window.size, saliency))

    def _settled_on_proxy(self, saliency: Saliency) -> Plan:
        """Find the salient part on a small copy.

        A picture that is not scaled down would otherwise have to be held in memory whole. An animation uses that of its
        first frame, since a moving window would shake.
        """
        proxy = on_proxy(self.plan, _PROXY_SIDE_PX)
        small = replace(self, frames=1, shrink=Shrink.FAST)._developed(proxy.showing_all())
        return from_proxy(self.plan, proxy, most_salient(small, proxy.window.size, saliency))
