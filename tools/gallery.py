"""A page on which a person can see what every parameter does: `python -m tools.gallery OUT_DIR`.

Every picture is made and rendered here; the page and its pictures lie beside each other and need nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from darkroom.contract.errors import DarkroomError
from darkroom.contract.job_types import job_type_named
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.gravity import Compass, Saliency
from darkroom.contract.parameters.resize import Fit
from darkroom.contract.parameters.values import Format
from darkroom.imaging import Facts, Rendition, probe, render, vips
from darkroom.imaging.photograph import photograph
from darkroom.imaging.vips import Image

Fields = dict[str, Any]

_FORMATS = (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF)
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }
h2 { margin: 2.5rem 0 .2rem; }
p { margin: 0 0 .8rem; max-width: 46rem; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
figure { margin: 0; max-width: 100%; }
figcaption { font-size: 12px; max-width: 15rem; overflow-wrap: anywhere; }
code { font: 12px/1.35 ui-monospace, monospace; }
img { display: block; max-width: 100%; outline: 1px solid #8886;
  background: repeating-conic-gradient(#ccc 0 25%, #fff 0 50%) 0 0 / 16px 16px; }
.refused { display: grid; place-content: center; width: 200px; height: 100px; outline: 1px dashed #c33; color: #c33; }
"""


