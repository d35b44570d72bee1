"""One engine, one picture, in a process of its own; prints its figures as JSON. Started by imaging.py."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

Engine = Callable[[bytes], bytes]


def darkroom(job: dict[str, Any], shrink: str = "fast") -> Engine:
    from darkroom.contract.limits import Limits
    from darkroom.contract.parameters.parsing import parse_parameters
    from darkroom.contract.parameters.resize import ResizeParameters
    from darkroom.imaging import Shrink, render
    from darkroom.imaging.vips import library

    # The peers' libraries are loaded by now, too, so the idle process includes them.
    library()
    width, height = job["size"]
    animation = "all" if job["frames"] > 1 else "first"
    asked = {"width": width, "height": height, "fit": "fill", "format": job["target"], "animation": animation}
    parameters = parse_parameters(ResizeParameters, asked)
    limits = Limits()
    return lambda body: render(body, parameters, limits, shrink=Shrink(shrink)).body


def quality(job: dict[str, Any]) -> Engine:
    return darkroom(job, "quality")


def thumbnail(job: dict[str, Any]) -> Engine:
    import pyvips

    options: dict[str, dict[str, Any]] = {
        "jpeg": {"Q": job["quality"]},
        "webp": {"Q": job["quality"], "effort": job["effort"]},
        "avif": {"Q": job["quality"], "effort": job["effort"]},
        "png": {"compression": job["effort"]},
        "gif": {"effort": job["effort"]},
    }
    width, height = job["size"]
    load = "n=-1" if job["frames"] > 1 else ""
    suffix = {"jpeg": ".jpg"}.get(job["target"], f".{job['target']}")

    def run(body: bytes) -> bytes:
        small = pyvips.Image.thumbnail_buffer(body, width, height=height, option_string=load)
        return bytes(small.write_to_buffer(suffix, keep="none", **options[job["target"]]))

    return run


def _pillow_options(job: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, dict[str, Any]] = {
        "jpeg": {"quality": job["quality"]},
        "webp": {"quality": job["quality"], "method": job["effort"]},
        "avif": {"quality": job["quality"], "speed": 9 - job["effort"], "max_threads": 1},
        "png": {"compress_level": job["effort"]},
        "gif": {},
    }
    return options[job["target"]]


def pillow(job: dict[str, Any]) -> Engine:
    from PIL import Image, ImageSequence

    size = tuple(job["size"])
    options = _pillow_options(job)

    def shrunk(image: Image.Image) -> Image.Image:
        if image.mode == "P":
            image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        image.thumbnail(size, Image.Resampling.LANCZOS)
        return image

    def run(body: bytes) -> bytes:
        image = Image.open(io.BytesIO(body))
        out = io.BytesIO()
        if job["frames"] > 1:
            frames = [shrunk(frame.copy()) for frame in ImageSequence.Iterator(image)]
            frames[0].save(out, job["target"], save_all=True, append_images=frames[1:], duration=80, **options)
        else:
            shrunk(image).save(out, job["target"], **options)
        return out.getvalue()

    return run


def thumbor(job: dict[str, Any]) -> Engine:
    from thumbor.config import Config
    from thumbor.context import Context, RequestParameters
    from thumbor.engines.pil import Engine as PilEngine

    config = Config(
        PROGRESSIVE_JPEG=False, AVIF_SPEED=9 - EFFORT_OF_AVIF, AVIF_CODEC="auto", PNG_COMPRESSION_LEVEL=job["effort"]
    )
    suffix = {"jpeg": ".jpg"}.get(job["target"], f".{job['target']}")
    source = {"jpeg": ".jpg"}.get(job["source"], f".{job['source']}")

    def run(body: bytes) -> bytes:
        context = Context(config=config)
        context.request = RequestParameters()
        engine = PilEngine(context)
        engine.load(body, source)
        engine.resize(*job["size"])
        return bytes(engine.read(suffix, job["quality"]))

    return run


EFFORT_OF_AVIF = 1
ENGINES = {"darkroom": darkroom, "quality": quality, "thumbnail": thumbnail, "pillow": pillow, "thumbor": thumbor}


def status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def cpu_ms_of_one(engine: Engine, body: bytes, seconds: float) -> float:
    """Return the lowest of many: cache disturbance by others is not the engine's."""
    cheapest = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.process_time()
        engine(body)
        cheapest = min(cheapest, time.process_time() - start)
    return cheapest * 1000


def main() -> None:
    job = json.loads(sys.argv[2])
    engine = ENGINES[sys.argv[1]](job)
    body = Path(job["picture"]).read_bytes()
    idle_mb = status_mb("VmRSS")
    result = engine(body)
    peak_mb = status_mb("VmHWM") - idle_mb
    Path(job["out"]).write_bytes(result)
    print(json.dumps({"cpu_ms": cpu_ms_of_one(engine, body, job["seconds"]), "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
