"""Renders a format's pictures with randomly changed bytes, in a process of its own: a crash of the decoder ends this
process, not the tests. Prints how often each result occurred.

Usage: python -m tests.unit.imaging.hostile_run FORMAT COUNT
"""

from __future__ import annotations

import json
import resource
import sys
from collections import Counter
from random import Random

from darkroom.contract.errors import PictureError, RejectedError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.crop import CropParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging import render
from darkroom.imaging.photograph import photograph
from tests import pictures

SEED = 20260101
MAX_ADDRESS_SPACE_BYTES = 3 << 30
HEADER_BYTES = 200

REQUESTS = (
    parse_parameters(ResizeParameters, {"width": 40, "format": "jpeg"}),
    parse_parameters(
        ResizeParameters, {"width": 40, "height": 40, "fit": "cover", "gravity": "attention", "format": "png"}
    ),
    parse_parameters(CropParameters, {"aspect": "1:1", "format": "jpeg", "animation": "all"}),
    parse_parameters(ResizeParameters, {"width": 40, "metadata": "all", "animation": "all", "format": "webp"}),
)


def originals(format: Format) -> list[bytes]:
    small = photograph(120, 90)
    bodies = [
        pictures.encoded(small, format),
        pictures.encoded(pictures.grey(small), format),
        pictures.with_metadata(small, format),
    ]
    if format in (Format.JPEG, Format.PNG):
        bodies.append(pictures.encoded(small, format, interlace=True))
    if format is not Format.GIF:
        bodies.append(pictures.wide_gamut(small, format))
    if format is not Format.JPEG:
        bodies.append(pictures.encoded(pictures.disc_with_alpha(120, 90), format))
    if format in (Format.GIF, Format.WEBP):
        bodies.append(pictures.animation(format))
    return bodies


def changed(body: bytes, random: Random) -> bytes:
    """Change one to eight bytes, half the time in the headers."""
    reach = min(HEADER_BYTES, len(body)) if random.random() < 0.5 else len(body)
    places = [(random.randrange(reach), random.randrange(256)) for _ in range(random.randint(1, 8))]
    return pictures.corrupted(body, places)


def verdict(body: bytes, index: int) -> str:
    try:
        rendition = render(body, REQUESTS[index % len(REQUESTS)], Limits())
    except (PictureError, RejectedError) as exc:
        return exc.code
    if b"SecretCamera" in rendition.body and index % len(REQUESTS) != 3:
        raise ValueError("metadata survived")
    return "rendered"


def main() -> None:
    format, count = Format(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_SPACE_BYTES, MAX_ADDRESS_SPACE_BYTES))
    random = Random(SEED)
    bodies = originals(format)
    verdicts = Counter(verdict(changed(random.choice(bodies), random), index) for index in range(count))
    print(json.dumps(verdicts))  # noqa: T201 the result, for the test


if __name__ == "__main__":
    main()
