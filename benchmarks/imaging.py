"""CPU time and memory per picture, and its quality, compared with other libraries.

    python benchmarks/imaging.py [--quick] [--cases NAME,...] [--peers NAME,...] [--rounds N]
                                 [--thumbor-python PATH] [--node-modules PATH]

The peers: libvips' plain `thumbnail_buffer` as most people call it, Pillow's `thumbnail`, thumbor's own Pillow engine
(from PyPI; it pins another Pillow, so it may need an interpreter of its own) and sharp (from npm). All get the same
pictures, sizes, formats, qualities and efforts, except for PNG, where ours has its own default. Every figure comes from
a process of its own, the peers take turns, and the best of the rounds counts, so the result is a ratio within one run.
Peak memory is that of the first picture on top of the idle process. Likeness is measured against a full decode and
Lanczos by Pillow, before any encoder. A peer that drops frames of an animation has no ratio.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from math import inf, log10
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
WORKER = Path(__file__).with_name("imaging_worker.py")
SHARP_WORKER = Path(__file__).with_name("imaging_worker.mjs")
sys.path.insert(0, str(REPOSITORY))

OURS = "darkroom"
BEFORE = "before"
PEERS = ("thumbnail", "sharp", "thumbor", "pillow")
QUALITIES = {"jpeg": 80, "webp": 79, "avif": 60, "png": 80, "gif": 80}
EFFORTS = {"webp": 2, "avif": 1, "png": 6, "gif": 4, "jpeg": 0}


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    source: str
    source_size: tuple[int, int]
    width: int
    target: str
    progressive: bool = False
    alpha: bool = False
    lossless: bool = False
    palette: bool = False
    text: bool = False
    """A page of text in place of a photograph: what fast scaling harms most."""
    frames: int = 1

    @property
    def size(self) -> tuple[int, int]:
        return self.width, round(self.source_size[1] * self.width / self.source_size[0])


TWO_K = (2048, 1536)
PAGE = (1600, 1600)
CASES = (
    Case(name="jpeg-2k-512", source="jpeg", source_size=TWO_K, width=512, target="jpeg"),
    Case(name="jpeg-2k-400", source="jpeg", source_size=TWO_K, width=400, target="jpeg"),
    Case(name="jpeg-2k-1000", source="jpeg", source_size=TWO_K, width=1000, target="jpeg"),
    Case(name="jpeg-12mp-400", source="jpeg", source_size=(4000, 3000), width=400, target="jpeg"),
    Case(name="jpeg-12mp-1600", source="jpeg", source_size=(4000, 3000), width=1600, target="jpeg"),
    Case(name="jpeg-36mp-512", source="jpeg", source_size=(7360, 4912), width=512, target="jpeg"),
    Case(
        name="jpeg-12mp-progressive",
        source="jpeg",
        source_size=(4000, 3000),
        width=400,
        target="jpeg",
        progressive=True,
    ),
    Case(name="jpeg-text-half", source="jpeg", source_size=PAGE, width=800, target="jpeg", text=True),
    Case(name="png-2k-512", source="png", source_size=TWO_K, width=512, target="png"),
    Case(name="png-alpha-2k-512", source="png", source_size=TWO_K, width=512, target="png", alpha=True),
    Case(name="png-palette-2k-512", source="png", source_size=TWO_K, width=512, target="png", palette=True),
    Case(name="webp-2k-512", source="webp", source_size=TWO_K, width=512, target="webp"),
    Case(name="webp-2k-400", source="webp", source_size=TWO_K, width=400, target="webp"),
    Case(name="webp-alpha-2k-512", source="webp", source_size=TWO_K, width=512, target="webp", alpha=True),
    Case(name="webp-lossless-2k-512", source="webp", source_size=TWO_K, width=512, target="webp", lossless=True),
    Case(name="webp-text-half", source="webp", source_size=PAGE, width=800, target="webp", lossless=True, text=True),
    Case(name="avif-2k-512", source="avif", source_size=TWO_K, width=512, target="avif"),
    Case(name="gif-1k-400", source="gif", source_size=(1024, 768), width=400, target="gif"),
    Case(name="gif-animated", source="gif", source_size=(480, 360), width=240, target="gif", frames=12),
    Case(name="webp-animated", source="webp", source_size=(480, 360), width=240, target="webp", frames=12),
    Case(name="jpeg-to-webp", source="jpeg", source_size=TWO_K, width=512, target="webp"),
    Case(name="jpeg-to-avif", source="jpeg", source_size=TWO_K, width=512, target="avif"),
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    cpu_ms: float
    peak_mb: float
    psnr_db: float
    ssim: float
    bytes: int
    frames: int


# --- pictures --------------------------------------------------------------------------------------------------------


def make_picture(case: Case, folder: Path) -> Path:
    traits = (case.progressive, case.alpha, case.lossless, case.palette, case.text, case.frames)
    path = folder / "-".join(map(str, (case.source, case.source_size[0], *traits)))
    if not path.exists():
        path.write_bytes(_picture(case))
    return path


def _picture(case: Case) -> bytes:
    from darkroom.contract.parameters.values import Format
    from darkroom.imaging import vips
    from darkroom.imaging.photograph import photograph

    image = text_page(*case.source_size) if case.text else photograph(*case.source_size, seed=7)
    if case.alpha:
        down = vips.library().Image.xyz(*case.source_size)[1] * (255 / case.source_size[1])
        image = image.bandjoin(down.cast("uchar"))
    if case.frames > 1:
        # The camera pans, so every frame differs from the last.
        wide = photograph(case.source_size[0] + 8 * case.frames, case.source_size[1], seed=7)
        frames = [wide.extract_area(8 * index, 0, *case.source_size) for index in range(case.frames)]
        image = vips.library().Image.arrayjoin(frames, across=1).copy()
        vips.set_number(image, "page-height", case.source_size[1])
        vips.set_numbers(image, "delay", [80] * case.frames)
    options: dict[str, dict[str, Any]] = {
        "jpeg": {"Q": 85, "interlace": case.progressive},
        "webp": {"Q": 90, "effort": 2, "lossless": case.lossless},
        "avif": {"Q": 80, "effort": 1, "compression": "av1"},
        "png": {"compression": 6, "palette": case.palette},
        "gif": {"effort": 4},
    }
    return vips.save(Format(case.source), image, **options[case.source])


def text_page(width: int, height: int) -> Any:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    from darkroom.imaging.vips import library

    page = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(22)
    words = "The quick brown fox jumps over the lazy dog 0123456789 " * 20
    for line, top in enumerate(range(4, height, 29)):
        draw.text((4, top), words[line % 17 : line % 17 + width // 6], fill="black", font=font)
    return library().Image.new_from_array(np.asarray(page)).copy(interpretation="srgb")


# --- measuring -------------------------------------------------------------------------------------------------------


def run_worker(peer: str, case: Case, picture: Path, out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    job = {
        **asdict(case),
        "size": case.size,
        "picture": str(picture),
        "out": str(out),
        "quality": QUALITIES[case.target],
        "effort": EFFORTS[case.target],
        "seconds": 0.6 if arguments.quick else 2.0,
        "node_modules": str(arguments.node_modules),
    }
    command = {
        "sharp": ["node", str(SHARP_WORKER)],
        "thumbor": [arguments.thumbor_python, str(WORKER), "thumbor"],
        BEFORE: [sys.executable, str((arguments.before or REPOSITORY) / WORKER.relative_to(REPOSITORY)), OURS],
    }.get(peer, [sys.executable, str(WORKER), peer])
    run = subprocess.run([*command, json.dumps(job)], capture_output=True, text=True, check=False, timeout=300)
    if run.returncode != 0:
        raise RuntimeError(f"{peer} on {case.name}: {run.stderr[-1500:]}")
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return result


def measure(peer: str, case: Case, picture: Path, folder: Path, arguments: argparse.Namespace) -> Measured:
    out = folder / f"{case.name}-{peer}.{case.target}"
    figures = run_worker(peer, case, picture, out, arguments)
    psnr, ssim = likeness(picture, out, case)
    return Measured(
        cpu_ms=figures["cpu_ms"],
        peak_mb=figures["peak_mb"],
        psnr_db=psnr,
        ssim=ssim,
        bytes=out.stat().st_size,
        frames=frames_in(out),
    )


def frames_in(path: Path) -> int:
    from PIL import Image

    with Image.open(path) as image:
        return int(getattr(image, "n_frames", 1))


def likeness(picture: Path, out: Path, case: Case) -> tuple[float, float]:
    """Return PSNR in decibels and SSIM; pictures with alpha are compared on a grey background."""
    from skimage import metrics

    wanted = _samples(picture, case.size)
    seen = _samples(out, None)
    if seen.shape != wanted.shape:
        raise RuntimeError(f"{out.name} has the shape {seen.shape}, asked was {wanted.shape}")
    error = float(((seen - wanted) ** 2).mean())
    psnr = 10 * log10(255**2 / error) if error else inf
    similarity: Any = metrics.structural_similarity
    return psnr, float(similarity(wanted, seen, channel_axis=2, data_range=255))


def _samples(path: Path, size: tuple[int, int] | None) -> Any:
    """Resize with premultiplied alpha, which Pillow does not do by itself, and composite on grey."""
    import numpy as np
    from PIL import Image

    image = Image.open(io.BytesIO(path.read_bytes())).convert("RGBA").convert("RGBa")
    if size is not None:
        image = image.resize(size, Image.Resampling.LANCZOS)
    samples = np.asarray(image.convert("RGBA"), dtype=np.float64)
    alpha = samples[..., 3:] / 255
    return samples[..., :3] * alpha + 128 * (1 - alpha)


def best(one: Measured | None, other: Measured) -> Measured:
    return other if one is None or other.cpu_ms < one.cpu_ms else one


# --- the table -------------------------------------------------------------------------------------------------------


def print_case(case: Case, figures: dict[str, Measured]) -> None:
    ours = figures[OURS]
    sizes = ["x".join(map(str, size)) for size in (case.source_size, case.size)]
    print(f"\n{case.name}: {case.source} {sizes[0]} to {case.target} {sizes[1]}")
    print(f"  {'':10} {'CPU ms':>8} {'ours/its':>9} {'peak MB':>8} {'PSNR dB':>8} {'SSIM':>7} {'bytes':>8}")
    for peer, one in figures.items():
        ratio = f"{ours.cpu_ms / one.cpu_ms:9.2f}" if one.frames == case.frames else f"{one.frames:2d} frame"
        print(
            f"  {peer:10} {one.cpu_ms:8.1f} {ratio:>9} {one.peak_mb:8.1f} "
            f"{one.psnr_db:8.2f} {one.ssim:7.4f} {one.bytes:8d}"
        )


def available_peers(arguments: argparse.Namespace) -> list[str]:
    asked = arguments.peers.split(",") if arguments.peers else [*PEERS]
    if shutil.which("node") is None or not (arguments.node_modules / "sharp").is_dir():
        asked = [peer for peer in asked if peer != "sharp"]
        print("sharp is left out: it needs node, and --node-modules with `npm install sharp`")
    probe = [arguments.thumbor_python, "-c", "import thumbor.engines.pil"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        asked = [peer for peer in asked if peer != "thumbor"]
        print("thumbor is left out: it needs --thumbor-python with `pip install thumbor`")
    return [BEFORE, *asked] if arguments.before else asked


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of short measurements")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", default="", help="names, or their beginnings")
    parser.add_argument("--peers", default="")
    parser.add_argument("--before", type=Path, help="a checkout of another commit, as one more peer")
    parser.add_argument("--thumbor-python", default=sys.executable)
    parser.add_argument("--node-modules", type=Path, default=REPOSITORY / "node_modules")
    return parser.parse_args()


def main() -> None:
    arguments = parsed_arguments()
    peers = available_peers(arguments)
    names = tuple(arguments.cases.split(",")) if arguments.cases else ("",)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in CASES:
            if not case.name.startswith(names):
                continue
            picture = make_picture(case, folder)
            figures: dict[str, Measured] = {}
            for _ in range(1 if arguments.quick else arguments.rounds):
                for peer in (OURS, *peers):
                    figures[peer] = best(figures.get(peer), measure(peer, case, picture, folder, arguments))
            print_case(case, figures)


if __name__ == "__main__":
    main()
