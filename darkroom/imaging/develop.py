"""From a body to frames in memory: decoded, cropped, resized, in sRGB, upright. What is wrong with a picture comes out
here; what follows only works on pixels that are there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from darkroom.contract.parameters.gravity import Saliency
from darkroom.imaging import vips
from darkroom.imaging.animation import each_frame
from darkroom.imaging.colour import to_srgb
from darkroom.imaging.cut import cut, from_proxy, on_proxy, stored_cut
from darkroom.imaging.decode import Shrink, open_picture, strictly_then_tolerantly
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.plan import Plan
from darkroom.imaging.probe import Facts
from darkroom.imaging.resample import extract, resample
from darkroom.imaging.saliency import most_salient
from darkroom.imaging.vips import Image

_PROXY_SIDE_PX = 512


def develop(body: bytes, facts: Facts, drawn: Plan, *, shrink: Shrink, frames: int) -> Image:
    """A strip of that many frames. Raises ImageCorruptError or ImageTruncatedError."""
    with vips.faults_of_the_picture(facts.format, body):
        return strictly_then_tolerantly(
            lambda strict: _Development(
                body=body, facts=facts, drawn=drawn, shrink=shrink, frames=frames, strict=strict
            ).run()
        )


@dataclass(frozen=True, kw_only=True)
class _Development:
    body: bytes
    facts: Facts
    drawn: Plan
    shrink: Shrink
    frames: int
    strict: bool

    def run(self) -> Image:
        if self.drawn.saliency is None:
            return self._developed(self.drawn)
        if self.drawn.shrinks and self.frames == 1:
            return self._cut_where_salient(self.drawn.saliency)
        return self._developed(self._settled_on_proxy(self.drawn.saliency))

    def _developed(self, drawn: Plan) -> Image:
        """Cropped and resized as it is stored and turned upright only then: a picture that is decoded from the top to
        the bottom can be turned only in memory, and so the result is, not the picture."""
        strip = open_picture(
            self.body, self.facts, scaled=drawn.scaled, shrink=self.shrink, frames=self.frames, strict=self.strict
        )
        work = stored_cut(cut(drawn), drawn.source, self.facts.orientation)
        resampled = resample(
            strip, self.frames, work, comes_premultiplied=TRAITS[self.facts.format].comes_premultiplied
        )
        return self._upright(to_srgb(resampled).copy_memory())

    def _upright(self, strip: Image) -> Image:
        if self.facts.orientation == 1:
            return strip
        return each_frame(strip, self.frames, lambda frame: vips.upright(frame, self.facts.orientation))

    def _cut_where_salient(self, saliency: Saliency) -> Image:
        """The picture is decoded once, scaled as a whole, and cut when all of it has been seen."""
        whole = self._developed(self.drawn.showing_all())
        return extract(whole, most_salient(whole, self.drawn.window.size, saliency))

    def _settled_on_proxy(self, saliency: Saliency) -> Plan:
        """The salient part is looked for on a small copy: a picture that is not scaled down would have to be held in
        memory whole. An animation's is that of its first frame, for a window that moves would shake."""
        proxy = on_proxy(self.drawn, _PROXY_SIDE_PX)
        small = replace(self, frames=1, shrink=Shrink.FAST)._developed(proxy.showing_all())
        return from_proxy(self.drawn, proxy, most_salient(small, proxy.window.size, saliency))
