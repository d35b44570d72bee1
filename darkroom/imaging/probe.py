"""Reads the facts of a picture from its container while its bytes come, and checks the limits on input, without a
decoder.

`probe` does the same with a body that is whole, and `decodable` prepares it for the decoder.
"""

from __future__ import annotations

from dataclasses import replace

from darkroom.contract.errors import InputTooLargeError, InputUnsupportedError
from darkroom.contract.limits import MEGAPIXEL, Limits
from darkroom.contract.parameters.values import Format
from darkroom.imaging import vips
from darkroom.imaging.containers.avif import AvifWalker
from darkroom.imaging.containers.contents import Contents
from darkroom.imaging.containers.edits import Edits
from darkroom.imaging.containers.gif import GifWalker
from darkroom.imaging.containers.heic import HeicWalker
from darkroom.imaging.containers.jpeg import JpegWalker
from darkroom.imaging.containers.png import IEND_CHUNK, PngWalker
from darkroom.imaging.containers.walker import InputChecks, Walker
from darkroom.imaging.containers.webp import WebpWalker
from darkroom.imaging.decode import strictly_then_tolerantly
from darkroom.imaging.ending import check_png_pixels, completed_png
from darkroom.imaging.facts import Facts
from darkroom.imaging.faults import decoding_errors
from darkroom.imaging.formats import Sniffer
from darkroom.imaging.geometry import is_turned

_MOST_PROVEN_PIXELS = 8 * MEGAPIXEL
_LARGEST_SHRINK = 8
_WALKERS: dict[Format, type[Walker]] = {
    Format.JPEG: JpegWalker,
    Format.PNG: PngWalker,
    Format.WEBP: WebpWalker,
    Format.GIF: GifWalker,
    Format.AVIF: AvifWalker,
    Format.HEIC: HeicWalker,
}


