"""Encodes the result: format, quality, metadata, and how large it may become. Equal pixels give equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from darkroom.contract.errors import ResultTooLargeError
from darkroom.contract.parameters.values import Format
from darkroom.imaging import vips
from darkroom.imaging.encoding import Encoding
from darkroom.imaging.fitting import MAX_ENCODES, best_that_fits, first_that_fits
from darkroom.imaging.geometry import Size
from darkroom.imaging.metadata.blocks import Blocks, kept_blocks
from darkroom.imaging.metadata.embed import embed
from darkroom.imaging.original import jpeg_quality
from darkroom.imaging.png import deflated_anew, suits_no_filter, with_colours
from darkroom.imaging.vips import Image

# A GIF's own palette is reused for its smaller copy, at half the work, unless the palette is so small that it has no
# mixed colours.
_WHOLE_PALETTE = 256
# Measured on screenshots: for flat graphics without a filter, libvips' default of 6 is as fast as 3 and 6 % better.
_PHOTOGRAPH_EFFORT, _FLAT_EFFORT = 3, 6
_LOSSLESS_EFFORT = 4
"""WebP's lossless encoder at 2 takes as long as at 4 and compresses less."""
_THOROUGH_PIXELS = 4_000_000
"""The most pixels for which the slowest encoders are tried: they take up to 2 s per megapixel."""

_Encode = Callable[[], bytes]


def encode(image: Image, encoding: Encoding, size: Size, *, original: bytes | None = None) -> bytes:
    """Encode a picture, or an animation of frames of that size.

    `original` is the picture's original where nothing but a re-encode was asked for: the result does not become larger
    than it, at the cost of quality where the format has any to lose. Raises ResultTooLargeError.
    """
    encoder = _Encoder(
        image=image,
        encoding=encoding,
        size=size,
        blocks=kept_blocks(image, encoding.format, encoding.metadata, size),
        original=original,
    )
    body = encoder.run()
    if encoding.max_bytes is not None and len(body) > encoding.max_bytes:
        raise ResultTooLargeError(
            f"the smallest result of {size} px found has {len(body)} bytes, max_bytes is {encoding.max_bytes}; "
            "ask for fewer pixels or another format"
        )
    return body