@dataclass(frozen=True, kw_only=True)
class Section:
    title: str
    words: str
    source: str
    job: str = "resize"
    requests: tuple[Fields, ...] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One rendering, or why there is none."""

    job: str
    request: Fields
    file_name: str
    rendition: Rendition | None
    refusal: str = ""


# --- what is shown ---------------------------------------------------------------------------------------------------


def sources() -> dict[str, bytes]:
    landscape = photograph(960, 640, seed=3)
    return {
        "landscape.jpg": vips.save(Format.JPEG, landscape, Q=90),
        "corner.jpg": vips.save(Format.JPEG, _busy_corner(), Q=90),
        "badge.png": vips.save(Format.PNG, _badge(480, 360)),
        "turned.jpg": vips.save(Format.JPEG, _stored_on_its_side(landscape), Q=90, keep="exif"),
        "gamut.jpg": vips.save(Format.JPEG, landscape.icc_transform("p3", input_profile="srgb"), Q=90, keep="icc"),
        "print.jpg": vips.save(Format.JPEG, landscape.icc_transform("cmyk", input_profile="srgb"), Q=90, keep="icc"),
        "ball.gif": vips.save(Format.GIF, _bouncing_ball(240, 180, frames=12)),
        "small.png": vips.save(Format.PNG, photograph(90, 60, seed=3)),
    }


def sections() -> Iterator[Section]:
    box: Fields = {"width": 200, "height": 200}
    yield Section(
        title="fit",
        words="A box of 200 x 200 for a picture of 960 x 640.",
        source="landscape.jpg",
        requests=tuple({**box, "fit": fit.value} for fit in Fit),
    )
    yield Section(
        title="width or height alone",
        words="The other side follows from the picture's shape.",
        source="landscape.jpg",
        requests=({"width": 200}, {"height": 200}, {"width": 20}),
    )
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
        words="One busy corner on a plain wall: the centre shows nothing of it.",
        source="corner.jpg",
        requests=tuple(
            {**box, "fit": "cover", "gravity": gravity} for gravity in ("centre", *(one.value for one in Saliency))
        ),
    )
    yield Section(
        title="enlarge",
        words="A picture of 90 x 60 asked for at 200 x 200. Without enlarge no pixel is invented.",
        source="small.png",
        requests=(
            {**box, "fit": "inside"},
            {**box, "fit": "cover"},
            {**box, "fit": "contain", "background": "#dd8844"},
            {**box, "fit": "inside", "enlarge": True},
            {**box, "fit": "cover", "enlarge": True},
        ),
    )
    yield Section(
        title="dpr",
        words="For dense screens; it ends where the picture's own pixels do.",
        source="landscape.jpg",
        requests=({"width": 120}, {"width": 120, "dpr": 2}, {"width": 800, "dpr": 4}),
    )
    yield Section(
        title="background",
        words="Transparent where the format has alpha, else white, unless said otherwise.",
        source="badge.png",
        requests=(
            {**box, "fit": "contain"},
            {**box, "fit": "contain", "background": "#ffcc00"},
            {**box, "fit": "contain", "background": "#ff000080", "format": "webp"},
            {**box, "format": "jpeg"},
            {**box, "format": "jpeg", "background": "#224466"},
        ),
    )
    yield Section(
        title="sharpen",
        words="Sigma in pixels of the output.",
        source="landscape.jpg",
        requests=tuple({"width": 240, "sharpen": sigma} for sigma in ("off", 0.5, 1.5, 4.0)),
    )
    yield Section(
        title="format",
        words="At the defaults of each.",
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
        words="From small to beautiful.",
        source="landscape.jpg",
        requests=tuple(
            {"width": 240, "format": format, "quality": quality}
            for format in ("jpeg", "webp", "avif")
            for quality in (10, 40, 95)
        ),
    )
    yield Section(
        title="effort and progressive",
        words="Effort spends processor time on a smaller file; progressive pictures come into view as they load.",
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
    for source, words in (
        ("turned.jpg", "Stored on its side with an EXIF orientation; every result is upright."),
        ("gamut.jpg", "Display P3; the colours are those of the sRGB picture."),
        ("print.jpg", "CMYK with its profile; as near as the press comes."),
    ):
        yield Section(title=source, words=words, source=source, requests=({"width": 240}, {**box, "fit": "cover"}))
    yield Section(
        title="metadata",
        words="Strip is the default; a position never survives it. All pictures look the same.",
        source="turned.jpg",
        requests=tuple({"width": 160, "metadata": kept} for kept in ("strip", "copyright", "all")),
    )
    yield Section(
        title="animation",
        words="The first frame, or all of them, each treated by itself.",
        source="ball.gif",
        requests=(
            {"width": 160},
            {"width": 160, "animation": "all"},
            {"width": 120, "height": 120, "fit": "cover", "animation": "all"},
            {"width": 120, "height": 120, "fit": "contain", "animation": "all", "background": "#335577"},
            {"width": 160, "animation": "all", "format": "webp"},
        ),
    )
    yield Section(
        title="crop: x and y",
        words="Exactly those pixels; bounds decides what happens beyond the edge.",
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
        words="Every point of the compass, a focal point, and by the pixels.",
        source="landscape.jpg",
        job="crop",
        requests=tuple(
            {"width": 200, "height": 140, "gravity": gravity}
            for gravity in (*map(str, Compass), *map(str, Saliency), {"x": 0.73, "y": 0.45})
        ),
    )
    yield Section(
        title="crop: aspect",
        words="The largest area of that shape, scaled where one side is given.",
        source="landscape.jpg",
        job="crop",
        requests=(
            {"aspect": "1:1", "width": 160},
            {"aspect": "16:9", "width": 240},
            {"aspect": "1:3", "height": 200, "gravity": "east"},
            {"aspect": "1:1", "width": 160, "gravity": "attention", "format": "webp", "sharpen": 1.0},
        ),
    )


# --- the made pictures -----------------------------------------------------------------------------------------------


def _busy_corner() -> Image:
    wall = vips.library().Image.black(900, 450, bands=3).linear(1, [176, 170, 160])
    return wall.cast("uchar").copy(interpretation="srgb").insert(photograph(190, 190, seed=5), 690, 20).copy_memory()


def _badge(width: int, height: int) -> Image:
    """A red disc with a soft shadow of half the strength, on nothing."""
    disc = _disc(width, height, width * 0.5, height * 0.45, min(width, height) * 0.36, softness=1.0)
    shadow = _disc(width, height, width * 0.54, height * 0.52, min(width, height) * 0.36, softness=24.0)
    red = vips.library().Image.xyz(width, height)[1] * (90 / height) + 150
    colours = (disc > 0).ifthenelse(red.bandjoin([40, 50]), [20, 20, 30])
    alpha = (disc > shadow * 0.5).ifthenelse(disc, shadow * 0.5)
    return colours.bandjoin(alpha * 255).cast("uchar").copy(interpretation="srgb").copy_memory()


def _disc(width: int, height: int, x: float, y: float, radius: float, *, softness: float) -> Image:
    """1 inside, 0 outside."""
    position = vips.library().Image.xyz(width, height)
    distance = ((position[0] - x) ** 2 + (position[1] - y) ** 2) ** 0.5
    edge = (distance - radius) * (-1 / softness) + 0.5
    return (edge > 1).ifthenelse(1, (edge < 0).ifthenelse(0, edge))


def _stored_on_its_side(image: Image) -> Image:
    stored = image.rot90().copy()
    vips.set_number(stored, "orientation", 8)
    vips.set_text(stored, "exif-ifd0-Copyright", "Darkroom")
    vips.set_text(stored, "exif-ifd3-GPSLatitude", "48/1 51/1 30/1")
    return stored


def _bouncing_ball(width: int, height: int, *, frames: int) -> Image:
    backdrop = photograph(width, height, seed=8)
    pictures = []
    for index in range(frames):
        phase = index / frames
        x, y = width * (0.15 + 0.7 * phase), height * (0.75 - 2.2 * phase * (1 - phase))
        ball = _disc(width, height, x, y, height * 0.12, softness=1.5)
        pictures.append((backdrop * (1 - ball) + ball * [230, 60, 40]).cast("uchar"))
    strip = vips.library().Image.arrayjoin(pictures, across=1).copy(interpretation="srgb")
    vips.set_number(strip, "page-height", height)
    vips.set_numbers(strip, "delay", [80] * frames)
    return strip.copy_memory()


# --- the page --------------------------------------------------------------------------------------------------------


def exhibits(section: Section, body: bytes, *, number: int) -> Iterator[Exhibit]:
    for index, request in enumerate(section.requests):
        name = f"{number:02}-{index:02}"
        try:
            rendition = render(body, job_type_named(section.job).parse(request), Limits())
        except DarkroomError as refused:
            yield Exhibit(
                job=section.job,
                request=request,
                file_name="",
                rendition=None,
                refusal=f"{refused.code}: {refused.detail}",
            )
        else:
            yield Exhibit(
                job=section.job, request=request, file_name=f"{name}.{rendition.extension}", rendition=rendition
            )


def build(folder: Path) -> Path:
    """Writes the pictures and `index.html`; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    bodies = sources()
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
    parts = []
    for number, section in enumerate(sections(), start=1):
        shown = list(exhibits(section, bodies[section.source], number=number))
        for one in shown:
            if one.rendition is not None:
                (folder / one.file_name).write_bytes(one.rendition.body)
        parts.append(_section_html(section, probe(bodies[section.source], Limits()), shown))
    page = folder / "index.html"
    page.write_text(_page_html(bodies, parts), encoding="utf-8")
    return page


