"""Makes the five renditions of a picture by one engine, in a process of its own, and prints its figures as JSON: CPU
time, peak memory and distance from a full decode with Lanczos. Started by benchmarks/renditions.py.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Mapping
from math import log10
from pathlib import Path
from typing import Any

QUALITY = 80
FIVE: Mapping[str, Mapping[str, Any]] = {
    "w1600": {"width": 1600},
    "w800": {"width": 800},
    "w400": {"width": 400},
    "w200": {"width": 200},
    "square": {"width": 300, "height": 300, "fit": "cover"},
}
"""Parameters of resize."""
_NO_LIMIT_PX = 10_000_000

Renditions = dict[str, bytes]
Engine = Callable[[bytes], Renditions]


def together() -> Engine:
    from darkroom.contract.limits import Limits
    from darkroom.contract.parameters.parsing import parse_parameters
    from darkroom.contract.parameters.resize import ResizeParameters
    from darkroom.imaging import Rendition, RenditionRequest, probe, render_all

    limits = Limits()
    requests = [
        RenditionRequest(name=name, type="resize", parameters=parse_parameters(ResizeParameters, fields))
        for name, fields in FIVE.items()
    ]

    def run(body: bytes) -> Renditions:
        made = render_all(body, probe(body, limits, all_frames=False), requests, limits)
        return {name: one.body for name, one in made if isinstance(one, Rendition)}

    return run


def singles() -> Engine:
    from darkroom.contract.limits import Limits
    from darkroom.contract.parameters.parsing import parse_parameters
    from darkroom.contract.parameters.resize import ResizeParameters
    from darkroom.imaging import render

    limits = Limits()
    asked = {name: parse_parameters(ResizeParameters, fields) for name, fields in FIVE.items()}
    return lambda body: {name: render(body, parameters, limits).body for name, parameters in asked.items()}


def thumbnails() -> Engine:
    """Five calls of libvips' thumbnail."""
    import pyvips

    def run(body: bytes) -> Renditions:
        made = {}
        for name, fields in FIVE.items():
            small = pyvips.Image.thumbnail_buffer(body, fields["width"], **_thumbnail_options(fields))
            made[name] = _jpeg(small)
        return made

    return run


def derived() -> Engine:
    """One decode by libvips' thumbnail, of which the smaller ones are made."""
    import pyvips

    def run(body: bytes) -> Renditions:
        largest = pyvips.Image.thumbnail_buffer(body, FIVE["w1600"]["width"], **_thumbnail_options({})).copy_memory()
        made = {"w1600": _jpeg(largest)}
        for name, fields in FIVE.items():
            if name not in made:
                made[name] = _jpeg(largest.thumbnail_image(fields["width"], **_thumbnail_options(fields)))
        return made

    return run


def _thumbnail_options(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"height": fields.get("height", _NO_LIMIT_PX), **({"crop": "centre"} if "height" in fields else {})}


def _jpeg(image: Any) -> bytes:
    return bytes(image.jpegsave_buffer(Q=QUALITY, optimize_coding=True, keep="none"))


ENGINES: Mapping[str, Callable[[], Engine]] = {
    "together": together,
    "five renders": singles,
    "five thumbnails": thumbnails,
    "one decode, derived": derived,
}


def distances_db(body: bytes, made: Renditions) -> dict[str, float]:
    """Return the peak signal-to-noise ratio to what Pillow's Lanczos makes of every pixel."""
    import numpy as np
    from PIL import Image, ImageOps

    source = Image.open(io.BytesIO(body)).convert("RGB")
    found = {}
    for name, rendition in made.items():
        image = Image.open(io.BytesIO(rendition)).convert("RGB")
        wanted = ImageOps.fit(source, image.size, Image.Resampling.LANCZOS)
        error = (np.asarray(image, dtype=np.float64) - np.asarray(wanted, dtype=np.float64)) ** 2
        found[name] = 10 * log10(255**2 / float(error.mean()))
    return found


def status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def main() -> None:
    import pyvips

    pyvips.concurrency_set(1)
    pyvips.cache_set_max(0)
    engine, body, seconds = ENGINES[sys.argv[1]](), Path(sys.argv[2]).read_bytes(), float(sys.argv[3])
    idle_mb = status_mb("VmRSS")
    made = engine(body)
    peak_mb = status_mb("VmHWM") - idle_mb
    cheapest_s, ends_at = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < ends_at:
        began_s = time.process_time()
        engine(body)
        # The lowest of many: what others do to the caches is not the engine's.
        cheapest_s = min(cheapest_s, time.process_time() - began_s)
    print(json.dumps({"cpu_ms": cheapest_s * 1000, "peak_mb": peak_mb, "db": distances_db(body, made)}))


if __name__ == "__main__":
    main()
