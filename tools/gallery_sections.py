"""The sections of the gallery: which requests show each parameter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from darkroom.contract.parameters.gravity import Compass, Saliency
from darkroom.contract.parameters.resize import Fit
from darkroom.contract.parameters.values import Flip, Format, Placeholder, Rotation

Fields = dict[str, Any]

_FORMATS = (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF)
_BOX: Fields = {"width": 200, "height": 200}


@dataclass(frozen=True, kw_only=True)
class Section:
    title: str
    words: str
    source: str
    """File name of the picture that all requests use."""
    requests: tuple[Fields, ...]
    job: str = "resize"
    overlay: str | None = None
    """File name of the picture that requests lay over the result."""

    @property
    def parameters(self) -> list[str]:
        """The parameters that the requests have, in their order."""
        return list(dict.fromkeys(name for request in self.requests for name in request))


def sections() -> Iterator[Section]:
    yield from _sizes()
    yield from _gravities()
    yield from _enlargements()
    yield from _turns()
    yield from _finishes()
    yield from _encodings()
    yield from _sizes_of_files()
    yield from _inputs()
    yield from _crops()


def _sizes() -> Iterator[Section]:
    yield Section(
        title="fit",
        words="A box of 200 x 200 for a picture of 960 x 640.",
        source="landscape.jpg",
        requests=tuple({**_BOX, "fit": fit.value} for fit in Fit),
    )
    yield Section(
        title="width or height alone",
        words="The other side follows from the picture's aspect ratio.",
        source="landscape.jpg",
        requests=({"width": 200}, {"height": 200}, {"width": 20}),
    )


def _gravities() -> Iterator[Section]:
    yield Section(
        title="gravity",
        words="What a tall cover of a wide picture keeps.",
        source="landscape.jpg",
        requests=tuple(
            {"width": 110, "height": 200, "fit": "cover", "gravity": gravity}
            for gravity in ("west", "centre", "east", {"x": 0.73, "y": 0.4})
        ),
    )
    yield Section(
        title="gravity by the pixels",
        words="One busy corner on a plain wall, which the centre misses.",
        source="corner.jpg",
        requests=tuple(
            {**_BOX, "fit": "cover", "gravity": gravity} for gravity in ("centre", *(one.value for one in Saliency))
        ),
    )


def _enlargements() -> Iterator[Section]:
    yield Section(
        title="enlarge",
        words="A picture of 90 x 60 requested at 200 x 200. Without enlarge it is not scaled up.",
        source="small.png",
        requests=(
            {**_BOX, "fit": "inside"},
            {**_BOX, "fit": "cover"},
            {**_BOX, "fit": "contain", "background": "#dd8844"},
            {**_BOX, "fit": "inside", "enlarge": True},
            {**_BOX, "fit": "cover", "enlarge": True},
        ),
    )
    yield Section(
        title="dpr",
        words="For dense screens; limited to the picture's own pixels.",
        source="landscape.jpg",
        requests=({"width": 120}, {"width": 120, "dpr": 2}, {"width": 800, "dpr": 4}),
    )


def _turns() -> Iterator[Section]:
    yield Section(
        title="rotate and flip",
        words="Before cropping and resizing, so that sizes are those of the turned picture.",
        source="landscape.jpg",
        requests=(
            *({"width": 160, "rotate": degrees.value} for degrees in Rotation),
            *({"width": 160, "flip": flip.value} for flip in Flip),
        ),
    )
    yield Section(
        title="trim",
        words="A picture with a white border.",
        source="framed.png",
        requests=({"width": 160}, {"width": 160, "trim": True}),
    )


def _finishes() -> Iterator[Section]:
    yield Section(
        title="blur",
        words="Sigma in pixels of the output.",
        source="landscape.jpg",
        requests=tuple({"width": 240, "blur": sigma} for sigma in ("off", 1, 5, 20)),
    )
    yield Section(
        title="overlay",
        words="The badge as a watermark.",
        source="landscape.jpg",
        overlay="badge.png",
        requests=(
            {"width": 240, "overlay": {"storage_key": "badge.png"}},
            {"width": 240, "overlay": {"storage_key": "badge.png", "gravity": "northwest", "scale": 0.5}},
            {"width": 240, "overlay": {"storage_key": "badge.png", "gravity": "centre", "scale": 1, "opacity": 0.4}},
        ),
    )
    yield Section(
        title="background",
        words="By default transparent where the format has alpha, else white.",
        source="badge.png",
        requests=(
            {**_BOX, "fit": "contain"},
            {**_BOX, "fit": "contain", "background": "#ffcc00"},
            {**_BOX, "fit": "contain", "background": "#ff000080", "format": "webp"},
            {**_BOX, "format": "jpeg"},
            {**_BOX, "format": "jpeg", "background": "#224466"},
        ),
    )
    yield Section(
        title="sharpen",
        words="Sigma in pixels of the output.",
        source="landscape.jpg",
        requests=tuple({"width": 240, "sharpen": sigma} for sigma in ("off", 0.5, 1.5, 4.0)),
    )


def _encodings() -> Iterator[Section]:
    yield Section(
        title="format",
        words="With each format's defaults.",
        source="landscape.jpg",
        requests=tuple({"width": 240, "format": format.value} for format in (Format.KEEP, *_FORMATS)),
    )
    yield Section(
        title="alpha in each format",
        words="The shadow is half transparent.",
        source="badge.png",
        requests=tuple({"width": 200, "format": format.value} for format in _FORMATS),
    )
    yield Section(
        title="quality",
        words="From small files to good pictures.",
        source="landscape.jpg",
        requests=tuple(
            {"width": 240, "format": format, "quality": quality}
            for format in ("jpeg", "webp", "avif")
            for quality in (10, 40, 95)
        ),
    )
    yield Section(
        title="effort and progressive",
        words="Effort spends CPU time on a smaller file; progressive pictures appear gradually as they load.",
        source="landscape.jpg",
        requests=(
            {"width": 240, "format": "webp", "effort": 0},
            {"width": 240, "format": "webp", "effort": 6},
            {"width": 240, "format": "avif", "effort": 0},
            {"width": 240, "format": "avif", "effort": 5},
            {"width": 240, "progressive": True},
            {"width": 240, "format": "png", "progressive": True},
        ),
    )


def _sizes_of_files() -> Iterator[Section]:
    yield Section(
        title="lossless",
        words="Every pixel as it was; a photograph becomes large.",
        source="landscape.jpg",
        requests=tuple({"width": 240, "format": format, "lossless": True} for format in ("png", "webp", "avif")),
    )
    yield Section(
        title="palette and colours",
        words="For graphics.",
        source="badge.png",
        requests=(
            {"width": 240},
            {"width": 240, "palette": True},
            {"width": 240, "colours": 8},
            {"width": 240, "format": "gif", "colours": 8},
        ),
    )
    yield Section(
        title="max_bytes",
        words="The best quality that fits.",
        source="landscape.jpg",
        requests=tuple({"width": 240, "format": format, "max_bytes": 5000} for format in ("jpeg", "webp", "avif")),
    )
    yield Section(
        title="placeholder",
        words="A text in the result.",
        source="landscape.jpg",
        requests=tuple({"width": 160, "placeholder": kind.value} for kind in Placeholder),
    )


def _inputs() -> Iterator[Section]:
    for source, words in (
        ("turned.jpg", "Stored on its side with an EXIF orientation; every result is upright."),
        ("gamut.jpg", "Display P3; the colours are those of the sRGB picture."),
        ("print.jpg", "CMYK with its profile; as close as print colours get."),
    ):
        yield Section(title=source, words=words, source=source, requests=({"width": 240}, {**_BOX, "fit": "cover"}))
    yield Section(
        title="metadata",
        words="Strip is the default; a position never survives it. All pictures look the same.",
        source="turned.jpg",
        requests=tuple({"width": 160, "metadata": kept} for kept in ("strip", "copyright", "all")),
    )
    yield Section(
        title="animation",
        words="The first frame, or all of them, each processed by itself.",
        source="ball.gif",
        requests=(
            {"width": 160},
            {"width": 160, "animation": "all"},
            {"width": 120, "height": 120, "fit": "cover", "animation": "all"},
            {"width": 120, "height": 120, "fit": "contain", "animation": "all", "background": "#335577"},
            {"width": 160, "animation": "all", "format": "webp"},
        ),
    )


def _crops() -> Iterator[Section]:
    yield Section(
        title="crop: x and y",
        words="Exactly these pixels; bounds decides what happens beyond the edge.",
        source="landscape.jpg",
        job="crop",
        requests=(
            {"x": 100, "y": 60, "width": 240, "height": 160},
            {"x": 840, "y": 560, "width": 240, "height": 160, "bounds": "clamp"},
            {"x": 840, "y": 560, "width": 240, "height": 160},
        ),
    )
    yield Section(
        title="crop: gravity",
        words="Every compass point, a focal point, and by the pixels.",
        source="landscape.jpg",
        job="crop",
        requests=tuple(
            {"width": 200, "height": 140, "gravity": gravity}
            for gravity in (*map(str, Compass), *map(str, Saliency), {"x": 0.73, "y": 0.45})
        ),
    )
    yield Section(
        title="crop: aspect",
        words="The largest area with that ratio, scaled where one side is given.",
        source="landscape.jpg",
        job="crop",
        requests=(
            {"aspect": "1:1", "width": 160},
            {"aspect": "16:9", "width": 240},
            {"aspect": "1:3", "height": 200, "gravity": "east"},
            {"aspect": "1:1", "width": 160, "gravity": "attention", "format": "webp", "sharpen": 1.0},
        ),
    )
