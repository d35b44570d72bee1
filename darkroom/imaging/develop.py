"""From a body to frames in memory: decoded, cropped, resized, in sRGB, upright. What is wrong with a picture comes out
here; what follows only works on pixels that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from darkroom.contract.parameters import Saliency
from darkroom.imaging import vips
from darkroom.imaging.animation import frames_of
from darkroom.imaging.colour import to_srgb
from darkroom.imaging.decode import Shrink, open_picture, strictly_then_tolerantly
from darkroom.imaging.geometry import Plan, cut, from_proxy, on_proxy, stored_cut
from darkroom.imaging.probe import Facts
from darkroom.imaging.resample import extract, resample
from darkroom.imaging.saliency import most_salient
from darkroom.imaging.vips import Image

# Where the salient part is looked for when the picture itself is not scaled down.
_PROXY_SIDE_PX = 512


def develop(body: bytes, facts: Facts, drawn: Plan, *, shrink: Shrink, frames: int) -> list[Image]:
    """Raises ImageCorruptError or ImageTruncatedError."""
    development = _Development(body=body, facts=facts, shrink=shrink, frames=frames)
    with vips.faults_of_the_picture(facts.format, body):
        return strictly_then_tolerantly(lambda strict: development.run(drawn, strict=strict))


@dataclass(frozen=True, kw_only=True)
class _Development:
    body: bytes
    facts: Facts
    shrink: Shrink
    frames: int

    def run(self, drawn: Plan, *, strict: bool) -> list[Image]:
        if drawn.saliency is not None and not drawn.shrinks:
            drawn = self._settled_on_proxy(drawn, drawn.saliency, strict=strict)
        strip = open_picture(
            self.body, self.facts, scaled=drawn.scaled, shrink=self.shrink, frames=self.frames, strict=strict
        )
        return list(self._developed_frames(strip, drawn))

    def _settled_on_proxy(self, drawn: Plan, saliency: Saliency, *, strict: bool) -> Plan:
        """Where the picture is not scaled down, the salient part is looked for on a small copy: the picture itself
        would have to be held in memory whole."""
        proxy = on_proxy(drawn, _PROXY_SIDE_PX)
        small = open_picture(self.body, self.facts, scaled=proxy.scaled, shrink=Shrink.FAST, frames=1, strict=strict)
        found = most_salient(self._developed(small, proxy.showing_all()), proxy.window.size, saliency)
        return from_proxy(drawn, proxy, found)

    def _developed_frames(self, strip: Image, drawn: Plan) -> Iterator[Image]:
        """A salient part is looked for on the first frame and kept for the others: a window that moves would shake."""
        for frame in frames_of(strip, self.frames):
            if drawn.saliency is None:
                yield self._developed(frame, drawn)
                continue
            whole = self._developed(frame, drawn.showing_all())
            drawn = drawn.settled(most_salient(whole, drawn.window.size, drawn.saliency))
            yield extract(whole, drawn.window)

    def _developed(self, frame: Image, drawn: Plan) -> Image:
        """Cropped and resized as it is stored and turned upright only then: a picture that is decoded from the top to
        the bottom can be turned only in memory, and so the result is, not the picture."""
        work = stored_cut(cut(drawn), drawn.source, self.facts.orientation)
        return vips.upright(to_srgb(resample(frame, work)).copy_memory(), self.facts.orientation)