@dataclass(frozen=True, kw_only=True)
class _Encoder:
    image: Image
    encoding: Encoding
    size: Size
    blocks: Blocks
    original: bytes | None

    def run(self) -> bytes:
        limits = [limit for limit in (self.encoding.max_bytes, self._original_bytes) if limit is not None]
        max_bytes = min(limits, default=None)
        encodes = self._lossless_encodes()
        if encodes is None:
            return self._lossy(max_bytes)
        if max_bytes is None:
            return next(encodes)()
        body = first_that_fits(encodes, max_bytes)
        return self._lossy(self.encoding.max_bytes) if self._must_lose(body) else body

    def _lossless_encodes(self) -> Iterator[_Encode] | None:
        """Return the encodings to try in turn; None where a quality decides."""
        match self.encoding.format:
            case Format.PNG:
                return self._png_encodes()
            case Format.GIF:
                return self._gif_encodes()
            case Format.WEBP if self.encoding.lossless:
                return self._lossless_webp_encodes()
            case Format.AVIF if self.encoding.lossless:
                return iter([lambda: self._saved(**self._avif_options(), lossless=True)])
            case _:
                return None

    def _must_lose(self, body: bytes) -> bool:
        """Return whether losslessness, which was kept and not asked for, gives way to `max_bytes`."""
        has_quality = self.encoding.format in {Format.WEBP, Format.AVIF}
        max_bytes = self.encoding.max_bytes
        return has_quality and self.encoding.may_lose and max_bytes is not None and len(body) > max_bytes

    @property
    def _original_bytes(self) -> int | None:
        return None if self.original is None else len(self.original)

    @property
    def _may_be_thorough(self) -> bool:
        return bool(self.image.width * self.image.height <= _THOROUGH_PIXELS)

    def _lossy(self, max_bytes: int | None) -> bytes:
        quality = self.encoding.quality
        if max_bytes is None:
            return self._at_quality(quality)
        if self.original is not None and self.encoding.format is Format.JPEG:
            # More than the original's own quality cannot show more of it.
            quality = min(quality, jpeg_quality(self.original) or quality)
        return best_that_fits(self._at_quality, quality, max_bytes)

    def _at_quality(self, quality: int) -> bytes:
        match self.encoding.format:
            case Format.JPEG:
                return self._saved(Q=quality, optimize_coding=True, interlace=self.encoding.progressive)
            case Format.WEBP:
                return self._saved(Q=quality, effort=self._effort(2))
            case _:
                return self._saved(Q=quality, **self._avif_options())

    def _avif_options(self) -> dict[str, Any]:
        return {"effort": self._effort(1), "compression": "av1", "bitdepth": 8}

    def _lossless_webp_encodes(self) -> Iterator[_Encode]:
        effort = self._effort(_LOSSLESS_EFFORT)
        yield lambda: self._saved(lossless=True, effort=effort)
        if 2 * self.image.width * self.image.height > _THOROUGH_PIXELS:
            return
        # libwebp takes Q as a second effort. Both at their most take 20 s per megapixel.
        yield lambda: self._saved(lossless=True, effort=4, Q=100)
        yield lambda: self._saved(lossless=True, effort=6)

    def _gif_encodes(self) -> Iterator[_Encode]:
        """Yield the encoding, and ones with fewer colours for where it is too large."""
        bits = self.encoding.colours.bit_length() - 1
        options = {"effort": self._effort(4), "interlace": self.encoding.progressive}
        reuses = bits == 8 and vips.palette_size(self.image) >= _WHOLE_PALETTE
        yield lambda: self._saved(**options, bitdepth=bits, reuse=reuses)
        for fewer in range(bits - 1, max(0, bits - MAX_ENCODES), -1):
            yield lambda fewer=fewer: self._saved(**options, bitdepth=fewer)  # type: ignore[misc]

    def _png_encodes(self) -> Iterator[_Encode]:
        """Yield the encoding, and ones with the same pixels for where it is too large."""
        is_flat = suits_no_filter(self.image)
        default = _FLAT_EFFORT if is_flat or self.encoding.palette else _PHOTOGRAPH_EFFORT
        options: dict[str, Any] = {"interlace": self.encoding.progressive, "compression": self._effort(default)}
        # Filtered by the left neighbour, a photograph is a third smaller and deflate has less to search: effort 3 takes
        # less time than libvips' default, an unfiltered 6. Flat graphics and palettes are smaller without.
        image = self.image
        if self.encoding.palette:
            dither = 0.0 if is_flat else 1.0
            image, depth = with_colours(image, self.encoding.colours.bit_length() - 1, dither)
            options |= {"palette": True, "bitdepth": depth, "dither": dither, "filter": "none"}
        else:
            options["filter"] = "none" if is_flat else "sub"
        yield lambda: self._saved(image, **options)
        if not self._may_be_thorough:
            return
        yield lambda: self._saved(image, **{**options, "compression": 9})
        if self.original is not None:
            for deflated in deflated_anew(self.original):
                yield lambda deflated=deflated: self._with_metadata(deflated())  # type: ignore[misc]
        if not self.encoding.palette:
            yield lambda: self._saved(**{**options, "compression": 9, "filter": "all"})

    def _effort(self, default: int) -> int:
        return default if self.encoding.effort is None else self.encoding.effort

    def _saved(self, image: Image | None = None, **options: Any) -> bytes:
        saved = vips.save(self.encoding.format, self.image if image is None else image, keep="none", **options)
        return self._with_metadata(saved)

    def _with_metadata(self, body: bytes) -> bytes:
        return embed(body, self.encoding.format, self.blocks, self.size)
