"""A page that shows what every parameter does: `python -m tools.gallery OUT_DIR`.

All pictures are generated and rendered here. The page and its pictures are in one folder and need nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from darkroom.contract.errors import DarkroomError
from darkroom.contract.job_types import job_type_named
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.renditions import RENDITION_MODELS
from darkroom.imaging import Facts, Rendition, probe, render
from tools.gallery_pictures import sources
from tools.gallery_sections import Fields, Section, sections

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
class Exhibit:
    """One rendering, or why there is none."""

    job: str
    request: Fields
    file_name: str
    rendition: Rendition | None
    refusal: str = ""


def exhibits(section: Section, body: bytes, *, number: int, overlay: bytes | None = None) -> Iterator[Exhibit]:
    for index, request in enumerate(section.requests):
        name = f"{number:02}-{index:02}"
        try:
            parameters = parse_parameters(RENDITION_MODELS[section.job], request)
            rendition = render(body, parameters, Limits(), overlay=overlay)
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
    """Write the pictures and `index.html`. Returns the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    bodies = sources()
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
    parts = []
    for number, section in enumerate(sections(), start=1):
        shown = list(
            exhibits(section, bodies[section.source], number=number, overlay=bodies.get(section.overlay or ""))
        )
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
    described = " ".join(
        f"<b>{name}</b>: {escape(text)}" for name in section.parameters if (text := _meaning(section.job, name))
    )
    words = f"{escape(section.words)} <code>{escape(section.source)}</code>, {facts.width} x {facts.height}."
    figures = "\n".join(_exhibit_html(one) for one in shown)
    return (
        f'<h2>{escape(section.title)}</h2>\n<p>{words}</p>\n<p>{described}</p>\n<div class="row">\n{figures}\n</div>\n'
    )


def _meaning(job: str, parameter: str) -> str:
    """Return the parameter's description in the contract; that of a size is plain in each section."""
    if parameter in {"width", "height"}:
        return ""
    return job_type_named(job).parameters.model_fields[parameter].description or ""


def _exhibit_html(one: Exhibit) -> str:
    request = f"<code>{one.job} {escape(json.dumps(one.request))}</code>"
    if one.rendition is None:
        reason = f"<figcaption>{request}<br>{escape(one.refusal)}</figcaption>"
        return f'<figure><div class="refused">refused</div>{reason}</figure>'
    size = f"{one.rendition.width} x {one.rendition.height} {one.rendition.format}"
    frames = f", {one.rendition.frames} frames" if one.rendition.frames > 1 else ""
    placeholder = f"<br><code>{escape(one.rendition.placeholder)}</code>" if one.rendition.placeholder else ""
    caption = f"{request}<br>{size}{frames}, {len(one.rendition.body):,} bytes{placeholder}"
    image = f'<img src="{one.file_name}" alt="{escape(json.dumps(one.request))}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tools.gallery OUT_DIR")
    print(build(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