def _page_html(bodies: dict[str, bytes], parts: list[str]) -> str:
    originals = "".join(_original_html(name, probe(body, Limits())) for name, body in bodies.items())
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Darkroom gallery</title><style>{_STYLE}</style>\n"
        "<h1>Darkroom gallery</h1>\n<p>Every parameter of resize and crop. The originals:</p>\n"
        f'<div class="row">{originals}</div>\n{"".join(parts)}</html>\n'
    )


def _original_html(name: str, facts: Facts) -> str:
    caption = f"{name}<br>{facts.width} x {facts.height}, {facts.input_bytes:,} bytes"
    image = f'<img src="{escape(name)}" alt="{escape(name)}" style="height:110px">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _section_html(section: Section, facts: Facts, shown: list[Exhibit]) -> str:
    words = f"{escape(section.words)} <code>{escape(section.source)}</code>, {facts.width} x {facts.height}."
    figures = "\n".join(_exhibit_html(one) for one in shown)
    return f'<h2>{escape(section.title)}</h2>\n<p>{words}</p>\n<div class="row">\n{figures}\n</div>\n'


def _exhibit_html(one: Exhibit) -> str:
    request = f"<code>{one.job} {escape(json.dumps(one.request))}</code>"
    if one.rendition is None:
        reason = f"<figcaption>{request}<br>{escape(one.refusal)}</figcaption>"
        return f'<figure><div class="refused">refused</div>{reason}</figure>'
    size = f"{one.rendition.width} x {one.rendition.height} {one.rendition.format}"
    frames = f", {one.rendition.frames} frames" if one.rendition.frames > 1 else ""
    caption = f"{request}<br>{size}{frames}, {len(one.rendition.body):,} bytes"
    image = f'<img src="{one.file_name}" alt="{escape(json.dumps(one.request))}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tools.gallery OUT_DIR")
    print(build(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