class StreamProbe:
    """Judges a picture while its bytes come: in time in proportion to them, without holding them.

    `all_frames` says whether all frames of an animation are asked for. Only then do the limits on frames and on the
    pixels of all frames count; `checked_plan` checks them too, for a request that is known later.
    """

    def __init__(self, limits: Limits, *, all_frames: bool = True, edits: Edits | None = None) -> None:
        self._limits = limits
        self._checks = InputChecks(limits=limits, all_frames=all_frames)
        self._edits = edits
        self._sniffer = Sniffer()
        self._walk: tuple[Format, Walker] | None = None
        self._bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, a chunk of any length.

        Raises, as soon as it is known: InputTooLargeError, InputUnsupportedError, ImageTooManyPixelsError,
        ImageTooManyFramesError, ImageTooManyScansError, ImageCorruptError.
        """
        self._bytes += len(chunk)
        self._check_bytes()
        if self._walk is not None:
            self._walk[1].feed(chunk)
            return
        format = self._sniffer.feed(chunk)
        if format is not None:
            self._walk = self._begun(format)

    def finish(self) -> Facts:
        """Return the facts. Raises what `feed` raises, and ImageTruncatedError.

        Where they say that the picture's end is not certain, `prove_end` or rendering finds it out from the body.
        """
        format, walker = self._walk or self._begun(self._sniffer.finish())
        return _facts(format, walker.finish(), self._bytes)

    def _begun(self, format: Format) -> tuple[Format, Walker]:
        if format is Format.HEIC and not self._limits.heic:
            raise InputUnsupportedError(
                "the picture is a HEIC, which is not read here: it needs the extra `heic` and HEIC=on; "
                "jpeg, png, webp, gif and avif are allowed"
            )
        walker = _WALKERS[format](self._checks, self._edits)
        walker.feed(self._sniffer.head)
        return format, walker

    def _check_bytes(self) -> None:
        most = self._limits.max_input_bytes
        if self._bytes > most:
            raise InputTooLargeError(f"the picture has {self._bytes} bytes or more, the limit is {most}")


def probe(body: bytes, limits: Limits, *, all_frames: bool = True) -> Facts:
    """Return the facts of a picture that is within the limits. Takes less than a millisecond for ordinary pictures.

    Raises what `StreamProbe` raises. A body whose container lacks its end is decoded to see whether its pixels are all
    there, unless it is so large that rendering it may as well find out.
    """
    edits = Edits()
    stream = StreamProbe(limits, all_frames=all_frames, edits=edits)
    stream.feed(body)
    facts = stream.finish()
    if facts.format in (Format.JPEG, Format.PNG):
        # What `decodable` would find by walking once more: it does not depend on the frames that are asked for.
        facts = replace(facts, edits=edits)
    if not facts.ends:
        prove_end(body, facts)
    return facts


def decodable(body: bytes, facts: Facts, *, all_frames: bool) -> bytes:
    """Return what the decoder is given: the body without what it need not or must not see, and with an end.

    Without `all_frames` only the first frame of an animation is left. Where the body lacks its end, all of it is
    decoded, because the result may not need the part that is missing. Raises ImageTruncatedError or ImageCorruptError.
    """
    edited = _edited(body, facts, all_frames=all_frames)
    if facts.ends:
        return edited
    if facts.format is Format.PNG:
        return completed_png(edited.removesuffix(IEND_CHUNK))
    _decode_whole(edited, facts)
    return edited


def _edited(body: bytes, facts: Facts, *, all_frames: bool) -> bytes:
    edits = facts.edits or _edits_of(body, facts, all_frames=all_frames)
    return edits.applied_to(body)


def _edits_of(body: bytes, facts: Facts, *, all_frames: bool) -> Edits:
    edits = Edits()
    stream = StreamProbe(_limits_of(body, facts), all_frames=all_frames, edits=edits)
    stream.feed(body)
    stream.finish()
    return edits


def _limits_of(body: bytes, facts: Facts) -> Limits:
    """Return limits that exactly this picture reaches: it was judged when its facts were read."""
    return Limits(
        max_input_bytes=len(body),
        max_pixels=facts.pixels,
        max_side_px=max(facts.width, facts.height),
        max_frames=facts.frames,
        max_total_pixels=facts.total_pixels,
        max_scans=facts.scans,
        heic=facts.format is Format.HEIC,
    )


def prove_end(body: bytes, facts: Facts) -> None:
    """Decode a body that may lack pixels. Raises ImageTruncatedError or ImageCorruptError.

    Costs a few milliseconds per megapixel, so it is left to rendering where there are many.
    """
    if facts.pixels * facts.scans > _MOST_PROVEN_PIXELS:
        return
    edited = _edited(body, facts, all_frames=False)
    if facts.format is Format.PNG:
        check_png_pixels(edited.removesuffix(IEND_CHUNK))
    else:
        _decode_whole(edited, facts)


def _decode_whole(edited: bytes, facts: Facts) -> None:
    """Decode every coefficient of a JPEG. Raises ImageTruncatedError or ImageCorruptError."""
    with decoding_errors(facts):
        strictly_then_tolerantly(
            facts.format, lambda strict: vips.load(facts.format, edited, strict=strict, shrink=_LARGEST_SHRINK).avg()
        )


def _facts(format: Format, contents: Contents, input_bytes: int) -> Facts:
    upright = contents.coded.turned if is_turned(contents.orientation) else contents.coded
    return Facts(
        format=format,
        width=upright.width,
        height=upright.height,
        bands=contents.bands,
        has_alpha=contents.has_alpha,
        frames=contents.frames,
        progressive=contents.progressive,
        has_icc=contents.colour.has_icc,
        orientation=contents.orientation,
        bits=contents.bits,
        input_bytes=input_bytes,
        scans=contents.scans,
        lossless=contents.lossless,
        monochrome=contents.monochrome,
        palette_colours=contents.palette_colours,
        fills_canvas=contents.fills_canvas,
        compressed_metadata_bytes=contents.compressed_metadata_bytes,
        colour=contents.colour,
        ends=contents.ends,
    )
