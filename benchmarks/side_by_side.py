"""Writes a page that shows pictures which image services often get wrong: as this browser shows the input, as Darkroom
renders it, and as sharp does.

    python -m benchmarks.side_by_side FOLDER --node-modules SHARP/node_modules

Open FOLDER/index.html. Darkroom's column must look like the browser's.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging import probe, render

_SHARP = "require('sharp')(process.argv[1]).resize(Number(process.argv[2])).png().toFile(process.argv[3])"
_PAGE = """<!doctype html><meta charset="utf-8"><title>Side by side</title>
<style>
  body {{ font: 15px sans-serif; background: repeating-conic-gradient(#ddd 0 25%, #fff 0 50%) 0 0 / 20px 20px }}
  td, th {{ padding: 4px 8px; text-align: left }} img {{ min-width: 120px; image-rendering: pixelated }}
</style>
<table><tr><th>what it is about<th>this browser<th>Darkroom<th>sharp
{rows}
</table>
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    about: str
    name: str
    body: bytes
    width: int = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the page and its pictures go")
    parser.add_argument("--node-modules", type=Path, required=True, help="where `npm install sharp` put it")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_row(case, folder, arguments.node_modules.resolve()) for case in _cases()]
    (folder / "index.html").write_text(_PAGE.format(rows="\n".join(rows)))
    print(folder / "index.html")


def _row(case: Case, folder: Path, node_modules: Path) -> str:
    source, theirs = folder / case.name, folder / f"{case.name}.sharp.png"
    source.write_bytes(case.body)
    limits = Limits()
    ours = render(
        case.body,
        ResizeParameters(width=case.width, format=Format.PNG),
        limits,
        facts=probe(case.body, limits),
    )
    node = ["node", "-e", _SHARP, str(source.resolve()), str(case.width), str(theirs.resolve())]
    subprocess.run(node, cwd=node_modules.parent, check=True)
    shown = f'<img src="{html.escape(case.name)}" width="{case.width}">'
    pictures = [
        f'<img src="data:image/png;base64,{base64.b64encode(body).decode()}">'
        for body in (ours.body, theirs.read_bytes())
    ]
    return "<tr>" + "".join(f"<td>{cell}" for cell in [html.escape(case.about), shown, *pictures])


def _cases() -> list[Case]:
    wide = _saved(_gradients(), "AVIF", quality=90)
    return [
        Case(about="white hidden under transparency", name="hidden.webp", body=_hidden_white(), width=150),
        Case(about="gAMA 1.0: linear light", name="gamma.png", body=_with_gamma(_saved(_gradients(), "PNG"), 100_000)),
        Case(about="nclx: Display P3", name="p3.avif", body=_with_nclx(wide, primaries=12, transfer=13)),
        Case(about="nclx: PQ, high dynamic range", name="pq.avif", body=_with_nclx(wide, primaries=9, transfer=16)),
        Case(about="nclx: HLG, high dynamic range", name="hlg.avif", body=_with_nclx(wide, primaries=9, transfer=18)),
        Case(about="grey of limited range", name="grey.avif", body=_limited_grey()),
        Case(about="canvas that no frame covers", name="canvas.gif", body=_uncovered_canvas(), width=40),
    ]


def _gradients(width: int = 400, height: int = 300) -> Image.Image:
    down, across = np.mgrid[0:height, 0:width]
    planes = [across * 255 // width, down * 255 // height, (across + down) * 255 // (width + height)]
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def _saved(image: Image.Image, format: str, **options: Any) -> bytes:
    body = io.BytesIO()
    image.save(body, format, **options)
    return body.getvalue()


def _hidden_white(side: int = 600, square: int = 30) -> bytes:
    """Make a chessboard of dark green and of transparent squares that are white underneath."""
    down, across = np.mgrid[0:side, 0:side]
    pixels = np.full((side, side, 4), (255, 255, 255, 0), np.uint8)
    pixels[(across // square + down // square) % 2 == 0] = (0, 90, 0, 255)
    return _saved(Image.fromarray(pixels), "WEBP", quality=80, exact=True)


def _with_gamma(png: bytes, gamma: int) -> bytes:
    data = b"gAMA" + struct.pack(">I", gamma)
    pixels_at = png.index(b"IDAT") - 4
    return png[:pixels_at] + struct.pack(">I", 4) + data + struct.pack(">I", zlib.crc32(data)) + png[pixels_at:]


def _with_nclx(avif: bytes, *, primaries: int, transfer: int) -> bytes:
    at = avif.index(b"nclx") + 4
    return avif[:at] + struct.pack(">HH", primaries, transfer) + avif[at + 4 :]


def _limited_grey() -> bytes:
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, 400).astype(np.uint8), (200, 1)))
    return _saved(ramp, "AVIF", range="limited", subsampling="4:0:0", quality=95)


def _uncovered_canvas() -> bytes:
    """Make a red frame of 20 px on a canvas of 40 px, with no transparent colour."""
    frame = Image.new("P", (20, 20), 1)
    frame.putpalette([0, 0, 0, 255, 0, 0])
    gif = _saved(frame, "GIF")
    return gif[:6] + struct.pack("<HH", 40, 40) + gif[10:]


if __name__ == "__main__":
    main()
